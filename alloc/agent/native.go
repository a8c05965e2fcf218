package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/invoke/executor/confine"
	"github.com/rfaas-go/rfaas/invoke/runtime"
)

// completeIsolation is what has to be in force for native code of tenants. A user id of its
// own is not of it: in its namespaces a process sees and signals no other, and files are
// Landlock's. Limits of processor time and swap, and the OOM score, protect no data.
// Where packets go counts only if they can leave the machine. docs/SECURITY.md says it too.
var completeIsolation = []confine.Measure{
	confine.Namespaces, confine.MemoryLimit, confine.TaskLimit, confine.Environment, confine.Descriptors, confine.Session, confine.ParentDeath,
	confine.PrivateTmp, confine.ResourceLimit, confine.NoPrivileges, confine.Landlock, confine.NoCore, confine.Seccomp,
}

// missing are the measures that a report lacks for complete isolation, of executors with
// such transports.
func missing(r confine.Report, transports []string) []confine.Outcome {
	var all []confine.Outcome
	needed := completeIsolation
	if slices.ContainsFunc(transports, executor.BeyondLoopback) {
		needed = append(slices.Clip(needed), confine.Egress)
	}
	for _, m := range needed {
		if !r.Applied(m) {
			all = append(all, confine.Outcome{Measure: m, Detail: r.Detail(m)})
		}
	}
	return all
}

// isolation is what is known of how executors of packages are isolated.
type isolation struct {
	mu      sync.Mutex
	known   bool
	missing []confine.Outcome
}

// refuseNative is why a tenant's code of a runtime is not run here, "" if it is. WebAssembly is
// contained by its own runtime, and there may be less around it. What is
// missing is found out with an executor, once.
func (a *Agent) refuseNative(ctx context.Context, kind string) string {
	if kind != runtime.Native && kind != runtime.Command || a.cfg.PartialIsolation {
		return ""
	}
	a.isolation.mu.Lock()
	defer a.isolation.mu.Unlock()
	if !a.isolation.known {
		s, err := a.supervisor(&Program{})
		if err != nil {
			return err.Error()
		}
		report, err := s.Confinement(ctx)
		if err != nil {
			return fmt.Sprintf("it is not known how native code is isolated here: %v", err)
		}
		a.isolation.known, a.isolation.missing = true, missing(report, a.cfg.Transports)
		for _, o := range a.isolation.missing {
			a.log.Warn("isolation is not complete here, and native code of tenants is refused", "missing", string(o.Measure), "reason", o.Detail)
		}
	}
	if len(a.isolation.missing) == 0 {
		return ""
	}
	var names []string
	for _, o := range a.isolation.missing {
		names = append(names, string(o.Measure))
	}
	return fmt.Sprintf("native code and programs are run only where their isolation is complete, and this node lacks %s; take another node, or WebAssembly", strings.Join(names, ", "))
}
