package benchmarks

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

var plotKinds = []string{".svg", ".png"}

// Size of one panel.
const (
	panelWidth  = 18 * vg.Centimeter
	panelHeight = 12 * vg.Centimeter
	margin      = 0.4 * vg.Centimeter
)

// checkPlot makes sure, before anything is measured, that a plot can be written.
func checkPlot(file string) error {
	if file == "" {
		return nil
	}
	if ext := strings.ToLower(filepath.Ext(file)); !slices.Contains(plotKinds, ext) {
		return flagErrorf("--plot %q: the file name must end in one of %s", file, strings.Join(plotKinds, ", "))
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

// WritePlot draws results into a file, an SVG or PNG by its extension: round
// trips over the message size when there are several sizes, their cumulative
// distribution, and bandwidth over the size. The file appears complete or not
// at all, in the place of any of the same name.
func WritePlot(file string, results []Result) error {
	if err := checkPlot(file); err != nil {
		return err
	}
	panels, err := newPanels(results)
	if err != nil {
		return err
	}
	var picture bytes.Buffer
	if err := render(&picture, strings.ToLower(filepath.Ext(file)), panels); err != nil {
		return err
	}
	return replaceFile(file, picture.Bytes())
}

// newPanels decides what there is to draw.
func newPanels(results []Result) ([]*plot.Plot, error) {
	var latencies, bandwidths []Result
	for _, r := range results {
		if r.RTT.Max > 0 {
			latencies = append(latencies, r)
		} else if r.BytesPerSecond > 0 {
			bandwidths = append(bandwidths, r)
		}
	}
	var panels []*plot.Plot
	for _, p := range []struct {
		wanted bool
		make   func([]Result) (*plot.Plot, error)
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
	return slices.ContainsFunc(linesOf(results), func(l line) bool { return len(l.results) > 1 })
}

// render draws the panels beside each other.
func render(w io.Writer, ext string, panels []*plot.Plot) error {
	width, height := panelWidth*vg.Length(len(panels)), panelHeight
	var canvas interface {
		vg.CanvasSizer
		io.WriterTo
	}
	if ext == ".svg" {
		canvas = vgsvg.New(width, height)
	} else {
		canvas = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(144))}
	}
	tiles := draw.Tiles{Rows: 1, Cols: len(panels), PadX: 2 * margin, PadTop: margin, PadBottom: margin, PadLeft: margin, PadRight: 2 * margin}
	for i, c := range plot.Align([][]*plot.Plot{panels}, tiles, draw.New(canvas))[0] {
		panels[i].Draw(c)
	}
	_, err := canvas.WriteTo(w)
	return err
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
