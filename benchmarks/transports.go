package benchmarks

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/rfaas-go/rfaas/transport"
)

// transportRounds is in how many rounds transports are measured beside each other.
const transportRounds = 5

// tryOthers opens all devices once, if there are several: better now than when the first ones
// have been measured.
func (r *runner) tryOthers() error {
	if len(r.config.Others) == 0 {
		return nil
	}
	for _, url := range r.urls() {
		d, err := transport.Open(url)
		if err != nil {
			return err
		}
		d.Close()
	}
	return nil
}

func (r *runner) urls() []string { return append([]string{r.config.Transport}, r.config.Others...) }

// use has p measured on a device, with the same one at the other end if it is one of several.
func (r *runner) use(url string, p params) params {
	r.url = url
	if len(r.config.Others) > 0 {
		p.Transport = url
	}
	return p
}

// overEach measures functions over one device after the other: they take turns themselves.
func (r *runner) overEach(ctx context.Context, t *test, p params) (all []Result, err error) {
	for _, url := range r.urls() {
		p := r.use(url, p)
		r.begin(p, "")
		results, err := t.functions(ctx, r, p)
		if err != nil {
			return nil, err
		}
		all = append(all, results...)
	}
	return all, nil
}

// inTurns measures p over several devices.
func (r *runner) inTurns(ctx context.Context, t *test, p params) ([]Result, error) {
	urls := r.urls()
	results, sums, total := make([]Result, len(urls)), make([]*samples, len(urls)), make([]outcome, len(urls))
	for i := range sums {
		sums[i] = newSamples()
	}
	rounds := min(transportRounds, p.Iterations)
	err := takeTurns(rounds, len(urls), p.Iterations, func(round, i, n int) error {
		part := r.use(urls[i], p)
		part.Iterations, part.Warmup = n, warmup(n)
		r.begin(part, fmt.Sprintf(", round %d of %d", round+1, rounds))
		result, o, err := r.one(ctx, t, part)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name(), err)
		}
		result.RoundP50, result.RoundRates = results[i].RoundP50, results[i].RoundRates
		if t.bandwidth {
			result.RoundRates = append(result.RoundRates, rate(float64(n)*float64(p.SizeBytes), o.ns))
		} else {
			result.RoundP50 = append(result.RoundP50, r.out.roundTrips().P50)
		}
		results[i] = result
		sums[i].merge(r.out)
		total[i].add(o)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range results {
		results[i].Iterations = p.Iterations
		results[i].sum(sums[i], p.Iterations, total[i])
		if i > 0 {
			results[i].Ratio = ratio(&results[0], &results[i])
		}
	}
	return results, nil
}

// takeTurns spreads iterations over rounds, in each of which everybody has a turn. The order is
// reversed in every second one.
func takeTurns(rounds, everybody, iterations int, turn func(round, i, n int) error) error {
	for round := range rounds {
		n := iterations*(round+1)/rounds - iterations*round/rounds
		for i := range everybody {
			if round%2 == 1 {
				i = everybody - 1 - i
			}
			if err := turn(round, i, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// add adds what another round took.
func (o *outcome) add(other outcome) {
	o.ns += other.ns
	o.allocations += other.allocations
	if o.counters == nil {
		o.counters = maps.Clone(other.counters)
		return
	}
	for name, n := range other.counters {
		o.counters[name] += n
	}
}

// ratio takes the quotients of the rounds.
func ratio(first, r *Result) *Ratio {
	var quotients []float64
	for i := range r.RoundP50 {
		quotients = append(quotients, float64(r.RoundP50[i])/float64(max(first.RoundP50[i], 1)))
	}
	for i := range r.RoundRates {
		quotients = append(quotients, r.RoundRates[i]/max(first.RoundRates[i], 1))
	}
	return &Ratio{To: first.Transport, Min: thousandths(slices.Min(quotients)), P50: thousandths(median(quotients)), Max: thousandths(slices.Max(quotients))}
}
