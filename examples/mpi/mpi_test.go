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
)

// The programs, with sizes that take some tenths of a second, and several items of each rank.
var programs = []struct{ name, size string }{
	{"blackscholes", "400000"}, {"matmul", "512"}, {"transport", "400000"}, {"jacobi", "1024"},
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

// run runs a program with two ranks.
func (s *site) run(mpi, program, arguments string, env ...string) (string, map[string]row) {
	s.t.Helper()
	out := s.do(fmt.Sprintf("mpirun.%s -np 2 $DIR/%[1]s/%s %s", mpi, program, arguments), env...)
	return out, table(s.t, out)
}

// build builds the programs with an MPI.
func (s *site) build(mpi string) {
	s.t.Helper()
	s.do(fmt.Sprintf("mkdir -p $DIR/%s && make CC=mpicc.%[1]s BUILD=$DIR/%[1]s CFLAGS='-std=gnu11 -O3 -ffp-contract=off -Wall -Wextra -Werror'", mpi))
}

// Each program gets right results with each MPI, alone and with an executor for each rank.
func TestPrograms(t *testing.T) {
	s := newSite(t)
	_, agent := s.agent("c", "")
	for _, mpi := range []string{"openmpi"} {
		t.Run(mpi, func(t *testing.T) {
			s := &site{t, s.dir, s.env}
			need(t, "mpicc."+mpi, "mpirun."+mpi)
			s.build(mpi)
			for _, p := range programs {
				out, rows := s.run(mpi, p.name, "--executors 0,1 --size "+p.size, agent)
				require.Len(t, rows, 4, out)
				for _, alone := range []string{"1x0", "2x0"} {
					require.Zero(t, rows[alone].byExecutors, out)
				}
				for _, helped := range []string{"1x1", "2x1"} {
					require.Positive(t, rows[helped].byExecutors, out)
					require.Positive(t, rows[helped].byRanks, out)
				}
			}
		})
	}
}
