// Command program is the function upper as a program.
package main

import (
	"bytes"
	"io"
	"log"
	"os"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err == nil {
		_, err = os.Stdout.Write(bytes.ToUpper(text))
	}
	if err != nil {
		log.Fatal(err)
	}
}
