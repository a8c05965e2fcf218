package benchmarks

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
)

// soakVariable makes the test binary play a part in the soak: which, and at what address.
const soakVariable = "RFAAS_SOAK"

// Like TestMain, but for what is in these files only.
func init() {
	var role, address string
	if n, _ := fmt.Sscan(os.Getenv(soakVariable), &role, &address); n < 2 {
		return
	}
	play := map[string]func(*transport.Device, string) error{
		"worker": playSoakWorker, "honest": playHonest, "others": playOthers, "doomed": playDoomed,
	}[role]
	dev, err := transport.Open("shm:")
	if err == nil {
		err = play(dev, address)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", role, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// soakProcess is a process that plays a part. It is told lines, answers in JSON, and ends
// when nobody can tell it anything any more.
type soakProcess struct {
	cmd     *exec.Cmd
	lines   io.WriteCloser
	answers *json.Decoder
}

// newSoak starts a process, and returns when it is ready.
func newSoak(ctx context.Context, role, address string) (*soakProcess, error) {
	p := &soakProcess{cmd: exec.CommandContext(ctx, "/proc/self/exe")}
	p.cmd.Env = append(os.Environ(), soakVariable+"="+role+" "+address)
	p.cmd.Stderr = os.Stderr
	var err error
	if p.lines, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.answers = json.NewDecoder(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	var ready string
	if err := p.answers.Decode(&ready); err != nil {
		p.kill()
		return nil, fmt.Errorf("%s has ended: %w", role, err)
	}
	return p, nil
}

func (p *soakProcess) kill() {
	p.cmd.Process.Kill() // an error means that it has just ended
	p.cmd.Wait()
}

// startSoak is newSoak for as long as the test, whose time it does not outlast.
func startSoak(t *testing.T, role, address string) *soakProcess {
	t.Helper()
	ctx := t.Context()
	if end, ok := t.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-5*time.Second)) // to say who hung
		t.Cleanup(cancel)
	}
	p, err := newSoak(ctx, role, address)
	require.NoError(t, err)
	t.Cleanup(p.kill)
	return p
}

func (p *soakProcess) tell(t *testing.T, line string) {
	t.Helper()
	_, err := fmt.Fprintln(p.lines, line)
	require.NoError(t, err)
}

func (p *soakProcess) answer(t *testing.T, to any) {
	t.Helper()
	require.NoError(t, p.answers.Decode(to), "the process has ended")
}

// answerLines says that the process is ready, and answers what it is told.
func answerLines(answer func(line string) (any, error)) error {
	answers := json.NewEncoder(os.Stdout)
	if err := answers.Encode("ready"); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		a, err := answer(lines.Text())
		if err != nil {
			return err
		}
		if a == nil {
			continue
		}
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
	return lines.Err()
}
