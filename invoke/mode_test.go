package invoke_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
)

func TestMode(t *testing.T) {
	t.Parallel()
	for text, mode := range map[string]invoke.Mode{
		"hot":             invoke.Hot,
		"warm":            invoke.Warm,
		"adaptive:50us":   invoke.DefaultMode,
		"adaptive:1.5ms":  invoke.Adaptive(1500 * time.Microsecond),
		"adaptive:0s":     invoke.Adaptive(-time.Second),
		"adaptive:1h0m0s": invoke.Adaptive(time.Hour),
	} {
		parsed, err := invoke.ParseMode(text)
		require.NoError(t, err)
		require.Equal(t, mode, parsed)
		require.Equal(t, text, mode.String())
	}
	parsed, err := invoke.ParseMode("adaptive")
	require.NoError(t, err)
	require.Equal(t, invoke.DefaultMode, parsed)
	require.Equal(t, invoke.DefaultMode.String(), invoke.Mode{}.String(), "the zero value is the default")

	for mode, spin := range map[invoke.Mode]time.Duration{
		invoke.Hot: transport.Hot, invoke.Warm: transport.Warm, invoke.Adaptive(time.Second): time.Second,
		invoke.DefaultMode: 50 * time.Microsecond, {}: 50 * time.Microsecond,
	} {
		require.Equal(t, spin, mode.Spin(), mode.String())
	}

	for _, text := range []string{"", "Hot", "cold", "adaptive:", "adaptive:fast", "adaptive:-1s", "hot:5us"} {
		var m invoke.Mode
		require.Error(t, m.UnmarshalText([]byte(text)), text)
	}
	var m invoke.Mode
	require.NoError(t, m.UnmarshalText([]byte("warm")))
	text, err := m.MarshalText()
	require.NoError(t, err)
	require.Equal(t, "warm", string(text))
}

// TestModes calls in every combination of modes.
func TestModes(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		modes := []invoke.Mode{invoke.Hot, invoke.Warm, invoke.Adaptive(10 * time.Microsecond)}
		for _, worker := range modes {
			s := serve(t, url, invoke.WorkerConfig{Mode: worker})
			for _, client := range modes {
				c := s.dial(t, invoke.ClientConfig{Mode: client})
				f := find(t, c, "echo")
				out := make([]byte, 10)
				for range 20 {
					n, err := c.Call(soon(t), f, []byte("abc"), out)
					require.NoError(t, err)
					require.Equal(t, "abc", string(out[:n]))
				}
				require.NoError(t, c.Close())
			}
			require.NoError(t, s.worker.Close())
			s.ended(t)
		}
	})
}
