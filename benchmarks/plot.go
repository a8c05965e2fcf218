package benchmarks

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rfaas-go/rfaas/benchmarks/internal/chart"
	"github.com/rfaas-go/rfaas/benchmarks/internal/origin"
)

// CheckPlot makes sure, before anything is measured, that WritePlot can write a file.
// Errors: *FlagError.
func CheckPlot(file string) error {
	if ext := strings.ToLower(filepath.Ext(file)); !slices.Contains(chart.Kinds, ext) {
		return flagErrorf("--plot %q: the file name must end in one of %s", file, strings.Join(chart.Kinds, ", "))
	}
	if info, err := os.Stat(filepath.Dir(file)); err != nil {
		return flagErrorf("--plot: %w", err)
	} else if !info.IsDir() {
		return flagErrorf("--plot: %s is not a directory", filepath.Dir(file))
	}
	return nil
}

// errNothingToPlot means that there are no results, or none with figures.
var errNothingToPlot = errors.New("--plot: there is nothing to plot")

// WritePlot draws results into a file, an SVG or PNG by its extension: percentiles of
// round trips over the message size when there are several sizes, their cumulative
// distribution up to p99.99, and bandwidth. Lines are named by what differs between
// the results. Below stand the machine, the commit, the time and the command, which
// may be empty. The file appears complete or not at all, in the place of any of the
// same name.
func WritePlot(file, command string, results []Result) error {
	if err := CheckPlot(file); err != nil {
		return err
	}
	panels, err := newPanels(results)
	if err != nil {
		return err
	}
	var picture bytes.Buffer
	if err := chart.Write(&picture, strings.ToLower(filepath.Ext(file)), provenance(origin.Look(), time.Now(), command), panels...); err != nil {
		return err
	}
	return replaceFile(file, picture.Bytes())
}

// provenance is what one has to know of a picture years later.
func provenance(o origin.Info, at time.Time, command string) []string {
	commit := o.Commit
	if commit == "" {
		commit = "unknown"
	}
	lines := []string{
		fmt.Sprintf("%s: %s, %d cores, %s, %s", o.Host, o.CPU, o.Cores, o.Kernel, o.Go),
		fmt.Sprintf("commit %s, %s", commit, at.UTC().Format("2006-01-02 15:04 UTC")),
	}
	if command != "" {
		lines = append(lines, command)
	}
	return lines
}

// newPanels decides what there is to draw.
func newPanels(results []Result) ([]*chart.Panel, error) {
	var latencies, bandwidths []Result
	for _, r := range results {
		if r.RTT.Max > 0 {
			latencies = append(latencies, r)
		} else if r.BytesPerSecond > 0 {
			bandwidths = append(bandwidths, r)
		}
	}
	var panels []*chart.Panel
	for _, p := range []struct {
		wanted bool
		make   func([]Result) (*chart.Panel, error)
		of     []Result
	}{
		{severalSizes(latencies), latencyPanel, latencies},
		{len(latencies) > 0, distributionPanel, latencies},
		{len(bandwidths) > 0, bandwidthPanel, bandwidths},
	} {
		if !p.wanted {
			continue
		}
		panel, err := p.make(p.of)
		if err != nil {
			return nil, err
		}
		panels = append(panels, panel)
	}
	if len(panels) == 0 {
		return nil, errNothingToPlot
	}
	return panels, nil
}

// severalSizes reports whether some test was measured at more than one size.
func severalSizes(results []Result) bool {
	subject := withoutBaselines(results)
	return slices.ContainsFunc(subject, func(r Result) bool { return r.Test == subject[0].Test && r.SizeBytes != subject[0].SizeBytes })
}

// replaceFile writes a file beside its place and moves it there.
func replaceFile(file string, content []byte) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(temp.Name())
		}
	}()
	_, err = temp.Write(content)
	if err == nil {
		err = temp.Chmod(0o644)
	}
	if closing := temp.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(temp.Name(), file)
	}
	return err
}
