// Command transport is a key-value store on one-sided reads and compare-and-swap: the same
// program over every transport.
//
//	go run ./examples/transport serve shm: unix:@table
//	go run ./examples/transport set shm: unix:@table city Zürich
//	go run ./examples/transport get shm: unix:@table city
//	go run ./examples/transport count shm: unix:@table visits 1000
//
// Over softroce://127.0.0.1:0 and verbs: the address is that of a TCP port: tcp:127.0.0.1:7473.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"

	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/all"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "transport:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) < 3 {
		return errors.New("what? serve|set|get|count TRANSPORT ADDRESS [KEY [VALUE|TIMES]]")
	}
	device, err := transport.Open(args[1])
	if err != nil {
		return err
	}
	defer device.Close()
	network, address, found := strings.Cut(args[2], ":")
	if !found {
		return fmt.Errorf("%s: an address is unix:PATH, unix:@NAME or tcp:HOST:PORT", args[2])
	}
	if args[0] == "serve" {
		return serve(ctx, device, network, address)
	}
	store, err := Open(ctx, device, network, address)
	if err != nil {
		return err
	}
	defer store.Close()
	switch rest := args[3:]; {
	case args[0] == "set" && len(rest) == 2:
		return store.Set(ctx, rest[0], rest[1])
	case args[0] == "get" && len(rest) == 1:
		value, ok, err := store.Get(ctx, rest[0])
		if err == nil && !ok {
			err = fmt.Errorf("there is no %q", rest[0])
		}
		if err == nil {
			fmt.Println(value)
		}
		return err
	case args[0] == "count" && len(rest) == 2:
		times, err := strconv.Atoi(rest[1])
		for ; err == nil && times > 0; times-- {
			err = store.Update(ctx, rest[0], func(old string) string {
				n, _ := strconv.Atoi(old) // none is 0
				return strconv.Itoa(n + 1)
			})
		}
		return err
	}
	return errors.New("set KEY VALUE, get KEY, or count KEY TIMES")
}
