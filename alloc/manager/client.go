package manager

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Bounds of answers.
const (
	maxAnswerBytes   = 64 << 10
	maxSnapshotBytes = maxNodes*maxNodeBytes + 1024
	requestTimeout   = 5 * time.Second // of one that answers in a few bytes
	snapshotTimeout  = time.Minute
)

// Client asks one manager. Any goroutine may call its methods.
type Client struct {
	// Logger gets a message when the manager goes away, and when it comes back. It may be
	// nil. It is to be set before the client is used.
	Logger *slog.Logger

	base string
	http *http.Client

	accounting atomic.Pointer[[]Address]
	registered atomic.Bool // by Keep
}

// NewClient makes a client of the manager at a URL, such as http://host:8080, to
// which the paths of requests are appended. It asks through hc, which is
// http.DefaultClient if nil; a Timeout of hc also ends watches, which then begin
// again.
func NewClient(base string, hc *http.Client) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("manager: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("manager: URL %q: must be http or https with a host, and no query, as in http://host:8080", base)
	}
	if hc == nil {
		hc = http.DefaultClient
	}
	return &Client{base: strings.TrimSuffix(base, "/"), http: hc}, nil
}

// Snapshot is the nodes at a revision of a manager's life, in the order of their
// IDs.
type Snapshot struct {
	Life     string `json:"life"`
	Revision uint64 `json:"revision"`
	Nodes    []Node `json:"nodes"`
}

// Register registers a node, or renews it, and returns after how long it is to be
// renewed. Errors are Node.Check's and the manager's, which may be ErrLowerEpoch.
func (c *Client) Register(ctx context.Context, n Node) (renewAfter time.Duration, err error) {
	if err := n.Check(); err != nil {
		return 0, fmt.Errorf("manager: node %q: %w", clip(n.ID), err)
	}
	var a answerRegistered
	if err := c.ask(ctx, http.MethodPut, nodePath(n.ID), encode(n), requestTimeout, maxAnswerBytes, &a); err != nil {
		return 0, err
	}
	renewAfter = time.Duration(a.RenewAfterNS)
	if renewAfter < minTimeToLive/3 || renewAfter > maxTimeToLive {
		return 0, fmt.Errorf("manager: PUT at %s: renew_after_ns: is %d: must be %d to %d", c.base, a.RenewAfterNS, minTimeToLive/3, maxTimeToLive)
	}
	c.accounting.Store(&a.Accounting)
	return renewAfter, nil
}

// Accounting are the addresses at which the manager takes reports of usage, as the
// answer to the last registration had them.
func (c *Client) Accounting() []Address {
	if a := c.accounting.Load(); a != nil {
		return *a
	}
	return nil
}

// Deregister removes a node that registered with this epoch or an earlier one, if it
// is there. An error may be ErrLowerEpoch.
func (c *Client) Deregister(ctx context.Context, id string, epoch uint64) error {
	if err := checkID(id); err != nil {
		return fmt.Errorf("manager: %w", err)
	}
	return c.ask(ctx, http.MethodDelete, nodePath(id)+"?epoch="+strconv.FormatUint(epoch, 10), nil, requestTimeout, maxAnswerBytes, &struct{}{})
}

// Nodes returns the current nodes.
func (c *Client) Nodes(ctx context.Context) (Snapshot, error) {
	var s Snapshot
	if err := c.ask(ctx, http.MethodGet, "/v1/nodes", nil, snapshotTimeout, maxSnapshotBytes, &s); err != nil {
		return Snapshot{}, err
	}
	if err := s.check(); err != nil {
		return Snapshot{}, fmt.Errorf("manager: snapshot of %s: %w", c.base, err)
	}
	return s, nil
}

func (s *Snapshot) check() error {
	if _, err := parseLife(s.Life); err != nil {
		return err
	}
	for i := range s.Nodes {
		s.Nodes[i] = s.Nodes[i].clone()
		if err := s.Nodes[i].Check(); err != nil {
			return fmt.Errorf("nodes[%d].%w", i, err)
		}
	}
	return nil
}

func nodePath(id string) string { return "/v1/nodes/" + url.PathEscape(id) }

// ask sends a request and decodes its answer, of which it reads no more than
// maxBytes.
func (c *Client) ask(ctx context.Context, method, path string, content []byte, timeout time.Duration, maxBytes int64, into any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err := c.send(ctx, method, path, content)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body := &io.LimitedReader{R: answer.Body, N: maxBytes}
	err = decodeAnswer(body, into)
	if body.N <= 0 {
		err = fmt.Errorf("it has %d bytes or more", maxBytes)
	}
	if err != nil {
		return fmt.Errorf("manager: %s at %s: the answer is not what a manager says: %w", method, c.base, err)
	}
	return nil
}

// decodeAnswer reads to the end, so that the connection serves again.
func decodeAnswer(r io.Reader, into any) error {
	d := json.NewDecoder(r)
	if err := d.Decode(into); err != nil {
		return err
	}
	switch _, err := d.Token(); {
	case err == nil:
		return errors.New("something follows it")
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// cause is why a request got no answer, without the address, which the caller has.
func cause(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		err = e.Err
	}
	return err
}

// send sends a request; its answer is 200 OK, and to be closed.
func (c *Client) send(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("manager: %w", err)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("manager: the manager at %s does not answer: %w", c.base, cause(err))
	}
	if answer.StatusCode == http.StatusOK {
		return answer, nil
	}
	defer answer.Body.Close()
	said := answerError{Error: answer.Status}
	if text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswerBytes)); err == nil {
		_ = json.Unmarshal(text, &said) // of a proxy there is no more than the status
	}
	return nil, fmt.Errorf("manager: %s at %s: %w", method, c.base, &answered{answer.StatusCode, said.Error})
}

// answered is an error that a manager answered with.
type answered struct {
	status int
	text   string
}

func (a *answered) Error() string { return a.text }

func (a *answered) Is(target error) bool {
	for _, s := range statuses {
		if s.status == a.status && s.err == target {
			return true
		}
	}
	return false
}

// presence logs once that a manager is away, and that it is back.
type presence struct {
	client *Client
	away   bool
}

func (p *presence) is(err error) {
	if p.client.Logger != nil && (err != nil) != p.away {
		if err != nil {
			what := "manager is away"
			if _, ok := errors.AsType[*answered](err); ok {
				what = "manager refuses"
			}
			p.client.Logger.Warn(what, "url", p.client.base, "error", err)
		} else {
			p.client.Logger.Info("manager is back", "url", p.client.base)
		}
	}
	p.away = err != nil
}
