package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The scripts of shells ask the program what there is.
func TestCompletion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const files, noFiles = ":0\n", ":4\n"
	const transports = "loopback:\nshm:\nsoftroce:\nverbs:\n:6\n" // no files, and no space behind
	functions := strings.Join(functionNames(), "\n") + "\n"
	for line, want := range map[string]string{
		"run --transport=":              transports,
		"bench --transport=s":           transports,
		"bench --transport=shm:,so":     "shm:,loopback:\nshm:,shm:\nshm:,softroce:\nshm:,verbs:\n:6\n",
		"run --transport=faulty+s":      "faulty+loopback:\nfaulty+shm:\nfaulty+softroce:\nfaulty+verbs:\n:6\n",
		"bench --peer-transport=v":      transports,
		"agent --transport=s":           transports,
		"roce pingpong --transport=sof": transports,
		"run --mode=":                   "hot\nwarm\nadaptive\n" + noFiles,
		"bench --mode=w":                "hot\nwarm\nadaptive\n" + noFiles,
		"version --log-level=":          "debug\ninfo\nwarn\nerror\n" + noFiles,
		"--log-format=j":                "text\njson\n" + noFiles,
		"run -f=":                       functions + files,
		"run --function=th":             "thumbnailer\n" + noFiles,
		"bench -f=th":                   "thumbnailer\n" + noFiles,
		"pack --function=th":            files,
		"invoke ":                       functions + files,
		"invoke functions.s":            files,
		"completion ":                   "bash\tPrint the completion script for bash\nfish\tPrint the completion script for fish\npowershell\tPrint the completion script for powershell\nzsh\tPrint the completion script for zsh\n" + noFiles,
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, want, succeed(t, dir, append([]string{"__complete"}, strings.Split(line, " ")...)...))
		})
	}
	for _, s := range shells {
		require.Contains(t, succeed(t, dir, "completion", s.name), "__complete")
	}
	require.Contains(t, succeed(t, dir), "\n  completion  ", "the command is shown")
}

func TestCompletionScriptIsBash(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		require.Empty(t, os.Getenv("CI"), "bash is missing")
		t.Skip("needs bash, which checks the script")
	}
	check := exec.Command(bash, "-n")
	check.Stdin = strings.NewReader(succeed(t, t.TempDir(), "completion", "bash"))
	out, err := check.CombinedOutput()
	require.NoError(t, err, string(out))
}
