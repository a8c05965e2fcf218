package main

import (
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
