package main

import (
	_ "embed"
	"html/template"
	"io"
)

//go:embed page.html.tmpl
var htmlText string

var htmlTemplate = template.Must(template.New(htmlName).Funcs(template.FuncMap{
	// Plots are drawn here, with names that come from the program only.
	"inline": func(f plotFile) template.HTML { return template.HTML(f.inline()) },
}).Parse(htmlText))

// writeHTML writes the page that needs nothing beside it.
func (p *page) writeHTML(w io.Writer) error { return htmlTemplate.Execute(w, p) }
