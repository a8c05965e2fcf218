//go:build cgo && linux && (amd64 || arm64)

package native_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/rfaas-go/rfaas/invoke/runtime/native"
)

// A function in C becomes a shared object, and is called. Usually a worker calls it: it has
// the type that a worker registers.
func Example() {
	const source = `
		#include <stdint.h>
		uint32_t reverse(void *args, uint32_t size, void *res) {
			for (uint32_t i = 0; i < size; i++)
				((char *)res)[i] = ((char *)args)[size - 1 - i];
			return size;
		}`
	folder, err := os.MkdirTemp("", "native")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "reverse.c")
	if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
		log.Fatal(err)
	}
	object := filepath.Join(folder, "reverse.so")
	if said, err := exec.Command("cc", "-shared", "-fPIC", "-o", object, path).CombinedOutput(); err != nil {
		log.Fatalf("cc: %v %s", err, said)
	}

	module, err := native.Open(object, native.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer module.Close()
	reverse, err := module.Function("reverse")
	if err != nil {
		log.Fatal(err)
	}
	out := make([]byte, 100)
	n, err := reverse(context.Background(), []byte("hello"), out)
	fmt.Println(string(out[:n]), err)
	n, err = reverse(context.Background(), []byte("hello"), out[:3])
	fmt.Println("the result is longer than the output:", n, err)
	// Output:
	// olleh <nil>
	// the result is longer than the output: 5 <nil>
}
