package executor

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/framing"
	"github.com/rfaas-go/rfaas/internal/roceaddr"
)

// Exchanges are inspected and changed in whatever pieces they arrive. Other bytes are copied
// unchanged and complete.
func TestCarryExchanges(t *testing.T) {
	t.Parallel()
	frame := func(kind framing.Kind, message string) string {
		return string(framing.Header{Size: uint32(len(message)), Kind: kind}.Append(nil)) + message
	}
	hello, first, second := frame(framing.Hello, "abc"), frame(framing.Exchange, "first"), frame(framing.Exchange, "second")
	for name, c := range map[string]struct{ in, want, heard string }{
		"exchanges":              {hello + first + second + second, hello + frame(framing.Exchange, "0irst") + frame(framing.Exchange, "1econd"), "first second "},
		"ends in a message":      {hello + first[:10], hello + first[:10], ""},
		"ends in a header":       {hello + first[:5], hello + first[:5], ""},
		"another kind":           {first + frame(framing.Control, "control") + second, frame(framing.Exchange, "0irst") + frame(framing.Control, "control")[:framing.HeaderBytes], "first "},
		"no frame":               {"GET / HTTP/1.1", "GET / HT", ""},
		"far too long":           {string(framing.Header{Size: framing.MaxBytes + 1, Kind: framing.Exchange}.Append(nil)), string(framing.Header{Size: framing.MaxBytes + 1, Kind: framing.Exchange}.Append(nil)), ""},
		"nothing in an exchange": {frame(framing.Exchange, "") + second, frame(framing.Exchange, "") + frame(framing.Exchange, "1econd"), " second "},
	} {
		for _, in := range []io.Reader{bytes.NewReader([]byte(c.in)), iotest.OneByteReader(bytes.NewReader([]byte(c.in)))} {
			var out bytes.Buffer
			heard := ""
			carryExchanges(&out, in, func(exchange int, message []byte) error {
				heard += string(message) + " "
				if len(message) > 0 {
					message[0] = '0' + byte(exchange)
				}
				return nil
			})
			require.Equal(t, c.want, out.String(), name)
			require.Equal(t, c.heard, heard, name)
		}
	}
}

// No end promises more than the path MTU of the executor's route.
func TestIntroductionBounds(t *testing.T) {
	t.Parallel()
	var i introduction
	message := roceaddr.EncodeReady(4096)
	require.NoError(t, i.bound(message))
	require.Equal(t, roceaddr.EncodeReady(4096), message, "the route is not known")
	i.near.Store(4096)
	i.far.Store(2048)
	i.route.Store(1024)
	for said, want := range map[int]int{4096: 1024, 512: 512} {
		message = roceaddr.EncodeReady(said)
		require.NoError(t, i.bound(message))
		require.Equal(t, roceaddr.EncodeReady(want), message)
	}
	i.route.Store(2048)
	require.NoError(t, i.bound([]byte("ready")))
}
