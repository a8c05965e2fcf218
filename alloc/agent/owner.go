package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rfaas-go/rfaas/alloc/lease"
)

// LeaseInfo is a lease as its node's owner sees it.
type LeaseInfo struct {
	ID          string        `json:"id"` // see lease.ID
	Tenant      string        `json:"tenant"`
	State       string        `json:"state"`
	Workers     int           `json:"workers"`
	Cores       int           `json:"cores"` // of all workers
	MemoryBytes int64         `json:"memory_bytes"`
	Age         time.Duration `json:"age_ns"`
	Left        time.Duration `json:"left_ns"` // until it expires, or its notice is over
	Processes   []int         `json:"processes"`
}

// Leases are the current leases, in the order in which they were granted.
func (a *Agent) Leases() []LeaseInfo {
	a.mu.Lock()
	now := a.now()
	var list []LeaseInfo
	var workers [][]*worker
	for _, l := range a.node.Leases() {
		list = append(list, LeaseInfo{
			ID: l.ID.String(), Tenant: l.Tenant, State: l.State.String(), Workers: l.Terms.Workers, Cores: len(l.Cores), MemoryBytes: l.Memory,
			Age: now - l.Begun, Left: max(l.Expires-now, 0), Processes: []int{},
		})
		workers = append(workers, a.workers[l.ID])
	}
	a.mu.Unlock()
	for i := range list {
		for _, w := range workers[i] {
			if w.mu.TryLock() { // else one is just starting, or ending
				if w.process != nil {
					list[i].Processes = append(list[i].Processes, w.process.PID())
				}
				w.mu.Unlock()
			}
		}
	}
	return list
}

// Revoke ends a lease with notice; ok is false if there is none.
func (a *Agent) Revoke(id lease.ID, text string) (ok bool) {
	a.with(func(n *lease.Node, now time.Duration) { ok = n.Revoke(now, id, lease.Revoked, text) })
	return ok
}

// Reclaim gives so many cores to the node's owner, 0 to take them back: see
// lease.Node.Reclaim.
func (a *Agent) Reclaim(cores int, text string) {
	a.with(func(n *lease.Node, now time.Duration) { n.Reclaim(now, cores, text) })
}

// Draining says whether the agent gives no more leases.
func (a *Agent) Draining() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.node.Draining()
}

// ServeHTTP answers the node's owner. The server has to authenticate the owner before:
//
//	GET    /v1/leases             {"leases":[LeaseInfo...]}
//	DELETE /v1/leases/ID?reason=  ends one with notice
//	POST   /v1/drain?reason=      ends all with notice, and gives no more
//
// Answers other than 200 are {"error":"..."}.
func (a *Agent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/leases", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"leases": append([]LeaseInfo{}, a.Leases()...)})
	})
	mux.HandleFunc("DELETE /v1/leases/{id}", func(w http.ResponseWriter, r *http.Request) {
		id, err := lease.ParseID(r.PathValue("id"))
		switch {
		case err != nil:
			refuse(w, http.StatusBadRequest, err)
		case !a.Revoke(id, reasonOf(r)):
			refuse(w, http.StatusNotFound, fmt.Errorf("there is no lease %v", id))
		default:
			answer(w, http.StatusOK, struct{}{})
		}
	})
	mux.HandleFunc("POST /v1/drain", func(w http.ResponseWriter, r *http.Request) {
		gone, cancel := context.WithCancel(r.Context())
		cancel() // it is begun, and not waited for
		_ = a.Drain(gone, lease.Revoked, reasonOf(r))
		answer(w, http.StatusOK, struct{}{})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, fmt.Errorf("%s %.64q is no request to an agent; there are: GET /v1/leases, DELETE /v1/leases/ID, POST /v1/drain", r.Method, r.URL.Path))
	})
	mux.ServeHTTP(w, r)
}

// reasonOf is what tenants get as the reason.
func reasonOf(r *http.Request) string {
	return strings.ToValidUTF8(r.URL.Query().Get("reason"), "?")
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, err error) {
	answer(w, status, map[string]string{"error": err.Error()})
}
