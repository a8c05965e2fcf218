package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// The pages in the folder.
const (
	htmlName     = "index.html"
	markdownName = "README.md"
)

// page is what both pages say.
type page struct {
	Title    string
	Intro    string
	Facts    []fact
	Parts    []participant
	Sections []*pageSection
	Notes    []string
}

type fact struct{ Name, Value string }

// participant is one of the series, of any section.
type participant struct {
	Name, Kind, Version string
	Missing             string // what to do about it; empty if it is there
	Sections            []string
}

type pageSection struct {
	Name, Title, About string
	Reading            string // how to read the table
	Base               string
	Columns            []string
	Rows               []pageRow
	Notes              []string // of series
	Failures           []string
	Commands           []fact // by series
	CommandsAt         string // the setting of Commands
	Plot               plotFile
}

type pageRow struct {
	Name, Kind string
	Base       bool
	Missing    string // instead of cells
	Cells      []pageCell
}

// pageCell is empty where there is no figure: then Lack says why.
type pageCell struct {
	Value, Spread      string
	Ratio, RatioSpread string
	Lack               string
}

const intro = "Each figure is the median over the rounds, with the least and the greatest of the rounds beside it. " +
	"In a round, all series take turns at every size or setting, in an order that changes with the rounds. " +
	"A ratio is the figure divided by that of the section's base series in the same round; it, too, is the median over the rounds, with the least and the greatest. " +
	"Compare figures of this page with each other only: those of another machine, or of this one on another day, are about something else."

func newPage(m *machine, o *options, measured []*measurement) (*page, error) {
	p := &page{Title: "What a message and a call cost on this machine", Intro: intro}
	rounds := fmt.Sprint(o.rounds)
	if o.effort().samples != full.samples {
		rounds += ", of a quick run: few iterations, and figures that say little"
	}
	p.Facts = []fact{
		{"Processor", fmt.Sprintf("%s, %d cores for this program", m.CPU, m.Cores)},
		{"Kernel", m.Kernel},
		{"Go", m.Go + " " + runtime.GOOS + "/" + runtime.GOARCH},
		{"Commit", m.Commit},
		{"Date", m.started.UTC().Format("2006-01-02 15:04 UTC")},
		{"Load before", m.load + " (runnable processes over 1, 5 and 15 minutes; other work disturbs the figures)"},
		{"Cores", m.placement()},
		{"Rounds", rounds},
		{"Command", o.command},
	}
	for _, r := range measured {
		s, err := newPageSection(r)
		if err != nil {
			return nil, fmt.Errorf("section %s: %w", r.section.name, err)
		}
		p.Sections = append(p.Sections, s)
		p.addParticipants(r)
	}
	p.Notes = m.notes
	return p, nil
}

// placement says where the two ends of a measurement run.
func (m *machine) placement() string {
	if m.measuring == m.peer {
		return fmt.Sprintf("there is one only, %d: both ends share it, and the figures are those of the scheduler", m.peer)
	}
	text := fmt.Sprintf("what polls has a core for each end, %d (measuring) and %d; this project pins its threads", m.measuring, m.peer)
	if m.taskset == "" {
		text += ", peers are not pinned, as taskset is missing"
	} else {
		text += ", peers that poll are pinned by taskset"
	}
	return text + ". What sleeps in the kernel (sockets, net/rpc, gRPC) is where the kernel puts it, as in ordinary use, " +
		"which may be one core for both ends: to wake another core can take much longer. Series called pinned have a core for each end"
}

func (p *page) addParticipants(r *measurement) {
	for i, x := range r.section.series {
		at := slices.IndexFunc(p.Parts, func(q participant) bool { return q.Name == x.name() })
		if at < 0 {
			at = len(p.Parts)
			p.Parts = append(p.Parts, participant{Name: x.name(), Kind: string(x.kind()), Version: r.versions[i], Missing: r.missing[i]})
		}
		p.Parts[at].Sections = append(p.Parts[at].Sections, r.section.name)
	}
}

func newPageSection(r *measurement) (*pageSection, error) {
	s := r.section
	p := &pageSection{Name: s.name, Title: s.title, About: s.about, Base: s.base, CommandsAt: s.settings[0].label}
	if len(s.settings) > 1 {
		p.CommandsAt += "; other columns differ in numbers only"
	}
	p.Reading = fmt.Sprintf("%s, %s. Ratios (×) are to %s.", strings.ToUpper(s.unit.name[:1])+s.unit.name[1:], s.unit.better, s.base)
	columns := s.columns()
	for _, c := range columns {
		p.Columns = append(p.Columns, c.label)
	}
	base := slices.IndexFunc(s.series, func(x series) bool { return x.name() == s.base })
	if base < 0 {
		return nil, fmt.Errorf("there is no series %s to be the base", s.base)
	}
	for i, x := range s.series {
		row := pageRow{Name: x.name(), Kind: string(x.kind()), Base: i == base, Missing: r.missing[i]}
		if row.Missing == "" {
			for _, c := range columns {
				row.Cells = append(row.Cells, r.cell(i, base, c))
			}
			p.Commands = append(p.Commands, fact{x.name(), x.command(s.settings[0])})
			if note := x.note(); note != "" {
				p.Notes = append(p.Notes, x.name()+": "+note)
			}
		}
		p.Rows = append(p.Rows, row)
		for j, err := range r.failures[i] {
			if err != nil && err != errNotMeasured {
				p.Failures = append(p.Failures, fmt.Sprintf("%s, %s: %s", x.name(), s.settings[j].label, strings.Join(strings.Fields(err.Error()), " ")))
			}
		}
	}
	var err error
	p.Plot, err = drawPlot(r)
	return p, err
}

// cell is what a column has of a series.
func (r *measurement) cell(i, base int, c column) pageCell {
	u := r.section.unit
	values := r.values(i, c)
	s, ok := spreadOf(values)
	if !ok {
		switch err := r.failures[i][c.setting]; {
		case err == nil, err == errNotMeasured:
			return pageCell{Lack: "–"}
		default:
			return pageCell{Lack: "failed"}
		}
	}
	cell := pageCell{Value: u.format(s.median)}
	q, ok := spreadOf(ratios(values, r.values(base, c)))
	if ok {
		cell.Ratio = formatRatio(q.median)
	}
	if len(values) == 1 {
		return cell // and its spread would say nothing
	}
	cell.Spread = u.format(s.min) + " … " + u.format(s.max)
	if ok && i != base {
		cell.RatioSpread = formatRatio(q.min) + " … " + formatRatio(q.max)
	}
	return cell
}

// write puts the pages and plots into a folder. They are written beside their places, and
// take them when all are there, the page that shows the others last.
func (p *page) write(dir string) (err error) {
	type file struct {
		name    string
		content []byte
	}
	var files []file
	for _, s := range p.Sections {
		if len(s.Plot.SVG) > 0 {
			files = append(files, file{s.Plot.Name, s.Plot.SVG})
		}
	}
	var markdown, html bytes.Buffer
	if err := p.writeMarkdown(&markdown); err != nil {
		return err
	}
	if err := p.writeHTML(&html); err != nil {
		return err
	}
	files = append(files, file{markdownName, markdown.Bytes()}, file{htmlName, html.Bytes()})
	beside := make([]string, len(files))
	defer func() {
		if err != nil {
			for _, name := range beside {
				if name != "" {
					os.Remove(name)
				}
			}
		}
	}()
	for i, f := range files {
		if beside[i], err = writeBeside(dir, f.name, f.content); err != nil {
			return err
		}
	}
	for i, f := range files {
		if err = os.Rename(beside[i], filepath.Join(dir, f.name)); err != nil {
			return err
		}
		beside[i] = ""
	}
	return nil
}

// writeBeside writes a file that is to be renamed. It leaves nothing behind when it fails.
func writeBeside(dir, name string, content []byte) (string, error) {
	f, err := os.CreateTemp(dir, "."+name+".*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}
