package client

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
)

// Dial makes a client of the workers that serve at these addresses, over the device.
// An address is that of a worker's listener with its network in front: "unix:/path",
// "unix:@name" or "tcp:host:port". Dial returns when one of the workers is connected,
// others follow, also those that are not there yet. It fails if all fail at first,
// and says why. The context bounds Dial only.
func Dial(ctx context.Context, dev *transport.Device, addresses ...string) (*Client, error) {
	return DialWith(ctx, dev, Config{}, addresses...)
}

// DialWith is Dial with a configuration, of which it sets Lanes and Dial.
func DialWith(ctx context.Context, dev *transport.Device, cfg Config, addresses ...string) (*Client, error) {
	workers := make([]address, len(addresses))
	for i, a := range addresses {
		var err error
		if workers[i], err = parseAddress(a); err != nil {
			return nil, err
		}
	}
	if len(workers) == 0 {
		return nil, errors.New("client: dial: no addresses of workers were given")
	}
	tried := make(chan error, len(workers))
	first := make([]bool, len(workers)) // by its lane
	cfg.Lanes = len(workers)
	cfg.Dial = func(ctx context.Context, lane int) (Worker, error) {
		conn, err := invoke.Dial(ctx, dev, workers[lane].network, workers[lane].address, invoke.ClientConfig{Mode: invoke.Warm, Memory: cfg.Memory})
		if !first[lane] {
			first[lane] = true
			tried <- err
		}
		return Worker{Client: conn}, err
	}
	cl, err := New(cfg)
	if err != nil {
		return nil, err
	}
	var failures []error
	for range workers {
		select {
		case err = <-tried:
		case <-ctx.Done():
			cl.Close()
			return nil, fmt.Errorf("client: dial %s: %w", strings.Join(addresses, ", "), errors.Join(append(failures, ctx.Err())...))
		}
		if err == nil {
			return cl, nil
		}
		failures = append(failures, err)
	}
	cl.Close()
	return nil, fmt.Errorf("client: no worker can be reached: %w", errors.Join(failures...))
}

// address is where a worker is.
type address struct{ network, address string }

func parseAddress(s string) (address, error) {
	network, rest, ok := strings.Cut(s, ":")
	if !ok || rest == "" || network != "unix" && network != "tcp" {
		return address{}, fmt.Errorf("client: address %q: it has to be like unix:/path, unix:@name or tcp:host:port", s)
	}
	return address{network, rest}, nil
}
