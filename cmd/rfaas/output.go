package main

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"unicode"

	"github.com/rfaas-go/rfaas/invoke/executor"
)

// outputTo shows what functions print, whatever the level of the log: in lines of their
// own, which they cannot make look like the program's. A | is before what went to a
// function's standard output, a ! before what went to its standard error.
func (l *logging) outputTo(w io.Writer) func(executor.OutputLine) {
	if l.format == "json" {
		log := slog.New(slog.NewJSONHandler(w, nil))
		return func(o executor.OutputLine) {
			log.Info("function output", "process", o.Process, "function", o.Function, "stream", o.Stream.String(), "text", o.Text)
		}
	}
	return func(o executor.OutputLine) {
		mark := '|'
		if o.Stream == executor.Stderr {
			mark = '!'
		}
		fmt.Fprintf(w, "%s[%d] %c %s\n", outputLabel(o.Function), o.Process, mark, o.Text)
	}
}

// outputLabel is a function's name. Tenants choose names: one that could begin a line of
// the log is quoted.
func outputLabel(function string) string {
	plain := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_./", r) }
	switch {
	case function == "":
		return executorName
	case strings.ContainsFunc(function, func(r rune) bool { return !plain(r) }):
		return strconv.Quote(function)
	}
	return function
}
