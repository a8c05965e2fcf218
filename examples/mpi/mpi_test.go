package mpi_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
)

// The programs, with sizes that take some tenths of a second, and several items of each rank; and
// with sizes of which there is something left when a command was carried out at half.
var programs = []struct{ name, size, large string }{
	{"blackscholes", "400000", "6000000"}, {"matmul", "512", "1024"}, {"transport", "400000", "4000000"}, {"jacobi", "512", "1024"},
}

// site is a folder with the library, the command rfaas and the programs' functions.
type site struct {
	t   *testing.T
	dir string
	env []string
}

// need skips the test if a tool is missing, and fails it in CI.
func need(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			require.Empty(t, os.Getenv("CI"), "%s is missing", tool)
			t.Skip(tool + " is missing")
		}
	}
}

// newSite installs the library as a user does.
func newSite(t *testing.T) *site {
	t.Helper()
	need(t, "make", "pkg-config", "gcc")
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) // executors of root have users of their own
	lib := filepath.Join(dir, "usr", "lib")
	s := &site{t, dir, []string{
		"DIR=" + dir, "TMPDIR=" + dir, "PKG_CONFIG_PATH=" + filepath.Join(lib, "pkgconfig"), "LD_LIBRARY_PATH=" + lib,
		"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", "OMPI_MCA_rmaps_base_oversubscribe=1", "OMPI_MCA_hwloc_base_binding_policy=none",
	}}
	s.do("make -C ../../librfaas install BUILD=$DIR PREFIX=$DIR/usr")
	s.do("go build -o $DIR/rfaas ../../cmd/rfaas")
	return s
}

// do carries out a shell command, and returns what it prints.
func (s *site) do(command string, env ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), "sh", "-ec", command)
	cmd.Env = append(append(os.Environ(), s.env...), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(s.t, err, "%s\n%s", command, out)
	return string(out)
}

// start starts a command of rfaas, and returns its process and the first line that it prints.
func (s *site) start(arguments string) (*os.Process, string) {
	s.t.Helper()
	cmd := exec.Command("sh", "-ec", "cd $DIR && exec ./rfaas "+arguments)
	cmd.Env, cmd.Stderr = append(os.Environ(), s.env...), s.t.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also if this test is ended at its time limit
	out, err := cmd.StdoutPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, cmd.Start())
	s.t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt) // it may have ended
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(s.t, err)
	return cmd.Process, strings.TrimSpace(line)
}

// agent starts an agent with two cores, and returns its process and what programs need to find it.
func (s *site) agent(name, flags string) (*os.Process, string) {
	s.t.Helper()
	p, _ := s.start(fmt.Sprintf("agent --name %s --cores 2 --state %[1]s.state --listen unix:%[1]s --partial-isolation %s", name, flags))
	return p, "RFAAS_AGENTS=unix:" + filepath.Join(s.dir, name)
}

// row is a line of a table.
type row struct{ byExecutors, byRanks, lost int }

// table reads what a program prints: rows by ranks and executors.
func table(t *testing.T, output string) map[string]row {
	t.Helper()
	rows := map[string]row{}
	line := regexp.MustCompile(`(?m)^ +(\d+) +(\d+) +[\d.]+ +[\d.]+ +(\d+) +(\d+) +(\d+)  0$`)
	for _, m := range line.FindAllStringSubmatch(output, -1) {
		n := func(i int) int { v, _ := strconv.Atoi(m[i]); return v } // digits
		rows[m[1]+"x"+m[2]] = row{n(3), n(4), n(5)}
	}
	require.NotEmpty(t, rows, output)
	return rows
}

// run runs a program with two ranks, which has to succeed.
func (s *site) run(mpi, program, arguments string, env ...string) (string, map[string]row) {
	s.t.Helper()
	out := s.do(fmt.Sprintf("mpirun.%s -np 2 $DIR/%[1]s/%s %s", mpi, program, arguments), env...)
	return out, table(s.t, out)
}

// build builds the programs with an MPI.
func (s *site) build(mpi string) {
	s.t.Helper()
	s.do(fmt.Sprintf("mkdir -p $DIR/%s && make CC=mpicc.%[1]s BUILD=$DIR/%[1]s CFLAGS='-std=gnu11 -pthread -O3 -ffp-contract=off -Wall -Wextra -Werror'", mpi))
}

// Programs get right results with each MPI, whatever becomes of the executors.
func TestMPI(t *testing.T) {
	t.Parallel()
	all, mistaken, tried := newSite(t), false, false
	for _, mpi := range []string{"openmpi", "mpich"} {
		t.Run(mpi, func(t *testing.T) {
			if tried && !effort.Whole() {
				t.Skip("one MPI is tested, unless TEST_EFFORT=whole")
			}
			need(t, "mpicc."+mpi, "mpirun."+mpi)
			tried = true
			s := all.of(t)
			s.build(mpi)
			for _, part := range []struct {
				name string
				test func(*testing.T, *site, string)
			}{
				{"programs", testPrograms}, {"alone", testAlone}, {"executors are killed", testKilled}, {"node is drained", testDrained},
				{"agent is interrupted", testInterrupted}, {"agent is killed", testAgentKilled}, {"mistakes", testMistakes},
			} {
				if part.name == "mistakes" && mistaken {
					continue // they do not depend on the MPI
				}
				mistaken = mistaken || part.name == "mistakes"
				t.Run(part.name, func(t *testing.T) { part.test(t, s.of(t), mpi) })
			}
		})
	}
}

// of is the site for a part of the test.
func (s *site) of(t *testing.T) *site { return &site{t, s.dir, s.env} }

func testPrograms(t *testing.T, s *site, mpi string) {
	_, agent := s.agent(mpi+"-p", "")
	for _, p := range programs {
		out, rows := s.run(mpi, p.name, "--executors 0,1 --size "+p.size, agent)
		require.Len(t, rows, 4, out)
		for _, alone := range []string{"1x0", "2x0"} {
			require.Zero(t, rows[alone].byExecutors, out)
		}
		for _, helped := range []string{"1x1", "2x1"} {
			require.Positive(t, rows[helped].byExecutors, out)
		}
	}
}

// Where nobody leases, ranks say so and go on alone.
func testAlone(t *testing.T, s *site, mpi string) {
	for env, why := range map[string]string{
		"RFAAS_AGENTS=unix:" + s.dir + "/nobody": "no such file or directory",
		"RFAAS_AGENTS=":                          "neither a manager nor agents are given",
	} {
		out, rows := s.run(mpi, "transport", "--ranks 2 --executors 1 --size 100000", env)
		require.Contains(t, out, "transport: rank 0 has no executors and goes on alone: rfaas_")
		require.Contains(t, out, "transport: rank 1 has no executors and goes on alone: rfaas_")
		require.Contains(t, out, why)
		require.Equal(t, row{0, 10, 0}, rows["2x1"])
	}
}

// atHalf runs a program with a command at half of it.
func (s *site) atHalf(mpi, program, size, command string, env ...string) {
	s.t.Helper()
	out, rows := s.run(mpi, program, fmt.Sprintf("--ranks 2 --executors 1 --size %s --at-half '%s && touch $DIR/was-half'", size, command), env...)
	require.Positive(s.t, rows["2x1"].byExecutors+rows["2x1"].lost, out) // they had some, on a busy machine without doing any
	require.NoError(s.t, os.Remove(filepath.Join(s.dir, "was-half")))
}

func testKilled(_ *testing.T, s *site, mpi string) {
	p, agent := s.agent(mpi+"-k", "")
	for _, program := range programs {
		s.atHalf(mpi, program.name, program.large, fmt.Sprintf("kill -9 $(pgrep -P %d)", p.Pid), agent)
	}
}

func testDrained(t *testing.T, s *site, mpi string) {
	_, line := s.start("manager --listen 127.0.0.1:0 --state " + mpi + ".manager")
	url := strings.TrimPrefix(line, "manager at ")
	at := " --manager " + url
	leases := "$DIR/rfaas lease list --json" + at
	for _, program := range programs {
		node := mpi + "-" + program.name
		s.agent(node, "--notice 50ms --manager "+url)
		s.atHalf(mpi, program.name, program.large,
			fmt.Sprintf("test -n \"$(%s)\" && $DIR/rfaas drain %s%s && while test -n \"$(%[1]s)\"; do :; done", leases, node, at), "RFAAS_MANAGER="+url)
	}
	require.Contains(t, s.do("$DIR/rfaas nodes"+at), "draining")
}

func testInterrupted(_ *testing.T, s *site, mpi string) {
	p, agent := s.agent(mpi+"-i", "--notice 50ms")
	s.atHalf(mpi, "jacobi", "1024", fmt.Sprintf("kill -INT %d", p.Pid), agent)
}

func testAgentKilled(_ *testing.T, s *site, mpi string) {
	p, agent := s.agent(mpi+"-9", "")
	s.atHalf(mpi, "jacobi", "1024", fmt.Sprintf("kill -9 %d", p.Pid), agent)
}

// What the user got wrong is said, and not computed around.
func testMistakes(t *testing.T, s *site, mpi string) {
	_, agent := s.agent(mpi+"-m", "")
	s.do("echo 'int nothing(void) { return 0; }' > $DIR/none.c && gcc -shared -o $DIR/none.so $DIR/none.c")
	s.do("sed 's/\\* 0.25/* 0.2500001/' src/kernels.c > $DIR/kernels.c && gcc -O2 -fPIC -shared -Isrc -o $DIR/wrong.so src/functions.c $DIR/kernels.c -lm")
	for arguments, why := range map[string]string{
		"--size 1e3":                              `--size: "1e3": want a number from`,
		"--executors 0,,1":                        `--executors: "": want a number from`,
		"--functions /nowhere.so":                 "/nowhere.so cannot be read",
		"--frobnicate":                            "--frobnicate: want --size N",
		"--size 100 --at-half true --executors 0": "rank 0 had no calls under way",
	} {
		out := s.do(fmt.Sprintf("! $DIR/%s/jacobi %s 2>&1", mpi, arguments), agent)
		require.Contains(t, out, "jacobi: ")
		require.Contains(t, out, why)
	}
	for _, mistake := range []struct{ arguments, why string }{
		{"--size 1", "--size: 1: want 2 at least, one for each rank"},
		{"--ranks 2 --size 512 --at-half \"exit 3\"", "exit status 3"},
		{"--ranks 2 --size 512 --functions $DIR/wrong.so", "WRONG"},
		{"--ranks 2 --size 512 --functions $DIR/none.so", `offload: ready: `}, // the last: leases of a program that aborts remain for some seconds
	} {
		out := s.do(fmt.Sprintf("! mpirun.%s -np 2 $DIR/%[1]s/jacobi --executors 1 %s 2>&1", mpi, mistake.arguments), agent)
		require.Contains(t, out, mistake.why)
	}
}
