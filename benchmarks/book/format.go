package main

import "github.com/rfaas-go/rfaas/benchmarks/internal/chart"

// unit is what figures are in, and how they are written.
type unit struct {
	name   string
	better string // which figures are the good ones
	steps  []string
}

var (
	nanoseconds    = unit{"time", "less is better", chart.Nanoseconds}
	perSecond      = unit{"operations a second", "more is better", chart.PerSecond}
	bytesPerSecond = unit{"bytes a second", "more is better", chart.BytesPerSecond}
)

// format writes a figure with three digits: 1.25 us.
func (u unit) format(v float64) string { return chart.Decimal(v, u.steps) }

// formatRatio writes a quotient: 0.052×.
func formatRatio(v float64) string { return chart.Digits(v) + "×" }
