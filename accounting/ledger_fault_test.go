package accounting

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/effort"
)

// fullDisk is a file on a disk that has only so much room.
type fullDisk struct {
	ledgerFile
	room        int   // bytes that a write still writes
	syncErr     error // of the next Datasync
	truncateErr error // of the next Truncate
}

func (f *fullDisk) WriteAt(b []byte, at int64) (int, error) {
	if len(b) <= f.room {
		f.room -= len(b)
		return f.ledgerFile.WriteAt(b, at)
	}
	n, err := f.ledgerFile.WriteAt(b[:f.room], at)
	if err == nil {
		err = unix.ENOSPC
	}
	f.room = 0
	return n, err
}

func (f *fullDisk) Datasync() error {
	if err := f.syncErr; err != nil {
		f.syncErr = nil
		return err
	}
	return f.ledgerFile.Datasync()
}

func (f *fullDisk) Truncate(size int64) error {
	if err := f.truncateErr; err != nil {
		f.truncateErr = nil
		return err
	}
	return f.ledgerFile.Truncate(size)
}

func TestLedgerFullDisk(t *testing.T) {
	t.Parallel()
	const enough = 1 << 20
	for _, c := range []struct {
		what  string
		room  int
		sync  error
		trunc error
		want  error
	}{
		{"no byte", 0, nil, nil, unix.ENOSPC},
		{"half a record", 100, nil, nil, unix.ENOSPC},
		{"one record of two", 224, nil, nil, unix.ENOSPC},
		{"the sync fails", enough, unix.EIO, nil, unix.EIO},
		{"whole records cannot be cut off at once", enough, unix.EIO, unix.EDQUOT, unix.EIO},
		{"the tail cannot be cut off at once", 300, nil, unix.EDQUOT, unix.EDQUOT},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "ledger")
			l := mustOpenLedger(t, path)
			require.NoError(t, l.Append(testEntry(0)))
			disk := &fullDisk{l.file, c.room, c.sync, c.trunc}
			l.file = disk

			err := l.Append(testEntries(1, 3)...)
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, path)
			require.Equal(t, testEntries(0, 1), l.Totals())
			if c.trunc == nil {
				require.Equal(t, recordAt(1), must(os.Stat(path)).Size())
			}

			disk.room = enough
			require.NoError(t, l.Append(testEntry(1))) // smaller than what was left
			require.NoError(t, l.Close())
			requireEntries(t, path, testEntries(0, 2))
			l = mustOpenLedger(t, path)
			require.Equal(t, testEntries(1, 2), l.Totals())
		})
	}
}

const helperPath = "RFAAS_ACCOUNTING_TEST_PATH"

// A process that appends is killed at any moment: what it has said is appended is.
func TestLedgerKill(t *testing.T) {
	t.Parallel()
	const seed = 20260301
	random := rand.New(rand.NewPCG(seed, 0))
	path := filepath.Join(t.TempDir(), "ledger")
	said := 0
	for round := range effort.Of(8, 100) {
		said = killAppender(t, path, 1+random.IntN(40))
		got, err := readAll(path)
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(got), said, "seed %d, round %d", seed, round)
		require.Equal(t, testEntries(0, len(got)), got)
		l, err := OpenLedger(path, LedgerConfig{})
		require.NoError(t, err, "seed %d, round %d", seed, round)
		require.Equal(t, testEntries(len(got)-1, len(got)), l.Totals())
		require.NoError(t, l.Close())
	}
	require.Positive(t, said)
}

// killAppender starts a process that appends, kills it after so many appends, and
// returns how many entries it has said are there.
func killAppender(t *testing.T, path string, appends int) (said int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asHelper+"=ledger", helperPath+"="+path)
	cmd.Stderr = os.Stderr
	out := must(cmd.StdoutPipe())
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		said = must(strconv.Atoi(lines.Text()))
		if n == appends {
			require.NoError(t, cmd.Process.Kill())
		}
	}
	require.ErrorContains(t, cmd.Wait(), "killed")
	return said
}

// appendForever is the other process. It ends when its output is not read any more.
func appendForever() {
	path := os.Getenv(helperPath)
	l := must(OpenLedger(path, LedgerConfig{}))
	n := int(l.count)
	for size := 1; ; size = size%5 + 1 {
		if err := l.Append(testEntries(n, n+size)...); err != nil {
			panic(err)
		}
		n += size
		if _, err := fmt.Println(n); err != nil {
			return
		}
	}
}
