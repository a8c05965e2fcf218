// Command embed collects lines from other processes with one-sided writes and atomics only: a
// writer takes a place in the collector's memory with FetchAdd, and writes its line there. The
// collector's processor has no part in that; it looks at its own memory.
//
//	go run ./examples/embed collect shm: unix:@lines
//	seq 1000 | go run ./examples/embed write shm: unix:@lines
//
// Over softroce://127.0.0.1:0 the address is that of a TCP port: tcp:127.0.0.1:7474. What it imports is
// packages transport and transport/remote, and two providers; with them come the standard library and
// golang.org/x/sys.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"

	_ "github.com/rfaas-go/rfaas/softroce"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/shm"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "embed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 3 || args[0] != "collect" && args[0] != "write" {
		return errors.New("what? collect|write TRANSPORT ADDRESS")
	}
	network, address, found := strings.Cut(args[2], ":")
	if !found {
		return fmt.Errorf("%s: an address is unix:PATH, unix:@NAME or tcp:HOST:PORT", args[2])
	}
	device, err := transport.Open(args[1])
	if err != nil {
		return err
	}
	defer device.Close()
	if args[0] == "collect" {
		listener, err := transport.Listen(network, address)
		if err != nil {
			return err
		}
		defer listener.Close()
		fmt.Fprintf(os.Stderr, "lines are collected at %s:%s\n", network, listener.Addr())
		out := bufio.NewWriter(os.Stdout)
		return Collect(ctx, device, listener, func(line string) error {
			fmt.Fprintln(out, line)
			return out.Flush()
		})
	}
	w, err := Dial(ctx, device, network, address)
	if err != nil {
		return err
	}
	defer w.Close()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if err := w.Write(ctx, lines.Text()); err != nil {
			return err
		}
	}
	return lines.Err()
}
