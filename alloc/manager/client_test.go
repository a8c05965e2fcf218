package manager

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNewClientRefuses(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "host:1", "ftp://host", "http://", "http://h?x=1", "http://h#x", "http://h\n", "unix:/run/m"} {
		_, err := NewClient(base, nil)
		require.ErrorContains(t, err, "manager: ", base)
	}
}

// Every ID that Check lets through goes there and back.
func TestClientAndServerAgree(t *testing.T) {
	t.Parallel()
	m := start(t, Config{})
	server := httptest.NewServer(http.StripPrefix("/below", m))
	t.Cleanup(server.Close)
	c := must(NewClient(server.URL+"/below/", server.Client()))
	var ids string
	for b := byte(' '); b <= '~'; b++ {
		if checkID(string(rune(b))) == nil || b == '.' {
			ids += string(rune(b))
		}
	}
	for _, id := range []string{ids[:len(ids)/2], ids[len(ids)/2:], "...", "%2e%2e", "a"} {
		n := testNode(id, 1<<64-1)
		n.Addresses[0].Address = "/run/x"
		renewAfter, err := c.Register(t.Context(), n)
		require.NoError(t, err, id)
		require.Equal(t, defaultTimeToLive/3, renewAfter)
		require.Equal(t, []Node{n}, must(c.Nodes(t.Context())).Nodes)
		require.NoError(t, c.Deregister(t.Context(), id, n.Epoch))
	}
	s := must(c.Nodes(t.Context()))
	require.Empty(t, s.Nodes)
	require.EqualValues(t, 10, s.Revision)
	require.Equal(t, formatLife(m.cfg.Life), s.Life)
}

func TestNamedErrorsArrive(t *testing.T) {
	t.Parallel()
	m := newManager(Config{})
	m.registry.maxNodes = 1
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	c := must(NewClient(server.URL, server.Client()))
	must(c.Register(t.Context(), testNode("a", 5)))
	_, err := c.Register(t.Context(), testNode("a", 4))
	require.ErrorIs(t, err, ErrLowerEpoch)
	require.ErrorContains(t, err, "node a, epoch 4: the node is registered with a higher epoch, 5")
	require.ErrorIs(t, c.Deregister(t.Context(), "a", 4), ErrLowerEpoch)
	_, err = c.Register(t.Context(), testNode("b", 1))
	require.ErrorIs(t, err, ErrTooManyNodes)
	_, err = c.Register(t.Context(), testNode("", 1))
	require.ErrorContains(t, err, "id: the name is empty")
	require.ErrorContains(t, c.Deregister(t.Context(), "..", 1), `id: the name ".."`)
}

func TestAnswersThatAreWrong(t *testing.T) {
	t.Parallel()
	for _, a := range []struct {
		status int
		body   string
		want   string
	}{
		{200, "", "the answer is not what a manager says"},
		{200, "<html>", "the answer is not what a manager says"},
		{200, `{"renew_after_ns":1000000000} x`, "the answer is not what a manager says"},
		{200, strings.Repeat(" ", maxAnswerBytes) + "{}", "it has 65536 bytes or more"},
		{200, `{"renew_after_ns":0}`, "renew_after_ns: is 0: must be"},
		{200, `{"renew_after_ns":-1}`, "renew_after_ns: is -1"},
		{502, "<html>", "502 Bad Gateway"},
		{400, `{"error":"no"}`, "no"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(a.status)
			w.Write([]byte(a.body))
		}))
		c := must(NewClient(server.URL, server.Client()))
		_, err := c.Register(t.Context(), testNode("a", 1))
		require.ErrorContains(t, err, a.want, a)
		_, err = c.Nodes(t.Context())
		require.Error(t, err, a)
		server.Close()
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	var b backoff
	for range 2 {
		for most := minBackoff; most < 4*maxBackoff; most *= 2 {
			d := b.next()
			require.GreaterOrEqual(t, d, min(most, maxBackoff)/2)
			require.LessOrEqual(t, d, min(most, maxBackoff))
		}
		b.reset()
	}
	require.LessOrEqual(t, b.next(), time.Duration(minBackoff))
}
