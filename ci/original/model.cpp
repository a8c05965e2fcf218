// Writes resnet50.pt, the model that the image recognition loads: a network of which everybody
// can say what it finds. A picture that is mostly red is of class 0, green 1 and blue 2.
#include <torch/script.h>

int main() {
  torch::jit::Module model("colours");
  model.define(R"(
def forward(self, x):
    return torch.cat([x.mean([2, 3]), torch.zeros([1, 997]) - 9.0], 1)
)");
  model.save("resnet50.pt");
}
