package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rfaas-go/rfaas/transport"
)

func (p *program) devicesCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "devices",
		Short: "List the transports and what they can do here",
		Long: `devices opens each transport that is built in and tells what it can do on this
machine, within which limits, and what it chose and why; or why it cannot be
used.`,
		Example: `  rfaas devices
  rfaas devices --json | jq -r 'select(.available) | .transport'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			for _, scheme := range transport.Schemes() {
				if err := describeDevice(scheme).write(out, asJSON); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line instead of text")
	return cmd
}

// deviceInfo is what is known of a transport. Its JSON is for scripts.
type deviceInfo struct {
	Transport       string   `json:"transport"` // URL scheme
	Available       bool     `json:"available"`
	Reason          string   `json:"reason,omitempty"` // why it is not
	Wire            string   `json:"wire,omitempty"`
	Operations      []string `json:"operations,omitempty"`
	Features        []string `json:"features,omitempty"`
	MaxMessageBytes uint64   `json:"max_message_bytes,omitempty"`
	MaxInlineBytes  uint32   `json:"max_inline_bytes,omitempty"`
	MaxSendDepth    uint32   `json:"max_send_depth,omitempty"`
	MaxRecvDepth    uint32   `json:"max_recv_depth,omitempty"`
	MaxQueueDepth   uint32   `json:"max_queue_depth,omitempty"`
	Notes           []string `json:"notes,omitempty"`
}

// operations are those that a device may have, in the order in which they are
// shown. The two receives come with the operations of the peer.
var operations = []transport.Op{
	transport.OpSend, transport.OpWrite, transport.OpWriteImm, transport.OpRead, transport.OpFetchAdd, transport.OpCompareSwap,
}

// describeDevice opens a device to see what it can do.
func describeDevice(scheme string) deviceInfo {
	info := deviceInfo{Transport: scheme}
	d, err := transport.Open(scheme)
	if err != nil {
		if e, ok := errors.AsType[*transport.OpError](err); ok {
			err = e.Err // the rest is said already
		}
		info.Reason = err.Error()
		return info
	}
	defer d.Close()
	caps := d.Capabilities()
	info.Available, info.Wire, info.Notes = true, caps.Wire, caps.Notes
	for _, op := range operations {
		if caps.Ops.Has(op) {
			info.Operations = append(info.Operations, op.String())
		}
	}
	if caps.Features != 0 {
		info.Features = strings.Split(caps.Features.String(), ",")
	}
	info.MaxMessageBytes, info.MaxInlineBytes = caps.MaxMessageBytes, caps.MaxInlineBytes
	info.MaxSendDepth, info.MaxRecvDepth, info.MaxQueueDepth = caps.MaxSendDepth, caps.MaxRecvDepth, caps.MaxQueueDepth
	return info
}

func (d deviceInfo) write(w io.Writer, asJSON bool) error {
	if asJSON {
		return writeJSON(w, d)
	}
	var b strings.Builder
	if !d.Available {
		fmt.Fprintf(&b, "%s: not available\n  reason      %s\n", d.Transport, d.Reason)
		_, err := io.WriteString(w, b.String())
		return err
	}
	message, inline := byteSize(d.MaxMessageBytes), byteSize(d.MaxInlineBytes)
	fmt.Fprintf(&b, "%s: available\n", d.Transport)
	fmt.Fprintf(&b, "  wire        %s\n", d.Wire)
	fmt.Fprintf(&b, "  operations  %s\n", strings.Join(d.Operations, ", "))
	fmt.Fprintf(&b, "  features    %s\n", strings.Join(d.Features, ", "))
	fmt.Fprintf(&b, "  limits      message %s, inline %s bytes\n", message.String(), inline.String())
	fmt.Fprintf(&b, "  depths      sends %d, receives %d, queues %d\n", d.MaxSendDepth, d.MaxRecvDepth, d.MaxQueueDepth)
	for _, note := range d.Notes {
		fmt.Fprintf(&b, "  note        %s\n", note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
