// The function upper as a program.
#include <algorithm>
#include <cctype>
#include <iostream>
#include <iterator>
#include <string>

int main() {
  std::string text(std::istreambuf_iterator<char>(std::cin), {});
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  std::cout << text << std::flush;
  return std::cin.bad() || !std::cout;
}
