//go:build cgo

package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// limited is the source of functions that take what there are limits of.
const limited = `
#include <stdint.h>
#include <stdio.h>
#include <string.h>
uint32_t spin(void *args, uint32_t size, void *res)
{
	printf("spinning\n");
	for (;;)
		__asm__ volatile("");
}
uint32_t deep(void *args, uint32_t size, void *res) /* 32 MiB of stack */
{
	char frame[32 << 20];
	for (char *volatile p = frame + sizeof frame; p > frame; p -= 4096)
		p[-1] = 1;
	return 0;
}
uint32_t loud(void *args, uint32_t size, void *res)
{
	for (int i = 0; i < 2000; i++)
		printf("out\n");
	printf("last\n");
	fprintf(stderr, "err\n");
	return 0;
}`

// The limits of bare code are flags of the command, those of a package of rfaas pack. A call
// that goes beyond one is told which. What it has printed before is there.
func TestLimits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	compile(t, filepath.Join(dir, "limited.so"), limited)
	succeed(t, dir, "pack", "-o", "spin.rfaas", "--function", "spin", "--time-limit", "100ms", "limited.so")
	succeed(t, dir, "pack", "-o", "deep.rfaas", "--function", "deep", "--stack", "1MiB", "limited.so")
	require.Contains(t, succeed(t, dir, "inspect", "deep.rfaas"), "time 1m0s, stack 1MiB\n")
	write(t, dir, "in", "")
	for _, c := range []struct {
		function, limit string
		want            string
	}{
		{"limited.so:spin", "--time-limit=100ms", `(?s)spin\[\d+\] \| spinning\n.*took longer than its time limit of 100ms; allow more with --time-limit\b`},
		{"spin.rfaas", "", `(?s)spin\[\d+\] \| spinning\n.*took longer than its time limit of 100ms; allow its package more with rfaas pack --time-limit\b`},
		{"limited.so:deep", "", `: a stack overflow \(its stack has 8388608 bytes\); allow more with --stack\b`},
		{"limited.so:deep", "--stack=20MiB", `: a stack overflow \(its stack has 20971520 bytes\); allow more with --stack\b`},
		{"deep.rfaas", "", `: a stack overflow \(its stack has 1048576 bytes\); allow its package more with rfaas pack --stack\b`},
	} {
		for _, args := range [][]string{{"invoke", c.function}, {"run", "-f", c.function, "in"}} {
			if c.limit != "" {
				args = append(args, c.limit)
			}
			status, stdout, stderr := run(t, dir, args...)
			require.Equal(t, exitFailed, status)
			require.Regexp(t, c.want, stderr+stdout, args)
		}
	}
	succeed(t, dir, "invoke", "limited.so:deep", "--stack", "40MiB")
	succeed(t, dir, "invoke", "limited.so:deep", "--stack", "40MiB", "--trust-code")
}

// Limits are for bare code, and have to be possible.
func TestLimitsUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	compile(t, filepath.Join(dir, "limited.so"), limited)
	succeed(t, dir, "pack", "limited.so")
	refuses(t, dir, []string{"invoke"}, map[string][]string{
		"--memory: limited.rfaas:spin is a package, whose manifest says that: make it with rfaas pack --memory": {"limited.rfaas:spin", "--memory", "1GiB"},
		"--stack: echo comes with the program, and has nothing of the kind; leave it out":                       {"echo", "--stack", "1MiB"},
		"--time-limit 0: must be more than 0; leave it out for the default":                                     {"limited.so:spin", "--time-limit", "0"},
		"time_limit: -1s: must be":                         {"limited.so:spin", "--time-limit", "-1s"},
		"memory_bytes: 5: must be":                         {"limited.so:spin", "--memory", "5"},
		"stack_bytes: 1073741824: is more than the memory": {"limited.so:spin", "--stack", "1GiB"},
	})
}

// Code that is trusted may take as long as it likes, unless a flag says otherwise.
func TestLimitsOfTrustedCode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	compile(t, filepath.Join(dir, "limited.so"), limited)
	open := func(trust bool, flags *codeFlags) *function {
		flags.trust = trust
		f, closeFunction, err := openFunction(filepath.Join(dir, "limited.so:spin"), flags)
		require.NoError(t, err)
		t.Cleanup(closeFunction)
		return f
	}
	require.NotZero(t, open(false, &codeFlags{threads: 1}).describe().TimeLimit)
	require.Zero(t, open(true, &codeFlags{threads: 1}).describe().TimeLimit)
	stderr := fails(t, dir, "invoke", "limited.so:spin", "--trust-code", "--time-limit", "100ms")
	require.Contains(t, stderr, "took longer than its time limit of 100ms; allow more with --time-limit")
}

// All that functions print is there before the summary, by streams.
func TestPrintedBeforeSummary(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	compile(t, filepath.Join(dir, "limited.so"), limited)
	write(t, dir, "in", "")
	for summary, args := range map[string][]string{
		"loud: 1 of 1 input done": {"run", "-f", "limited.so:loud", "in"},
		"2 calls: ":               {"invoke", "limited.so:loud", "--repeat", "2"},
	} {
		status, _, stderr := run(t, dir, args...)
		require.Equal(t, exitOK, status)
		require.Regexp(t, `(?s)\| last\n.*`+summary, stderr)
		require.Regexp(t, `(?m)^loud\[\d+\] ! err$`, stderr)
	}
}
