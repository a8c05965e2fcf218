package agent

import (
	"os"

	"github.com/rfaas-go/rfaas/accounting"
	"github.com/rfaas-go/rfaas/invoke"
)

// NewMeter makes what an executor counts calls with, in a page of the agent: it is for
// executor.Host.NewMeter.
func NewMeter(page *os.File) (invoke.Meter, error) {
	p, err := accounting.MapPage(page)
	if err != nil {
		return nil, err
	}
	return pageMeter{p}, nil
}

// pageMeter adds calls to the words of a page.
type pageMeter struct{ page *accounting.Page }

// Executed implements invoke.Meter.
func (m pageMeter) Executed(e invoke.Execution) {
	m.page.Add(accounting.Invocations, 1)
	m.page.Add(accounting.ExecutedTime, uint64(e.Execution))
	m.page.Add(accounting.PolledTime, uint64(e.Polled))
	m.page.Add(accounting.BytesIn, uint64(e.BytesIn))
	m.page.Add(accounting.BytesOut, uint64(e.BytesOut))
}
