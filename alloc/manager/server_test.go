package manager

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// ask has a manager answer without a network.
func ask(m *Manager, method, url, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest(method, url, strings.NewReader(body)))
	return w
}

func start(t *testing.T, cfg Config) *Manager {
	t.Helper()
	m := must(New(cfg))
	t.Cleanup(func() { m.Close() })
	return m
}

func TestRegisterAndList(t *testing.T) {
	t.Parallel()
	var now time.Duration
	m := newManager(Config{Life: 0xabc, Clock: func() time.Duration { return now }}) // nothing of it runs by itself
	body := string(encode(testNode("a", 1)))
	for range 2 { // a renewal changes nothing
		w := ask(m, "PUT", "/v1/nodes/a", body)
		require.Equal(t, http.StatusOK, w.Code, w.Body)
		require.JSONEq(t, `{"life":"0000000000000abc","revision":1,"renew_after_ns":3333333333}`, w.Body.String())
	}
	require.Equal(t, http.StatusOK, ask(m, "PUT", "/v1/nodes/b", string(encode(testNode("b", 7)))).Code)
	w := ask(m, "GET", "/v1/nodes", "")
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.JSONEq(t, `{"life":"0000000000000abc","revision":2,"nodes":[`+body+`,`+string(encode(testNode("b", 7)))+`]}`, w.Body.String())

	require.Equal(t, http.StatusConflict, ask(m, "DELETE", "/v1/nodes/b?epoch=6", "").Code)
	require.Equal(t, http.StatusOK, ask(m, "DELETE", "/v1/nodes/b?epoch=7", "").Code)
	require.JSONEq(t, `{"life":"0000000000000abc","revision":3,"nodes":[`+body+`]}`, ask(m, "GET", "/v1/nodes", "").Body.String())

	now += 10*time.Second - 1
	require.Contains(t, ask(m, "GET", "/v1/nodes", "").Body.String(), `"revision":3,"nodes":[{`)
	now++
	require.JSONEq(t, `{"life":"0000000000000abc","revision":4,"nodes":[]}`, ask(m, "GET", "/v1/nodes", "").Body.String())
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	m := start(t, Config{Life: 1})
	m.registry.maxNodes = 1
	node := func(id string, epoch uint64) string { return string(encode(testNode(id, epoch))) }
	require.Equal(t, http.StatusOK, ask(m, "PUT", "/v1/nodes/a", node("a", 5)).Code)
	for _, c := range []struct {
		method, url, body string
		status            int
		want              string
	}{
		{"GET", "/", "", 404, "there are PUT and DELETE /v1/nodes/ID"},
		{"POST", "/v1/nodes", "", 404, "there is no such request"},
		{"PUT", "/v1/nodes/a", "", 400, `node "a": not a node in JSON: it is empty`},
		{"PUT", "/v1/nodes/a", `{"x":1}`, 400, `unknown field "x"`},
		{"PUT", "/v1/nodes/a", node("b", 5), 400, `id: is "b" in the body and "a" in the path`},
		{"PUT", "/v1/nodes/a", node("a", 4), 409, "node a, epoch 4: the node is registered with a higher epoch, 5: this agent should end"},
		{"PUT", "/v1/nodes/b", node("b", 5), 507, "there are too many nodes"},
		{"PUT", "/v1/nodes/a", strings.Repeat(" ", maxBodyBytes+1), 413, "more than 65536 bytes"},
		{"GET", "/v1/nodes", "x", 400, "GET /v1/nodes has a body: must have none"},
		{"DELETE", "/v1/nodes/a", "", 400, "epoch: \"\": must be a decimal number"},
		{"DELETE", "/v1/nodes/a?epoch=x", "", 400, "epoch: \"x\""},
		{"DELETE", "/v1/nodes/a%20b?epoch=1", "", 400, "without space"},
		{"DELETE", "/v1/nodes/a?epoch=4", "", 409, "a higher epoch, 5"},
		{"GET", "/v1/watch?revision=0", "", 400, "life: \"\": must be 16 hexadecimal digits"},
		{"GET", "/v1/watch?life=+000000000000001&revision=0", "", 400, "life:"},
		{"GET", "/v1/watch?life=0000000000000001", "", 400, "revision: \"\""},
		{"GET", "/v1/watch?life=0000000000000002&revision=0", "", 410, "life 0000000000000002: this manager's is 0000000000000001: the changes since then are not known: take a new snapshot"},
		{"GET", "/v1/watch?life=0000000000000001&revision=2", "", 410, "revision 2: this manager has the changes after 0 up to 1"},
	} {
		w := ask(m, c.method, c.url, c.body)
		require.Equal(t, c.status, w.Code, "%v: %s", c, w.Body)
		var e answerError
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &e), "%v: %s", c, w.Body)
		require.Contains(t, e.Error, c.want, c)
	}
	require.EqualValues(t, 1, m.registry.Revision())
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	m := start(t, Config{Authorize: func(r *http.Request, role Role) error {
		if r.Header.Get("X-Role") != string(role) || role == Agent && r.PathValue("id") != "a" {
			return errors.New("show a certificate")
		}
		return nil
	}})
	for _, c := range []struct {
		method, url, role string
		status            int
	}{
		{"PUT", "/v1/nodes/a", "agent", 400}, // it has no body
		{"PUT", "/v1/nodes/b", "agent", 403},
		{"PUT", "/v1/nodes/a", "caller", 403},
		{"DELETE", "/v1/nodes/a?epoch=1", "caller", 403},
		{"GET", "/v1/nodes", "caller", 200},
		{"GET", "/v1/nodes", "agent", 403},
		{"GET", "/v1/watch", "", 403},
	} {
		r := httptest.NewRequest(c.method, c.url, nil)
		r.Header.Set("X-Role", c.role)
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r)
		require.Equal(t, c.status, w.Code, c)
		if c.status == 403 {
			require.Contains(t, w.Body.String(), "show a certificate")
		}
	}
}

func TestNewRefusesTimeToLive(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{-1, 1, math.MaxInt64} {
		_, err := New(Config{TimeToLive: d})
		require.ErrorContains(t, err, "Config.TimeToLive is")
	}
}

func TestClosedRefuses(t *testing.T) {
	t.Parallel()
	m := start(t, Config{Life: 1})
	require.NoError(t, m.Close())
	require.NoError(t, m.Close())
	require.Equal(t, http.StatusServiceUnavailable, ask(m, "PUT", "/v1/nodes/a", string(encode(testNode("a", 1)))).Code)
	require.Equal(t, http.StatusServiceUnavailable, ask(m, "GET", "/v1/watch?life=0000000000000001&revision=0", "").Code)
}

// A client that stops in the middle of a request, or does not take its answer, holds
// nothing for long.
func TestClientsThatStop(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"in a body":              "PUT /v1/nodes/a HTTP/1.1\r\nHost: m\r\nContent-Length: 9\r\n\r\n{",
		"in a body of a watch":   "GET /v1/watch HTTP/1.1\r\nHost: m\r\nContent-Length: 9\r\n\r\n{",
		"in a body for nothing":  "PUT /v1/nodes HTTP/1.1\r\nHost: m\r\nContent-Length: 9\r\n\r\n{",
		"instead of its answer":  "GET /v1/nodes HTTP/1.1\r\nHost: m\r\n\r\n",
		"instead of its refusal": "GET /v1/nodes?epoch HTTP/1.1\r\nHost: m\r\nContent-Length: 1\r\n\r\n ",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var p pipes
				run(t, p.listen(), Config{})
				c := must(p.dial(t.Context(), "", ""))
				defer c.Close()
				must(io.WriteString(c, request))
				time.Sleep(bodyTimeout + answerTimeout + 5*time.Second)
				_, err := c.Write([]byte("x"))
				require.ErrorIs(t, err, io.ErrClosedPipe, "the server has closed it")
			})
		})
	}
}
