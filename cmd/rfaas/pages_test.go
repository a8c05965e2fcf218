package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pageBlocks are the commands of a page, in its order: blocks of shell without the name of a machine, in
// sections whose title begins with one of these.
func pageBlocks(t *testing.T, path string, sections ...string) (all []string) {
	t.Helper()
	for _, section := range strings.Split(read(t, path), "\n## ")[1:] {
		title, body, _ := strings.Cut(section, "\n")
		for _, wanted := range sections {
			if !strings.HasPrefix(title, wanted) {
				continue
			}
			for _, found := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(body, -1) {
				all = append(all, found[1])
			}
		}
	}
	require.NotEmpty(t, all)
	return all
}

// The commands of pages work to the letter, one after the other, in an empty folder and on a
// machine with nothing but its loopback.
func TestPages(t *testing.T) {
	for name, c := range map[string]struct {
		page     string
		sections []string
		says     []string // of what is printed, in this order
		left     []string // files
	}{
		"comparing transports": {"COMPARE.md", []string{"In one command", "Slow and lossy networks"},
			[]string{
				`shm: available`, `write-imm-lat, 8 B: p50 over softroce is \S+ x that over shm \(median of 5 rounds;`, `wrote latency\.svg`,
				`write-bw, 1 MiB: bandwidth over softroce is`, `baseline-shm-lat`, `warm`,
				`softroce:\?loss=0\.01 `, `softroce:\?delay=50us&jitter=10us `, `over softroce:\?rate=1Gbit is`, `over faulty\+shm:\?delay=20us is`,
			}, []string{"latency.svg", "send.jsonl"}},
		"bad networks": {"CI.md", []string{"Bad networks"},
			[]string{`softroce:\?loss=0\.05`, `softroce:\?delay=100us`, `faulty\+shm`, `faulty\+loopback`}, nil},
		"a cluster on one machine": {"CLUSTER.md", []string{"On one machine first"},
			[]string{`manager at http://127\.0\.0\.1:7470`, `(?m)^\S+ +\d+ +\d+ .* ready`, `echo: 1 of 1 input done`, `(?m)^.* 1 `}, []string{"echoed/hello.txt"}},
		"a first function": {"FUNCTIONS.md", []string{"A first function"},
			[]string{`HELLO`, `upper\.rfaas`, `sha256:`, `(?m)^2$`, `(?m)^1$`}, []string{"upper.so", "upper.rfaas"}},
	} {
		t.Run(name, func(t *testing.T) { // not at the same time: some measure
			if _, err := exec.LookPath("gcc"); c.page == "FUNCTIONS.md" && err != nil {
				require.NotEqual(t, "true", os.Getenv("CI"), "gcc is missing")
				t.Skip("it needs gcc")
			}
			home := t.TempDir()
			here := newMachines(t, home, []machine{{name: "here", address: "192.0.2.1"}})["here"]
			for _, block := range pageBlocks(t, filepath.Join("../../docs", c.page), c.sections...) {
				here.do(block)
			}
			said := here.transcript.String()
			for _, want := range c.says {
				at := regexp.MustCompile(want).FindStringIndex(said)
				require.NotNil(t, at, "%s is not in\n%s", want, here.transcript)
				said = said[at[1]:]
			}
			for _, file := range c.left {
				require.FileExists(t, filepath.Join(home, file))
			}
			require.Empty(t, here.processes())
		})
	}
}
