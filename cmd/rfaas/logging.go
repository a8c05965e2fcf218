package main

import (
	"cmp"
	"context"
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

// workerFailed is what packages alloc and client log of workers that fail to start.
var workerFailed = []string{"worker failed to start", "no worker", "lane given up"}

// toldLater is a log for commands that end with why there was no worker: that, and attempts
// that failed before, are for those who look for them.
func (l *logging) toldLater() *slog.Logger { return slog.New(demoting{l.log.Handler()}) }

// demoting logs what is in workerFailed as information.
type demoting struct{ slog.Handler }

// Handle implements slog.Handler.
func (d demoting) Handle(ctx context.Context, r slog.Record) error {
	if slices.Contains(workerFailed, r.Message) {
		if r.Level = slog.LevelInfo; !d.Enabled(ctx, r.Level) {
			return nil
		}
	}
	return d.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (d demoting) WithAttrs(attrs []slog.Attr) slog.Handler {
	return demoting{d.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (d demoting) WithGroup(name string) slog.Handler { return demoting{d.Handler.WithGroup(name)} }

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
