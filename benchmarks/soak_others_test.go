package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/transport"
)

// soakCame is which others came, and what it took them.
type soakCame struct {
	Kinds     map[string]int
	Wrong     []string // what they should not have seen
	CPU, Wall time.Duration
}

func (c *soakCame) add(o soakCame) {
	if c.Kinds == nil {
		c.Kinds = map[string]int{}
	}
	for kind, n := range o.Kinds {
		c.Kinds[kind] += n
	}
	c.Wrong = append(c.Wrong, o.Wrong...)
	c.CPU += o.CPU
	c.Wall += o.Wall
}

// soakOthers is everybody but the honest four.
type soakOthers struct {
	dev     *transport.Device
	address string
	budget  tenth
	apart   sync.Mutex // held by who has the worker set memory aside: it has what it had, then
}

// soakOther is one kind of them: clients at a time, of which so many are in a deck.
type soakOther struct {
	kind    string
	clients int
	inDeck  int
	come    func(o *soakOthers) error
}

// A deck is one of each and some more: 20 clients, who come 17 times.
var soakDeck = []soakOther{
	{"short", 1, 5, (*soakOthers).short},
	{"killed", doomedClients, 1, (*soakOthers).killed},
	{"not called again", 1, 1, as((*soakOthers).connect, (*soakOthers).idle)},
	{"silent", 1, 1, as((*soakOthers).dial, (*soakOthers).silent)},
	{"half a greeting", 1, 1, as((*soakOthers).dial, (*soakOthers).halfGreeting)},
	{"garbage for a greeting", 1, 1, as((*soakOthers).dial, (*soakOthers).garbage)},
	{"garbage later", 1, 1, as((*soakOthers).connect, (*soakOthers).garbage)},
	{"many regions", 1, 1, as((*soakOthers).connect, (*soakOthers).manyRegions)},
	{"a region twice", 1, 1, as((*soakOthers).connect, (*soakOthers).sameRegion)},
	{"a region too large", 1, 1, as((*soakOthers).connect, (*soakOthers).largeRegion)},
	{"an old key", 1, 1, as((*soakOthers).connect, (*soakOthers).oldKey)},
	{"a region promised", 1, 1, as((*soakOthers).strange, (*soakOthers).promisedRegion)},
	{"deaf", 1, 1, as((*soakOthers).connect, (*soakOthers).deaf)},
}

const (
	deckClients = 20
	deckComings = 17
)

// mostAtOnce is how many others there are at a time.
const mostAtOnce = 16

// playOthers lets one come whenever it is told, and says what there was when they are all
// gone.
func playOthers(dev *transport.Device, address string) error {
	o := &soakOthers{dev: dev, address: address}
	var v *soakVisit
	return answerLines(func(line string) (any, error) {
		if v == nil {
			v = o.open()
		}
		if line == "come" {
			v.come()
			return nil, nil
		}
		came := v.close()
		v = nil
		return came, nil
	})
}

// soakVisit is others that come and go.
type soakVisit struct {
	*soakOthers
	came   soakCame
	start  time.Time
	used   time.Duration
	deck   []soakOther // who is still to come of it
	room   chan struct{}
	coming sync.WaitGroup
	mu     sync.Mutex // came.Wrong's
}

func (o *soakOthers) open() *soakVisit {
	o.budget.begin()
	return &soakVisit{
		soakOthers: o, came: soakCame{Kinds: map[string]int{}},
		start: time.Now(), used: processorTime(), room: make(chan struct{}, mostAtOnce),
	}
}

// come lets one more come, when there is room and time for it.
func (v *soakVisit) come() {
	if len(v.deck) == 0 {
		for _, kind := range soakDeck {
			v.deck = append(v.deck, slices.Repeat([]soakOther{kind}, kind.inDeck)...)
		}
		rand.Shuffle(len(v.deck), func(i, j int) { v.deck[i], v.deck[j] = v.deck[j], v.deck[i] })
	}
	who := v.deck[0]
	v.deck = v.deck[1:]
	v.room <- struct{}{}
	v.budget.wait()
	v.came.Kinds[who.kind] += who.clients
	v.coming.Go(func() {
		defer func() { <-v.room }()
		if err := who.come(v.soakOthers); err != nil {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.came.Wrong = append(v.came.Wrong, who.kind+": "+err.Error())
		}
	})
}

// close waits until all are gone, and their time is paid for.
func (v *soakVisit) close() soakCame {
	v.coming.Wait()
	v.budget.wait()
	v.came.CPU, v.came.Wall = processorTime()-v.used, time.Since(v.start)
	return v.came
}

// tenth holds a process, and its children when they have ended, to a tenth of a core. What
// was not used for long is not saved up.
type tenth struct {
	mu   sync.Mutex
	from time.Time
	used time.Duration // until then
}

const (
	tenthOf     = 10
	mostSavings = 50 * time.Millisecond // of time
)

// processorTime is what this process and its children have used.
func processorTime() (sum time.Duration) {
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if err := unix.Getrusage(who, &u); err != nil {
			panic(err) // there is no reason for one
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}

func (b *tenth) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.from, b.used = time.Now(), processorTime()
}

// wait returns when the process may go on.
func (b *tenth) wait() {
	for {
		owed := b.owed()
		if owed <= 0 {
			return
		}
		time.Sleep(owed)
	}
}

func (b *tenth) owed() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	owed := tenthOf*(processorTime()-b.used) - time.Since(b.from)
	if owed < -mostSavings {
		b.from = b.from.Add(-mostSavings - owed)
	}
	return owed
}

// short is a client that has something to do, and leaves.
func (o *soakOthers) short() error {
	c, err := dialSoak(o.dev, o.address)
	if err != nil {
		return err
	}
	defer c.Close()
	for i := range 200 {
		if i%20 == 0 {
			o.budget.wait()
		}
		if err := c.call(); err != nil {
			return err
		}
	}
	o.apart.Lock()
	defer o.apart.Unlock()
	o.budget.wait()
	if err := c.large(); err != nil {
		return err
	}
	return c.Close()
}

// idle is a client that calls once, stays for a while and is gone without a word.
func (o *soakOthers) idle(s *stranger) error {
	if err := s.call(); err != nil {
		return err
	}
	time.Sleep(stay)
	return nil
}

const doomedClients = 4

// killed is a process that is killed in the middle of its clients' calls.
func (o *soakOthers) killed() error {
	o.apart.Lock()
	defer o.apart.Unlock()
	p, err := newSoak(context.Background(), "doomed", o.address)
	if err != nil {
		return err
	}
	time.Sleep(rand.N(20 * time.Millisecond)) // to be killed at another point each time
	p.kill()
	return nil
}

// playDoomed makes calls until it is killed: eight at once, that are answered or not.
func playDoomed(dev *transport.Device, address string) error {
	var clients [doomedClients]*honestClient
	for i := range clients {
		var err error
		if clients[i], err = dialSoak(dev, address); err != nil {
			return err
		}
		if err := clients[i].call(); err != nil {
			return err
		}
	}
	var budget tenth
	budget.begin()
	for i, c := range clients {
		go func() {
			var err error
			for err == nil {
				err = c.several(i == 0)
				budget.wait()
			}
			fmt.Fprintln(os.Stderr, "doomed, and not killed:", err)
			os.Exit(1)
		}()
	}
	_ = answerLines(func(string) (any, error) { return nil, errors.New("nobody tells it anything") })
	return errors.New("who started it has ended")
}
