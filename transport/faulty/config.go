package faulty

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rfaas-go/rfaas/internal/slowlink"
	"github.com/rfaas-go/rfaas/transport"
)

// Config is what to inject. The zero Config injects nothing. The package
// comment explains the chances.
type Config struct {
	Seed       uint64
	QueueFull  float64
	RecvFull   float64
	Hold       float64
	HoldPolls  int // 0 means 8
	Wake       float64
	Status     float64
	Disconnect float64

	Delay  time.Duration // one way
	Jitter time.Duration
	Rate   float64 // bits a second; 0: no limit
}

// slow reports whether completions come late.
func (cfg *Config) slow() bool { return cfg.link().Slow() }

func (cfg *Config) link() slowlink.Config {
	return slowlink.Config{Delay: cfg.Delay, Jitter: cfg.Jitter, Rate: slowlink.Rate(cfg.Rate)}
}

const (
	defaultHoldPolls = 8
	maxHoldPolls     = 1 << 20 // a program that polls now and then has to get there
)

// The parameters of a URL: these, and the chances.
const (
	seedParameter      = "seed"
	holdPollsParameter = "hold-polls"
	delayParameter     = "delay"
	jitterParameter    = "jitter"
	rateParameter      = "rate"
)

var chances = []struct {
	parameter string
	of        func(*Config) *float64
}{
	{"queue-full", func(c *Config) *float64 { return &c.QueueFull }},
	{"recv-full", func(c *Config) *float64 { return &c.RecvFull }},
	{"hold", func(c *Config) *float64 { return &c.Hold }},
	{"wake", func(c *Config) *float64 { return &c.Wake }},
	{"status", func(c *Config) *float64 { return &c.Status }},
	{"disconnect", func(c *Config) *float64 { return &c.Disconnect }},
}

func parameterNames() []string {
	names := []string{seedParameter, holdPollsParameter, delayParameter, jitterParameter, rateParameter}
	for _, chance := range chances {
		names = append(names, chance.parameter)
	}
	return names
}

const (
	allowedSeed   = "an unsigned 64-bit number"
	allowedChance = "a chance from 0 to 1"
	allowedDelay  = "a duration from 0s to 1m0s, such as 200us"
	allowedRate   = "a rate from 1kbit to 10000Gbit a second, such as 10Gbit"

	maxDelay = time.Minute
)

var allowedPolls = fmt.Sprintf("a number from 1 to %d", maxHoldPolls)

// parse reads the parameters of a URL.
func parse(values url.Values) (cfg Config, err error) {
	read := func(name, allowed string, store func(text string) error) {
		given := values[name]
		switch {
		case err != nil || len(given) == 0:
		case len(given) > 1:
			err = fmt.Errorf("%w: faulty: parameter %s is given %d times; give it once", transport.ErrInvalid, name, len(given))
		case store(given[0]) != nil:
			err = invalid(name, given[0], allowed)
		}
	}
	read(seedParameter, allowedSeed, func(text string) (err error) {
		cfg.Seed, err = strconv.ParseUint(text, 0, 64)
		return err
	})
	read(holdPollsParameter, allowedPolls, func(text string) (err error) {
		cfg.HoldPolls, err = strconv.Atoi(text)
		if err == nil && cfg.HoldPolls == 0 {
			err = strconv.ErrRange // which the zero value of the field is not
		}
		return err
	})
	read(delayParameter, allowedDelay, func(text string) (err error) {
		cfg.Delay, err = time.ParseDuration(text)
		return err
	})
	read(jitterParameter, allowedDelay, func(text string) (err error) {
		cfg.Jitter, err = time.ParseDuration(text)
		return err
	})
	read(rateParameter, allowedRate, func(text string) error {
		rate, err := slowlink.ParseRate(text)
		cfg.Rate = float64(rate)
		return err
	})
	for _, chance := range chances {
		read(chance.parameter, allowedChance, func(text string) (err error) {
			*chance.of(&cfg), err = strconv.ParseFloat(text, 64)
			return err
		})
	}
	if err == nil {
		err = cfg.check()
	}
	return cfg, err
}

// check sets the default, and refuses what is out of range.
func (cfg *Config) check() error {
	if cfg.HoldPolls == 0 {
		cfg.HoldPolls = defaultHoldPolls
	}
	if cfg.HoldPolls < 1 || cfg.HoldPolls > maxHoldPolls {
		return invalid(holdPollsParameter, strconv.Itoa(cfg.HoldPolls), allowedPolls)
	}
	if cfg.Delay < 0 || cfg.Delay > maxDelay {
		return invalid(delayParameter, cfg.Delay.String(), allowedDelay)
	}
	if cfg.Jitter < 0 || cfg.Jitter > maxDelay {
		return invalid(jitterParameter, cfg.Jitter.String(), allowedDelay)
	}
	if cfg.Rate != 0 && !slowlink.Rate(cfg.Rate).Valid() {
		return invalid(rateParameter, strconv.FormatFloat(cfg.Rate, 'g', -1, 64), allowedRate)
	}
	for _, chance := range chances {
		if value := *chance.of(cfg); !(value >= 0 && value <= 1) { // nor is NaN
			return invalid(chance.parameter, strconv.FormatFloat(value, 'g', -1, 64), allowedChance)
		}
	}
	return nil
}

func invalid(name, value, allowed string) error {
	return fmt.Errorf("%w: faulty: parameter %s is %q; it takes %s", transport.ErrInvalid, name, value, allowed)
}

// String is what is injected, as the query of a URL.
func (cfg Config) String() string {
	words := []string{fmt.Sprintf("%s=%d", seedParameter, cfg.Seed)}
	for _, chance := range chances {
		if value := *chance.of(&cfg); value != 0 {
			words = append(words, fmt.Sprintf("%s=%g", chance.parameter, value))
		}
	}
	if cfg.Hold != 0 {
		words = append(words, fmt.Sprintf("%s=%d", holdPollsParameter, cfg.HoldPolls))
	}
	if cfg.slow() {
		words = append(words, cfg.link().String())
	}
	return strings.Join(words, "&")
}
