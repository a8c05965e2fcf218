package main

import (
	"errors"
	"fmt"
	"strings"
)

// The exit statuses. They are part of the command-line contract.
const (
	exitOK          = 0
	exitFailed      = 1   // some inputs failed, or nothing could be done at all
	exitUsage       = 2   // a mistake on the command line; nothing was started
	exitInterrupted = 130 // ended by Ctrl-C or a signal
)

// exitHelp is what all help texts end with.
const exitHelp = `Exit status:
  0    everything succeeded
  1    something failed, or could not be begun; what and why is said
  2    a mistake on the command line; nothing was started
  130  interrupted before it was done (Ctrl-C, SIGTERM or SIGHUP)`

// exitError ends the program with a status. A nil err means that everything has
// been said.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usageError is a mistake on the command line.
func usageError(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// asUsage makes a usage error of an error that is an E, and leaves others as they are.
func asUsage[E error](err error) error {
	if _, ok := errors.AsType[E](err); ok {
		return &exitError{exitUsage, err}
	}
	return err
}

// packagePrefixes are what errors of packages of this module begin with. It means nothing on
// a command line.
var packagePrefixes = []string{"accounting: ", "agent: ", "alloc: ", "invoke: ", "lease: ", "manager: ", "pack: ", "rxe: ", "transport: "}

// told is the text of an error of a command, or of several, a line each: without the names of
// packages, and that of the command, which is there already.
func told(command string, err error) string {
	lines := strings.Split(err.Error(), "\n")
	for i := range lines {
		lines[i] = withoutPrefixes(lines[i], command+": ")
	}
	return strings.Join(lines, "\n")
}

func withoutPrefixes(line, own string) string {
	for _, prefix := range append(packagePrefixes, own) {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			return withoutPrefixes(rest, own)
		}
	}
	return line
}

// statusOf is the exit status for an error, and what there is to say.
func statusOf(err error) (status int, message error) {
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.status, e.err
	}
	return exitFailed, err
}
