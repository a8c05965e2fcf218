package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke/executor"
)

// Functions have names that tenants choose: none begins a line as the log does.
func TestOutputLabel(t *testing.T) {
	t.Parallel()
	for function, want := range map[string]string{
		"thumbnailer": "thumbnailer[7] | text\n", "v1.2/grö-ße_x": "v1.2/grö-ße_x[7] | text\n", "": "executor[7] | text\n",
		"time=2026 level=ERROR": `"time=2026 level=ERROR"[7] | text` + "\n", `{"level":`: `"{\"level\":"[7] | text` + "\n",
		"a[1] |": `"a[1] |"[7] | text` + "\n", "rfaas run: lost": `"rfaas run: lost"[7] | text` + "\n",
	} {
		var said strings.Builder
		(&logging{format: "text"}).outputTo(&said)(executor.OutputLine{Process: 7, Function: function, Text: "text"})
		require.Equal(t, want, said.String())
	}
}

// What functions print is shown whatever is logged.
func TestOutputAsJSON(t *testing.T) {
	t.Parallel()
	var said strings.Builder
	l := logging{level: "error", format: "json"}
	require.NoError(t, l.start(&said))
	l.outputTo(&said)(executor.OutputLine{Process: 7, Function: "time=", Text: `{"msg":"x"}`})
	var got map[string]any
	require.NoError(t, json.Unmarshal([]byte(said.String()), &got))
	delete(got, "time")
	require.Equal(t, map[string]any{"level": "INFO", "msg": "function output", "process": 7.0, "function": "time=", "text": `{"msg":"x"}`}, got)
}
