// Command jacobi computes how heat spreads in a plate, with the help of other cores. The grids lie in
// registered memory: rows go to workers from where they are, and come to where they belong.
//
//	go run ./examples/jacobi work shm: @plate-one
//	go run ./examples/jacobi work shm: @plate-two
//	go run ./examples/jacobi solve shm: 1000 400 unix:@plate-one unix:@plate-two
//
// solves for 1000 by 1000 points with 400 sweeps; without workers it computes alone. A worker that is ended
// meanwhile is done without.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"time"

	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/all"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "jacobi:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("what? work TRANSPORT SOCKET, or solve TRANSPORT POINTS SWEEPS [WORKER...]")

func run(ctx context.Context, args []string) error {
	if len(args) < 3 {
		return errUsage
	}
	device, err := transport.Open(args[1])
	if err != nil {
		return err
	}
	defer device.Close()
	switch {
	case args[0] == "work" && len(args) == 3:
		return work(ctx, device, args[2])
	case args[0] != "solve" || len(args) < 4:
		return errUsage
	}
	n, errN := strconv.Atoi(args[2])
	sweeps, errSweeps := strconv.Atoi(args[3])
	if errN != nil || errSweeps != nil || n < 3 || sweeps < 1 {
		return errUsage
	}
	begun := time.Now()
	plate, err := newPlate(ctx, device, n, args[4:])
	if err != nil {
		return err
	}
	defer plate.close()
	if err := plate.solve(ctx, sweeps); err != nil {
		return err
	}
	fmt.Printf("the plate has %.9f degrees on average after %d sweeps: %v; workers computed %d blocks, this process %d\n",
		plate.now.mean(), sweeps, time.Since(begun).Round(time.Millisecond), plate.offloaded, plate.own)
	return nil
}
