package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/examples/photos"
	"github.com/rfaas-go/rfaas/internal/effort"
)

// guideBlock is commands of a guide, for some of its machines.
type guideBlock struct {
	section  string
	machines []string
	commands string
}

// guideBlocks are all blocks of shell commands that name a machine: ```sh MACHINE...
func guideBlocks(t *testing.T, path string) (all []guideBlock) {
	t.Helper()
	text := read(t, path)
	for _, section := range strings.Split(text, "\n## ")[1:] {
		title, body, _ := strings.Cut(section, "\n")
		for _, found := range regexp.MustCompile("(?ms)^```sh ([^\n]+)\n(.*?)^```$").FindAllStringSubmatch(body, -1) {
			all = append(all, guideBlock{title, strings.Fields(found[1]), found[2]})
		}
	}
	return all
}

// guidePhotographs is how many the guide speaks of.
const guidePhotographs = 200

// The guide to a cluster works to the letter, on machines with networks of their own: see
// docs/CLUSTER.md. What was billed is compared with a log that the test keeps.
func TestClusterGuide(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	machines := newMachines(t, home, []machine{
		{name: "head", address: "192.0.2.1"}, {name: "n1", address: "192.0.2.11"}, {name: "n2", address: "192.0.2.12"},
		{name: "n3", address: "192.0.2.13"}, {name: "desk", address: "192.0.2.20"},
	})
	head, n2, desk := machines["head"], machines["n2"], machines["desk"]
	g := &guide{t: t, machines: machines, blocks: guideBlocks(t, "../../docs/CLUSTER.md")}

	g.follow("Certificates and tokens")
	g.follow("The manager")
	head.said(`manager at https://192\.0\.2\.1:7470\n`)
	g.follow("The agents")
	for i, name := range []string{"n1", "n2", "n3"} {
		machines[name].said(fmt.Sprintf(`node %s: \d+ cores, .* owner at https://192\.0\.2\.1%d:7472\n`, name, i+1))
	}

	g.next("Call functions")
	nodes := regexp.MustCompile(`(?m)^n\d +(\d+) +(\d+) .* ready +softroce *$`)
	require.True(t, eventually(programTimeout, func() bool { // they register in their own time
		return len(nodes.FindAllString(desk.do(nodesOf("alice")), -1)) == 3
	}), "%s", desk.do(nodesOf("alice")))
	takePhotographs(t, home+"/cluster/photos")
	watched := watchLeases(t, machines, home+"/cluster")
	require.Contains(t, g.next("Call functions"), fmt.Sprintf("thumbnailer: %d of %[1]d inputs done", guidePhotographs))
	var bill clusterBill
	require.True(t, eventually(programTimeout, func() bool {
		bill = readBill(t, desk)
		return bill.invocations == guidePhotographs && watched.over()
	}), "%+v, and %d calls were made", bill, guidePhotographs)
	require.InEpsilon(t, watched.coreTime().Seconds(), bill.coreTime.Seconds(), 0.02, "of what the test saw")
	require.Regexp(t, `(?m)^ +alice +n[123] `, g.next("Call functions"))

	g.next("Nodes come and go")
	thumbnails := func(n int) {
		t.Helper()
		require.True(t, eventually(programTimeout, func() bool { return len(namesIn(t, home, "cluster/again")) >= n }), "%s", desk.transcript)
	}
	thumbnails(guidePhotographs / 2)
	killed := n2.jobs()
	require.Len(t, killed, 1)
	g.next("Nodes come and go") // kill
	thumbnails(guidePhotographs * 6 / 10)
	g.next("Nodes come and go") // drain
	require.Equal(t, fmt.Sprint(guidePhotographs), lastLine(g.next("Nodes come and go")))
	summary := desk.transcript.String()
	require.Contains(t, summary, "results in again")
	same(t, home+"/cluster/thumbnails", home+"/cluster/again")
	lost := regexp.MustCompile(`lost and replaced: \d+ worker process(?:es)?; tried again: (\d+) inputs?`).FindStringSubmatch(summary)
	require.NotNil(t, lost, "%s", summary)
	triedAgain, err := strconv.Atoi(lost[1])
	require.NoError(t, err)
	require.True(t, eventually(programTimeout, func() bool {
		return regexp.MustCompile(`(?m)^n3 +(\d+) +0 .* draining `).MatchString(desk.do(nodesOf("alice")))
	}))

	g.next("Nodes come and go") // n2 again
	require.True(t, eventually(programTimeout, func() bool {
		bill = readBill(t, desk)
		return bill.invocations >= 2*guidePhotographs
	}), "%+v", bill)
	require.LessOrEqual(t, bill.invocations, 2*guidePhotographs+triedAgain)
	require.Contains(t, g.next("Nodes come and go"), "\nalice,")

	before := bill
	g.follow("The manager is away")
	head.said(`(?s)manager at .*\nmanager at `)
	require.True(t, eventually(programTimeout, func() bool {
		return len(regexp.MustCompile(`(?m)^n\d `).FindAllString(desk.do(nodesOf("alice")), -1)) == 3
	}), "%s", head.transcript)
	require.Equal(t, before, readBill(t, desk), "the manager has it from its ledger")

	g.follow("End it")
	g.done()
	for name, m := range machines {
		require.Empty(t, m.processes(), name)
	}
}

// takePhotographs makes as many as the guide speaks of: a few, under many names.
func takePhotographs(t *testing.T, dir string) {
	t.Helper()
	const different = 20
	width, height := 900, 600
	if effort.Race() {
		width, height = 300, 200
	}
	paths, err := photos.Write(dir, different, width, height, 1, nil)
	require.NoError(t, err)
	for i := different; i < guidePhotographs; i++ {
		require.NoError(t, os.Link(paths[i%different], fmt.Sprintf("%s/photo-%04d.jpg", dir, i+1)))
	}
}

// nodesOf is the guide's command, with a name's token.
func nodesOf(who string) string { return "rfaas nodes $cluster --token-file " + who + ".token" }

// guide is followed block by block.
type guide struct {
	t        *testing.T
	machines map[string]*machine
	blocks   []guideBlock
}

// next carries out the next block, which is of a section, and returns what it printed.
func (g *guide) next(section string) (said string) {
	g.t.Helper()
	require.NotEmpty(g.t, g.blocks)
	b := g.blocks[0]
	require.Equal(g.t, section, b.section, "%s", b.commands)
	g.blocks = g.blocks[1:]
	for _, name := range b.machines {
		require.Contains(g.t, g.machines, name)
		said += g.machines[name].do(b.commands)
	}
	return said
}

// follow carries out all blocks of a section.
func (g *guide) follow(section string) {
	g.t.Helper()
	for len(g.blocks) > 0 && g.blocks[0].section == section {
		g.next(section)
	}
}

// done says that all was followed.
func (g *guide) done() {
	g.t.Helper()
	require.Empty(g.t, g.blocks)
}

// clusterBill is what was billed in all.
type clusterBill struct {
	invocations int
	coreTime    time.Duration
}

func readBill(t *testing.T, at *machine) (sum clusterBill) {
	t.Helper()
	type row struct {
		Invocations int           `json:"invocations"`
		CoreTime    time.Duration `json:"core_ns"`
	}
	for _, row := range decodeLines[row](t, at.do("rfaas bill $cluster --token-file alice.token --by node --format json")) {
		sum.invocations += row.Invocations
		sum.coreTime += row.CoreTime
	}
	return sum
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// same requires that two folders have the same files.
func same(t *testing.T, a, b string) {
	t.Helper()
	require.Equal(t, namesIn(t, a), namesIn(t, b))
	for _, name := range namesIn(t, a) {
		x, err := os.ReadFile(a + "/" + name)
		require.NoError(t, err)
		y, err := os.ReadFile(b + "/" + name)
		require.NoError(t, err)
		require.Equal(t, x, y, name)
	}
}
