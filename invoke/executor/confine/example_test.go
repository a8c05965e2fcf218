//go:build linux && (amd64 || arm64)

package confine_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"

	"github.com/rfaas-go/rfaas/invoke/executor/confine"
)

// A program starts itself again, isolated. Every kernel can do what this policy requires. For
// untrusted code, start with DefaultPolicy.
func Example() {
	host := must(confine.NewHost(confine.HostConfig{}))
	defer host.Close()
	policy := confine.Policy{
		Require: []confine.Measure{confine.Environment, confine.NoPrivileges},
		Env:     []string{"GREETING=hello"},
		Tasks:   100,
	}
	said := must(run(host, policy))
	for _, m := range policy.Require {
		fmt.Println(m, said.Report.Applied(m))
	}
	fmt.Printf("it sees the greeting %q and the path %q\n", said.Greeting, said.Path)
	// Output:
	// environment true
	// no-new-privs true
	// it sees the greeting "hello" and the path ""
}

// message is what the process sends to its supervisor.
type message struct {
	Report         confine.Report
	Greeting, Path string
}

// run runs this program as a process of the host, and waits for its end.
func run(host *confine.Host, policy confine.Policy) (said message, err error) {
	cmd := exec.Command("/proc/self/exe", "confine-example")
	cmd.Stderr = os.Stderr
	stdout := must(cmd.StdoutPipe())
	process, err := host.Prepare(cmd, policy)
	if err != nil {
		return said, err
	}
	ended := make(chan error)
	go func() { // on a thread that lives as long as the process
		err := process.Start()
		if err == nil {
			err = json.NewDecoder(stdout).Decode(&said)
			process.Entered(said.Report)
			err = errors.Join(err, cmd.Wait())
		}
		ended <- err
	}()
	err = <-ended
	said.Report = process.Report() // with the measures of the supervisor's side
	_, closed := process.Close()
	return said, errors.Join(err, closed)
}

// The process starts like its supervisor, so a program does this first in main.
func init() {
	if len(os.Args) != 2 || os.Args[1] != "confine-example" {
		return
	}
	policy := must(confine.Inherited())
	// Open here what cannot be opened afterwards.
	report := must(confine.Enter(policy))
	// Load untrusted code here.
	os.Stdout.Write(must(json.Marshal(message{report, os.Getenv("GREETING"), os.Getenv("PATH")})))
	os.Exit(0)
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
