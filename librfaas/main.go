// Package main is librfaas.so: leases and calls for C, C++ and Fortran, as rfaas.h says.
//
//	go build -buildmode=c-shared -o librfaas.so ./librfaas
//
// shim.c is the interface. It checks what it is given, waits, and keeps what went wrong; what
// it asks of this side has handles for objects, and C's memory for the rest.
package main

// #include "shim.h"
import "C"

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime/cgo"
	"strings"
	"time"

	"github.com/rfaas-go/rfaas/alloc"
	"github.com/rfaas-go/rfaas/alloc/manager"
	"github.com/rfaas-go/rfaas/internal/tokens"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/pack"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/all"
)

func main() {} // is not called

// cluster is what a struct rfaas stands for.
type cluster struct {
	*alloc.Client
	device *transport.Device
	memory *invoke.Memory
	blocks blocks
}

// choose is the text that was given, or else that of a variable, or else a default.
func choose(given *C.char, variable, otherwise string) string {
	if given != nil {
		return C.GoString(given)
	}
	if v := os.Getenv(variable); v != "" {
		return v
	}
	return otherwise
}

//export goConnect
func goConnect(config *C.rfaas_config, handle *C.uintptr_t, why **C.char) C.int {
	c, err := connect(config)
	if err != nil {
		return fail(fmt.Errorf("rfaas_connect: %w", err), why)
	}
	*handle = C.uintptr_t(cgo.NewHandle(c))
	return C.RFAAS_OK
}

func connect(config *C.rfaas_config) (*cluster, error) {
	cfg := alloc.Config{
		Manager: choose(config.manager, "RFAAS_MANAGER", ""),
		Agents:  strings.FieldsFunc(choose(config.agents, "RFAAS_AGENTS", ""), func(r rune) bool { return r == ',' }),
		Tenant:  choose(config.tenant, "RFAAS_TENANT", ""),
		TLS:     &tls.Config{MinVersion: tls.VersionTLS13},
	}
	switch {
	case cfg.Manager == "" && len(cfg.Agents) == 0:
		return nil, invalid("neither a manager nor agents are given: set RFAAS_MANAGER or RFAAS_AGENTS, such as unix:@rfaas-agent-NAME for that of `rfaas agent --name NAME` on this machine")
	case cfg.Manager != "" && len(cfg.Agents) > 0:
		return nil, invalid("both a manager and agents are given: there is one way to find agents")
	}
	var err error
	if file := choose(config.tls_ca, "RFAAS_TLS_CA", ""); file != "" {
		if cfg.TLS.RootCAs, err = tokens.Authorities(file); err != nil {
			return nil, fmt.Errorf("tls_ca: %w", err)
		}
	}
	token := ""
	if file := choose(config.token_file, "RFAAS_TOKEN_FILE", ""); file != "" {
		if token, err = tokens.ReadToken(file); err != nil {
			return nil, fmt.Errorf("token_file: %w", err)
		}
	}
	cfg.Token, cfg.HTTP = []byte(token), tokens.Client(token, cfg.TLS)
	if cfg.Manager != "" {
		if err := ask(cfg.Manager, cfg.HTTP); err != nil {
			return nil, err
		}
	}
	url := choose(config.transport, "RFAAS_TRANSPORT", "shm:")
	if trusted := config.trust_network != 0 || os.Getenv("RFAAS_TRUST_NETWORK") == "1"; !trusted && isDevice(url) {
		return nil, invalid("transport %s: RoCE packets are neither encrypted nor authenticated: whoever can send and read packets on the device's network can read and write the memory that is registered here; if you trust that network, set trust_network or RFAAS_TRUST_NETWORK=1", url)
	}
	device, err := transport.Open(url)
	if err != nil {
		return nil, err
	}
	cfg.Device = device
	if cfg.Memory, err = invoke.NewMemory(device); err != nil {
		return nil, errors.Join(err, device.Close())
	}
	client, err := alloc.Open(context.Background(), cfg)
	if err != nil {
		return nil, errors.Join(err, cfg.Memory.Close(), device.Close())
	}
	return &cluster{Client: client, device: device, memory: cfg.Memory}, nil
}

// askTimeout is how long a manager may take to answer.
const askTimeout = 10 * time.Second

// ask asks a manager which nodes there are, so that a mistake is told at once: whoever leases goes
// on asking, since managers come back.
func ask(url string, with *http.Client) error {
	m, err := manager.NewClient(url, with)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	_, err = m.Nodes(ctx)
	return err
}

// isDevice reports whether a transport is an RDMA device, with decorators or without.
func isDevice(url string) bool {
	scheme, _, _ := strings.Cut(url, ":")
	return scheme[strings.LastIndexByte(scheme, '+')+1:] == "verbs"
}

//export goClose
func goClose(handle C.uintptr_t) {
	c := cgo.Handle(handle).Value().(*cluster)
	cgo.Handle(handle).Delete()
	c.Close()
	c.memory.Close()
	c.device.Close()
}

//export goLease
func goLease(handle C.uintptr_t, order *C.rfaas_order, pool *C.uintptr_t, why **C.char) C.int {
	p, err := leaseOf(cgo.Handle(handle).Value().(*cluster), order)
	if err != nil {
		return fail(fmt.Errorf("rfaas_lease: %w", err), why)
	}
	*pool = C.uintptr_t(pools.add(p))
	return C.RFAAS_OK
}

// leaseTimeout is rfaas_order.timeout if that is 0.
const leaseTimeout = time.Minute

func leaseOf(c *cluster, order *C.rfaas_order) (*pool, error) {
	ctx, cancel := within(order.timeout, leaseTimeout)
	defer cancel()
	mode := invoke.DefaultMode
	if order.mode != nil {
		var err error
		if mode, err = invoke.ParseMode(C.GoString(order.mode)); err != nil {
			return nil, fmt.Errorf("mode: %w", err)
		}
	}
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"workers", int64(order.workers)}, {"at_least", int64(order.at_least)}, {"cores", int64(order.cores)},
		{"memory_bytes", int64(order.memory_bytes)}, {"payload_bytes", int64(order.payload_bytes)},
	} {
		if n.value < 0 {
			return nil, invalid("%s: %d: must not be negative", n.name, n.value)
		}
	}
	o := alloc.Order{
		Workers: int(order.workers), AtLeast: int(order.at_least), Cores: int(order.cores),
		MemoryBytes: int64(order.memory_bytes), PayloadBytes: int64(order.payload_bytes), Mode: mode,
	}
	o.Calls.Mode = mode
	p := &pool{names: newNames()}
	if order.code != nil {
		var err error
		if p.code, err = pack.Open(C.GoString(order.code)); err != nil {
			return nil, err
		}
		o.Package = p.code
	}
	var err error
	if p.Pool, err = c.Lease(ctx, o); err != nil {
		if p.code != nil {
			err = errors.Join(err, p.code.Close())
		}
		return nil, err
	}
	return p, nil
}

// within is a context for a time in C: for ever if it is negative, otherwise if it is 0.
func within(timeout C.int64_t, otherwise time.Duration) (context.Context, context.CancelFunc) {
	switch {
	case timeout < 0:
		return context.Background(), func() {}
	case timeout > 0:
		otherwise = time.Duration(timeout)
	}
	return context.WithTimeout(context.Background(), otherwise)
}
