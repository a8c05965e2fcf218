package transporttest_test

import (
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	_ "github.com/rfaas-go/rfaas/transport/loopback"
	"github.com/rfaas-go/rfaas/transport/transporttest"
)

func TestMain(m *testing.M) { transporttest.Main(m) }

// TestOverTCP sets connections up over TCP, and knows no peer's credentials.
func TestOverTCP(t *testing.T) {
	transporttest.Run(t, transporttest.Config{URL: "loopback:", Network: "tcp", Effort: 0.1, MaxBytes: 1 << 16, Connections: 20})
}

// TestOneProcessOnly finds out from the capabilities that there is nothing to
// test between two processes.
func TestOneProcessOnly(t *testing.T) {
	transporttest.Run(t, transporttest.Config{URL: "loopback:", Processes: 2})
}

// brokenVariable is set in the processes that TestSuiteNotices starts: how the
// provider is broken.
const brokenVariable = "RFAAS_TRANSPORTTEST_BROKEN"

// TestBroken runs the suite on a provider that breaks a rule.
func TestBroken(t *testing.T) {
	how, set := os.LookupEnv(brokenVariable)
	if !set {
		t.Skip("this is run by TestSuiteNotices, in processes of its own")
	}
	transporttest.Run(t, transporttest.Config{
		URL: "broken+loopback:?how=" + url.QueryEscape(how), Patience: time.Second, Seed: 1, Connections: 50, Effort: 0.3,
	})
}

// TestSuiteNotices breaks one rule after the other in a provider that is right,
// and checks that the suite fails, in the test that the rule belongs to.
func TestSuiteNotices(t *testing.T) {
	for _, test := range []struct{ how, rule string }{
		{"", ""}, // nothing broken: the suite passes
		{"truncate", "payload/every_size_and_offset_by_Write"},
		{"second", "payload/two_spans"},
		{"immediate", "payload/immediate_data"},
		{"bytes", "payload/receives_tell"},
		{"depth", "queue/no_more_than_SendDepth"},
		{"signal", "queue/unsignaled"},
		{"lose", "queue/a_completion_queue_filled"},
		{"double", "queue/a_completion_queue_filled"},
		{"swap", "order/all_operations"},
		{"connection", "sharing/hundreds"},
		{"access", "access/each_right"},
		{"status", "access/nothing_outside"},
		{"flush", "failure/everything_else"},
		{"revoke", "access/the_key_of_a_closed_region"},
		{"failed", "access/nothing_outside"},
		{"add", "atomic/adds_from_many"},
		{"drained", "setup/a_queue_without_room"},
		{"wake", "sleep/a_sleeper_is_woken"},
		{"close", "sleep/a_sleeper_is_woken"},
		{"solicited", "sleep/a_sleeper_for_solicited"},
		{"cancel", "sleep/a_cancelled_wait"},
		{"allocate", "allocations/none"},
		{"descriptor", "region/zeroed"},
		{"goroutine", "region/zeroed"},
		{"advertise", "region/registered_memory"},
	} {
		name := test.how
		if name == "" {
			name = "nothing"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if raceEnabled && test.how == "allocate" {
				t.Skip("allocations are not counted under the race detector")
			}
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(self, "-test.v", "-test.run=^TestBroken$/"+strings.ReplaceAll(test.rule, "+", "."))
			cmd.Env = append(os.Environ(), brokenVariable+"="+test.how)
			out, err := cmd.CombinedOutput()
			failed := err != nil && strings.Contains(string(out), "--- FAIL: TestBroken/"+test.rule)
			if failed != (test.how != "") {
				t.Fatalf("with %q broken, the suite ends with %v:\n%s", test.how, err, out)
			}
		})
	}
}
