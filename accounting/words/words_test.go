package words

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/accounting"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/faulty"
	_ "github.com/rfaas-go/rfaas/transport/loopback"
	_ "github.com/rfaas-go/rfaas/transport/shm"
)

const patience = 30 * time.Second

func log(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// books are what an agent of a test knows.
type books struct {
	mu       sync.Mutex
	accounts []Account
}

func (b *books) all() []Account {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Account(nil), b.accounts...)
}

// use adds something to one of the accounts, or to a new one.
func (b *books) use(random *rand.Rand) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.accounts) == 0 || random.IntN(50) == 0 {
		b.accounts = append(b.accounts, Account{Epoch: uint64(len(b.accounts)/3 + 1), Tenant: fmt.Sprintf("tenant-%d", len(b.accounts)%3)})
	}
	a := &b.accounts[random.IntN(len(b.accounts))]
	a.Measured[random.IntN(accounting.Quantities)] += random.Uint64N(1000)
	if random.IntN(3) == 0 {
		a.Claimed[random.IntN(accounting.Quantities)] += random.Uint64N(1000)
	}
}

// bank is a manager of a test.
type bank struct {
	t      *testing.T
	url    string
	path   string // of the ledger
	ledger *accounting.Ledger
	device *transport.Device
	addr   string
	every  time.Duration // how often it writes the ledger
	stop   func(crash bool)
}

func newBank(t *testing.T, url string, every time.Duration) *bank {
	t.Helper()
	b := &bank{t: t, url: url, path: filepath.Join(t.TempDir(), "ledger"), addr: fmt.Sprintf("@words-%d", rand.Uint64()), every: every}
	b.open()
	return b
}

// report reports what accounts are until it is stopped, or the test ends.
func (b *bank) report(cfg ReporterConfig) (stop func()) {
	// One device for both ends: they are one process.
	cfg.Device, cfg.Logger = b.device, log(b.t)
	cfg.Dial = func(context.Context) (net.Conn, error) { return net.Dial("unix", b.addr) }
	ctx, cancel := context.WithCancel(context.Background())
	var reporting sync.WaitGroup
	reporting.Go(func() { Report(ctx, cfg) })
	stop = func() { cancel(); reporting.Wait() }
	b.t.Cleanup(stop)
	return stop
}

// open starts a server.
func (b *bank) open() {
	b.t.Helper()
	var err error
	b.ledger, err = accounting.OpenLedger(b.path, accounting.LedgerConfig{})
	require.NoError(b.t, err)
	b.device, err = transport.Open(b.url)
	require.NoError(b.t, err)
	s := NewServer(ServerConfig{Devices: []*transport.Device{b.device}, Ledger: b.ledger, Every: b.every, Logger: log(b.t)})
	l, err := transport.Listen("unix", b.addr)
	require.NoError(b.t, err)
	serving, stopServing := context.WithCancel(context.Background())
	keeping, stopKeeping := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { _ = s.Serve(serving, l) })
	all.Go(func() { s.Keep(keeping) })
	b.stop = func(crash bool) {
		if crash { // nothing is written any more
			require.NoError(b.t, b.ledger.Close())
		}
		stopServing()
		stopKeeping()
		all.Wait()
		require.NoError(b.t, l.Close())
		b.device.Close()
		if !crash {
			require.NoError(b.t, b.ledger.Close())
		}
	}
}

// totals are what the ledger says.
func (b *bank) totals() map[account][kinds]accounting.Usage {
	b.t.Helper()
	all := map[account][kinds]accounting.Usage{}
	for e, err := range accounting.ReadLedger(b.path) {
		require.NoError(b.t, err)
		v := all[account{e.Epoch, e.Tenant}]
		kind := 0
		if e.Claimed {
			kind = 1
		}
		v[kind] = e.Usage
		all[account{e.Epoch, e.Tenant}] = v
	}
	return all
}

// wanted is the same of the books.
func (b *books) wanted() map[account][kinds]accounting.Usage {
	all := map[account][kinds]accounting.Usage{}
	for _, a := range b.all() {
		if !a.Measured.IsZero() || !a.Claimed.IsZero() {
			all[account{a.Epoch, a.Tenant}] = [kinds]accounting.Usage{a.Measured, a.Claimed}
		}
	}
	return all
}

// Whatever breaks, each thing that was used is reported once: connections that are lost in
// the middle of adds, a manager that is killed with words that were not written, an agent
// that restarts.
func TestExactlyOnce(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"loopback:", "shm:", "faulty+loopback:?disconnect=0.003&hold=0.1", "faulty+shm:?disconnect=0.003&queue-full=0.1"} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Log("seed", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			if url[0] == 'f' {
				url += fmt.Sprintf("&seed=%d", seed%1000+1)
			}
			b := newBank(t, url, 5*time.Millisecond)
			var k books
			agent := func() (stop func()) {
				return b.report(ReporterConfig{Node: "node", Epoch: 1, Accounts: k.all, Every: 2 * time.Millisecond})
			}
			stopAgent := agent()
			for i := range 400 {
				k.use(random)
				switch {
				case i%100 == 99:
					stopAgent()
					b.stop(i%200 == 99)
					b.open()
					stopAgent = agent()
				case random.IntN(10) == 0:
					time.Sleep(time.Duration(random.IntN(3)) * time.Millisecond)
				}
			}
			require.Eventually(t, func() bool { return maps.Equal(b.totals(), k.wanted()) }, patience, 5*time.Millisecond, "seed %d", seed)
			stopAgent()
			b.stop(false)
			require.Equal(t, k.wanted(), b.totals())
		})
	}
}

// Two agents with words of their own, and one that comes again takes the place of itself.
func TestAgentsApart(t *testing.T) {
	t.Parallel()
	b := newBank(t, "loopback:", 5*time.Millisecond)
	var stops []func()
	for _, node := range []string{"a", "b", "a"} {
		stops = append(stops, b.report(ReporterConfig{
			Node: node, Epoch: 1, Every: time.Millisecond,
			Accounts: func() []Account { return []Account{{Epoch: 1, Tenant: node, Measured: accounting.Usage{5}}} },
		}))
	}
	require.Eventually(t, func() bool { return len(b.totals()) == 2 }, patience, time.Millisecond)
	time.Sleep(20 * time.Millisecond) // while the two fight for the place
	for _, stop := range stops {
		stop()
	}
	b.stop(false)
	for k, v := range b.totals() {
		require.Equal(t, [kinds]accounting.Usage{{5}}, v, "%v", k)
	}
}

// What an agent may forget is in the ledger of a manager that is killed
// in that moment.
func TestToldIsKept(t *testing.T) {
	t.Parallel()
	b := newBank(t, "loopback:", time.Hour)
	told := make(chan Account, 1)
	ofBefore, ofNow := Account{Epoch: 1, Tenant: "a", Measured: accounting.Usage{5}}, Account{Epoch: 2, Tenant: "a", Measured: accounting.Usage{7}}
	stop := b.report(ReporterConfig{
		Node: "a", Epoch: 2, Every: time.Hour,
		Accounts: func() []Account { return []Account{ofNow, ofBefore} },
		Kept:     func(a Account) { told <- a },
	})
	require.Equal(t, ofBefore, <-told, "the current one is reported again, and not forgotten")
	b.stop(true)
	stop()
	require.Equal(t, [kinds]accounting.Usage{{5}}, b.totals()[account{1, "a"}])
}

func FuzzHello(f *testing.F) {
	f.Add((&hello{"node", 3, []byte("token")}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := decodeHello(b); err == nil {
			again, err := decodeHello(h.encode())
			require.NoError(t, err)
			require.Equal(t, h, again)
		}
	})
}

func FuzzMessage(f *testing.F) {
	b := make([]byte, messageBytes)
	(&message{3, "tenant", 4}).encode(b)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decodeMessage(b); err == nil {
			c := make([]byte, messageBytes)
			m.encode(c)
			again, err := decodeMessage(c)
			require.NoError(t, err)
			require.Equal(t, m, again)
		}
	})
}

// That the manager is away is logged once, and not at each attempt.
func TestAwayIsSaidOnce(t *testing.T) {
	t.Parallel()
	device, err := transport.Open("loopback:")
	require.NoError(t, err)
	defer device.Close()
	var said bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	tries := 0
	Report(ctx, ReporterConfig{
		Device: device, Node: "a", Epoch: 1, Logger: slog.New(slog.NewTextHandler(&said, nil)),
		Accounts: func() []Account { return nil },
		Dial: func(context.Context) (net.Conn, error) {
			if tries++; tries == 4 {
				cancel()
			}
			return nil, errors.New("no one listens")
		},
	})
	require.Equal(t, 1, strings.Count(said.String(), "no one listens"), "%s", &said)
}
