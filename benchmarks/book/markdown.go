package main

import (
	"fmt"
	"io"
	"strings"
)

// writeMarkdown writes the page that shows the plots beside it.
func (p *page) writeMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n\n", p.Title, p.Intro)
	for _, f := range p.Facts {
		value := escape(f.Value)
		if f.Name == "Command" {
			value = code(f.Value)
		}
		fmt.Fprintf(&b, "- %s: %s\n", f.Name, value)
	}
	for _, s := range p.Sections {
		s.writeMarkdown(&b)
	}
	b.WriteString("\n## Who takes part\n\n")
	tableRow(&b, "series", "kind", "version", "sections")
	tableRow(&b, "---", "---", "---", "---")
	for _, x := range p.Parts {
		version := x.Version
		if x.Missing != "" {
			version = "missing: " + x.Missing
		}
		tableRow(&b, x.Name, x.Kind, version, strings.Join(x.Sections, ", "))
	}
	list(&b, "### Remarks of the tests", p.Notes)
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *pageSection) writeMarkdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n", s.Title, s.About)
	if len(s.Plot.SVG) > 0 {
		fmt.Fprintf(b, "\n![%s](%s)\n", s.Title, s.Plot.Name)
	}
	fmt.Fprintf(b, "\n%s\n\n", s.Reading)
	tableRow(b, append([]string{"series"}, s.Columns...)...)
	b.WriteString("|---|" + strings.Repeat("--:|", len(s.Columns)) + "\n")
	for _, r := range s.Rows {
		name := r.Name
		if r.Base {
			name += " (base)"
		}
		cells := []string{name}
		if r.Missing != "" {
			cells = append(cells, "missing: "+r.Missing)
		}
		for _, c := range r.Cells {
			cells = append(cells, c.markdown())
		}
		for len(cells) <= len(s.Columns) {
			cells = append(cells, "")
		}
		tableRow(b, cells...)
	}
	list(b, "### Failed", s.Failures)
	list(b, "", s.Notes)
	fmt.Fprintf(b, "\nWhat was run (%s):\n\n", s.CommandsAt)
	for _, c := range s.Commands {
		fmt.Fprintf(b, "- %s: %s\n", c.Name, code(c.Value))
	}
}

func (c pageCell) markdown() string {
	if c.Lack != "" {
		return c.Lack
	}
	text := "**" + c.Value + "**"
	if c.Spread != "" {
		text += " (" + c.Spread + ")"
	}
	if c.Ratio != "" {
		text += "; " + c.Ratio
	}
	if c.RatioSpread != "" {
		text += " (" + c.RatioSpread + ")"
	}
	return text
}

func list(b *strings.Builder, title string, items []string) {
	if len(items) == 0 {
		return
	}
	if title != "" {
		fmt.Fprintf(b, "\n%s\n", title)
	}
	b.WriteString("\n")
	for _, item := range items {
		fmt.Fprintf(b, "- %s\n", escape(item))
	}
}

func tableRow(b *strings.Builder, cells ...string) {
	for _, c := range cells {
		fmt.Fprintf(b, "| %s ", strings.ReplaceAll(c, "|", `\|`))
	}
	b.WriteString("|\n")
}

// escape keeps what others said from being Markdown.
func escape(text string) string {
	return strings.NewReplacer("<", "&lt;", ">", "&gt;", "*", `\*`, "_", `\_`, "[", `\[`, "`", "\\`").Replace(text)
}

// code is text as it is.
func code(text string) string { return "`" + strings.ReplaceAll(text, "`", "'") + "`" }
