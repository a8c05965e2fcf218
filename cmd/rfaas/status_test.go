package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/accounting"
	"github.com/rfaas-go/rfaas/alloc/agent"
)

// One mistake has one exit status and one text, whichever command it is made in: 2 if the
// command line alone shows it, 1 if what it names is not there or does not work.
func TestExitStatuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "input", "x")
	write(t, dir, "bad.so", "no shared object")
	write(t, dir, "bad.rfaas", "no package")
	write(t, dir, "file", "x")
	const unknown, noPackage = "no such file or directory", "bad."
	withTransport := []string{
		"run -f echo --transport %s input", "invoke echo --transport %s", "agent --admin 127.0.0.1:0 --state state --transport %s",
		"manager --listen 127.0.0.1:0 --state state --transport %s", "roce pingpong 127.0.0.1 --port 1 --transport %s",
	}
	withAnyTransport := append([]string{"bench write-lat --transport %s", "bench --listen 127.0.0.1:0 --transport %s"}, withTransport...)
	withManager := []string{
		"run -f echo --manager %s input", "invoke echo --manager %s", "nodes --manager %s", "nodes -w --manager %s", "lease list --manager %s",
		"lease end n 3-17 --manager %s", "drain n --manager %s", "bill --manager %s", "agent --state state --manager %s",
	}
	withManager1 := []string{withManager[0], withManager[1], withManager[2], withManager[4], withManager[5], withManager[6], withManager[7]} // the others wait for it
	write(t, dir, "script", "#!/bin/sh\ncat\n")
	withCode := []string{"pack %s script", "run -f ./script %s input", "invoke ./script %s"}
	withFunction := []string{"run -f %s input", "invoke %s"}
	withPackage := append([]string{"pack %s", "inspect %s", "cache add %s"}, withFunction...)
	withFolder := []string{"run -f echo -o %s/x input", "invoke echo -o %s/x", "roce capture %s/x run -f echo input", "manager --listen 127.0.0.1:0 --state %s/x", "agent --state %s/x"}
	withToken := []string{"nodes --manager http://127.0.0.1:1 --token-file %s", "bill --manager http://127.0.0.1:1 --token-file %s", "run -f echo --manager http://127.0.0.1:1 --token-file %s input", "agent --token-file %s"}
	for _, c := range []struct {
		lines  []string
		value  string
		status int
		want   string
	}{
		{withAnyTransport, "tin:", exitUsage, `: --transport tin: unknown transport "tin"; there are: loopback, shm, softroce, verbs`},
		{withAnyTransport, "paper+shm:", exitUsage, `: --transport paper+shm: unknown decorator "paper"; there are: faulty, trace`},
		{withAnyTransport, "shm:?x=1", exitUsage, `: --transport shm:?x=1: invalid: parameter x is known to no layer of the URL: shm has none`},
		{withAnyTransport, "softroce:?mtu=x", exitUsage, `: --transport softroce:?mtu=x: invalid: parameter mtu: `},
		{withAnyTransport, "softroce://192.0.2.77", exitUsage, `: --transport softroce://192.0.2.77: not supported: RoCE packets are neither`},
		{withAnyTransport, "softroce://192.0.2.77?trust-network", exitFailed, `: --transport softroce://192.0.2.77?trust-network: `},
		{withTransport, "loopback", exitUsage, `: --transport loopback: `},
		{withManager, "head:7470", exitUsage, ": --manager head:7470: must be http or https with a host, and no query, as in http://127.0.0.1:7470"},
		{withManager, "http://head:7470", exitUsage, ": --manager http://head:7470: it is beyond the loopback, where others can listen: write https://"},
		{withManager1, "http://127.0.0.1:1", exitFailed, "connection refused"},
		{withToken, "missing", exitFailed, "--token-file: "},
		{[]string{"lease end n %s --manager http://127.0.0.1:1"}, "99", exitUsage, `rfaas lease end: "99" is no ID of a lease: it is EPOCH-COUNT, as in 3-17`},
		{withCode, "--memory 5", exitUsage, "memory_bytes: 5: must be 1048576 to "},
		{withCode, "--time-limit 1000h", exitUsage, "time_limit: 1000h0m0s: must be "},
		{withFunction, "ecko", exitUsage, `unknown function "ecko"; there are: `},
		{withFunction, "echo --read missing", exitUsage, "--read: echo comes with the program, and needs nothing"},
		{withFunction, "sha256:12", exitUsage, "sha256:12"},
		{withFunction, "sha256:" + strings.Repeat("0", 64), exitFailed, "'rfaas cache add FILE' puts it there"},
		{withPackage, "missing.so", exitFailed, unknown},
		{withPackage, "missing.rfaas", exitFailed, unknown},
		{withPackage, "bad.so", exitFailed, noPackage},
		{withPackage, "bad.rfaas", exitFailed, noPackage},
		{withFolder, "file", exitFailed, "file"},
		{[]string{"roce dump %s", "invoke echo --in %s", "run -f echo %s"}, "missing", exitFailed, unknown},
		{[]string{"pack%s", "inspect%s", "cache add%s", "cache delete%s", "roce dump%s", "drain%s", "lease end n%s", "rxe delete%s", "run -f echo%s"}, "", exitUsage, ""},
	} {
		for _, line := range c.lines {
			args := strings.Fields(strings.Replace(line, "%s", c.value, 1))
			t.Run(strings.Join(args, " "), func(t *testing.T) {
				t.Parallel()
				private := func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "XDG_CACHE_HOME="+filepath.Join(dir, "cache")) }
				s := startWith(t, dir, private, args...)
				status, stderr := s.wait(), s.stderr.String()
				require.Equal(t, c.status, status, stderr)
				require.Contains(t, stderr, c.want)
				require.Equal(t, status == exitUsage, strings.Contains(stderr, "\nSee 'rfaas "), stderr)
			})
		}
	}
}

// Every help text says what exit statuses there are, once.
func TestHelpTellsExitStatuses(t *testing.T) {
	t.Parallel()
	for _, cmd := range allCommands((&program{}).rootCommand()) {
		text := cmd.Long + "\n" + cmd.UsageString()
		require.Equal(t, 1, strings.Count(text, "Exit status:\n  0    everything succeeded\n"), cmd.CommandPath())
	}
}

// What cannot be written is a failure, of every command that prints.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "input", "x")
	write(t, dir, "script", "#!/bin/sh\ncat\n")
	require.NoError(t, os.Chmod(filepath.Join(dir, "script"), 0o755))
	succeed(t, dir, "pack", "-o", "script.rfaas", "script")
	capture := capturedPackets(t, dir)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "billed"), 0o777))
	ledger, err := accounting.OpenLedger(agent.LedgerPath(filepath.Join(dir, "billed")), accounting.LedgerConfig{})
	require.NoError(t, err)
	require.NoError(t, ledger.Close())
	for _, line := range []string{
		"--help", "", "--version", "version", "help run", "run --help", "lease list --help", "completion bash", "completion zsh", "completion fish", "completion powershell", "__complete run -",
		"devices", "devices --json", "pack -o again.rfaas script", "pack -o - script", "inspect script.rfaas", "inspect --json script.rfaas",
		"cache add script.rfaas", "cache list", "cache list --json", "run -f echo input", "run -f echo -o out input", "run -f echo -o out --json input", "invoke echo --data x",
		"bill --state billed", "bill --state billed --format csv", "bench send-lat --mode warm --iterations 10", "bench send-lat write-imm-lat --mode warm --iterations 10 --json", "roce dump " + capture,
		"agent --state state --admin 127.0.0.1:0 --listen unix:@full-" + filepath.Base(dir), "manager --listen 127.0.0.1:0 --state state2",
	} {
		t.Run(line, func(t *testing.T) {
			full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			require.NoError(t, err)
			defer full.Close()
			s := startWith(t, dir, func(cmd *exec.Cmd) {
				cmd.Stdout = full
				cmd.Env = append(cmd.Env, "XDG_CACHE_HOME="+filepath.Join(dir, "cache"))
			}, strings.Fields(line)...)
			require.Equal(t, exitFailed, s.wait(), s.stderr.String())
			require.Contains(t, s.stderr.String(), "writing the output: no space left on device\n")
			require.NotContains(t, s.stderr.String(), "/dev/stdout")
		})
	}
}

// capturedPackets makes a capture.
func capturedPackets(t *testing.T, dir string) string {
	t.Helper()
	succeed(t, dir, "roce", "capture", "x.pcap", "run", "-f", "echo", "--transport", "softroce://127.0.0.1:0", "-o", "captured", "input")
	return "x.pcap"
}
