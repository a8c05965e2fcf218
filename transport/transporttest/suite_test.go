package transporttest_test

import (
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rfaas-go/rfaas/internal/effort"
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
		URL: "broken+loopback:?how=" + url.QueryEscape(how), Patience: time.Second, Seed: 1, Connections: 50, Effort: 1,
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
			if effort.Race() && test.how == "allocate" {
				t.Skip("allocations are not counted under the race detector")
			}
			out, err := again(t, "^TestBroken$/"+strings.ReplaceAll(test.rule, "+", "."), brokenVariable+"="+test.how)
			failed := err != nil && strings.Contains(out, "--- FAIL: TestBroken/"+test.rule)
			if failed != (test.how != "") {
				t.Fatalf("with %q broken, the suite ends with %v:\n%s", test.how, err, out)
			}
		})
	}
}

// misnamedVariable is set in the processes that TestMisnamed starts: the field of
// the configuration in which a name is wrong.
const misnamedVariable = "RFAAS_TRANSPORTTEST_MISNAMED"

// TestMisnamed configures the suite with a name that no test has, beside one that
// tests have, and checks that the suite fails and names the test.
func TestMisnamed(t *testing.T) {
	const right, wrong = "setup/capabilities make sense", "setup/capabilities of the ends"
	switch os.Getenv(misnamedVariable) {
	case "Only":
		transporttest.Run(t, transporttest.Config{URL: "loopback:", Only: []string{right, wrong}})
		return
	case "Exclude":
		transporttest.Run(t, transporttest.Config{URL: "loopback:", Only: []string{right}, Exclude: map[string]string{wrong: "broken"}})
		return
	}
	for _, field := range []string{"Only", "Exclude"} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			out, err := again(t, "^TestMisnamed$", misnamedVariable+"="+field)
			says := strings.Contains(out, "Config."+field) && strings.Contains(out, wrong)
			if err == nil || !says || !strings.Contains(out, "--- PASS: TestMisnamed/setup/capabilities_make_sense") {
				t.Fatalf("with a wrong name in Config.%s, the suite ends with %v:\n%s", field, err, out)
			}
		})
	}
}

// again runs tests in a process of its own.
func again(t *testing.T, tests, variable string) (string, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.v", "-test.run="+tests)
	cmd.Env = append(os.Environ(), variable)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
