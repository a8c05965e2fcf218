package main

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// logging is how the program logs, to the standard error.
type logging struct {
	level, format string
	log           *slog.Logger
}

var (
	logLevels  = []string{"debug", "info", "warn", "error"}
	logFormats = []string{"text", "json"}
)

func (l *logging) flags(flags *pflag.FlagSet) {
	flags.StringVar(&l.level, "log-level", cmp.Or(l.level, "warn"), "log from this `LEVEL` on: "+strings.Join(logLevels, ", "))
	flags.StringVar(&l.format, "log-format", cmp.Or(l.format, "text"), "`FORMAT` of the log, and of what functions print: "+strings.Join(logFormats, ", "))
}

// start makes the logger that the flags ask for, and the default one.
func (l *logging) start(w io.Writer) error {
	var level slog.Level
	if !slices.Contains(logLevels, l.level) {
		return fmt.Errorf("--log-level %q: must be one of %s", l.level, strings.Join(logLevels, ", "))
	}
	if err := level.UnmarshalText([]byte(l.level)); err != nil {
		return fmt.Errorf("--log-level %q: %w", l.level, err)
	}
	options := &slog.HandlerOptions{Level: level}
	switch l.format {
	case "text":
		l.log = slog.New(slog.NewTextHandler(w, options))
	case "json":
		l.log = slog.New(slog.NewJSONHandler(w, options))
	default:
		return fmt.Errorf("--log-format %q: must be one of %s", l.format, strings.Join(logFormats, ", "))
	}
	slog.SetDefault(l.log)                 // for packages that are given none
	slog.SetLogLoggerLevel(slog.LevelWarn) // package log says what went wrong, mostly
	return nil
}
