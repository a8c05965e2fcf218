package wire

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The predicates, as lists of who fulfils them.
func TestOpcodePredicates(t *testing.T) {
	t.Parallel()
	atomics := []Opcode{CompareSwap, FetchAdd}
	imm := []Opcode{SendLastImm, SendOnlyImm, WriteLastImm, WriteOnlyImm, UDSendOnlyImm}
	sends := []Opcode{SendFirst, SendMiddle, SendLast, SendLastImm, SendOnly, SendOnlyImm, UDSendOnly, UDSendOnlyImm}
	writes := []Opcode{WriteFirst, WriteMiddle, WriteLast, WriteLastImm, WriteOnly, WriteOnlyImm}
	readResponses := []Opcode{ReadResponseFirst, ReadResponseMiddle, ReadResponseLast, ReadResponseOnly}
	acks := []Opcode{Acknowledge, AtomicAcknowledge}
	first := []Opcode{SendFirst, WriteFirst, ReadResponseFirst}
	middle := []Opcode{SendMiddle, WriteMiddle, ReadResponseMiddle}
	lastOfMany := []Opcode{SendLast, SendLastImm, WriteLast, WriteLastImm, ReadResponseLast}
	only := []Opcode{SendOnly, SendOnlyImm, WriteOnly, WriteOnlyImm, ReadRequest, ReadResponseOnly, Acknowledge,
		AtomicAcknowledge, CompareSwap, FetchAdd, UDSendOnly, UDSendOnlyImm}

	for _, c := range []struct {
		name string
		is   func(Opcode) bool
		who  []Opcode
	}{
		{"IsRequest", Opcode.IsRequest, slices.Concat(sends, writes, []Opcode{ReadRequest}, atomics)},
		{"IsResponse", Opcode.IsResponse, slices.Concat(readResponses, acks)},
		{"IsSend", Opcode.IsSend, sends},
		{"IsWrite", Opcode.IsWrite, writes},
		{"IsAtomic", Opcode.IsAtomic, atomics},
		{"IsReadResponse", Opcode.IsReadResponse, readResponses},
		{"IsUD", Opcode.IsUD, []Opcode{UDSendOnly, UDSendOnlyImm}},
		{"IsFirst", Opcode.IsFirst, first},
		{"IsMiddle", Opcode.IsMiddle, middle},
		{"IsLast", Opcode.IsLast, slices.Concat(lastOfMany, only)},
		{"IsOnly", Opcode.IsOnly, only},
		{"HasPayload", Opcode.HasPayload, slices.Concat(sends, writes, readResponses)},
		{"HasImm", Opcode.HasImm, imm},
		{"HasRETH", Opcode.HasRETH, []Opcode{WriteFirst, WriteOnly, WriteOnlyImm, ReadRequest}},
		{"HasAtomicETH", Opcode.HasAtomicETH, atomics},
		{"HasAETH", Opcode.HasAETH, []Opcode{ReadResponseFirst, ReadResponseLast, ReadResponseOnly, Acknowledge, AtomicAcknowledge}},
		{"HasAtomicAckETH", Opcode.HasAtomicAckETH, []Opcode{AtomicAcknowledge}},
		{"HasDETH", Opcode.HasDETH, []Opcode{UDSendOnly, UDSendOnlyImm}},
	} {
		for o := range 256 {
			require.Equal(t, slices.Contains(c.who, Opcode(o)), c.is(Opcode(o)), "%s of %v", c.name, Opcode(o))
		}
	}
}

func TestOpcodeString(t *testing.T) {
	t.Parallel()
	require.Equal(t, "WRITE LAST IMM", WriteLastImm.String())
	require.Equal(t, "opcode 0x17", Opcode(0x17).String())
	names := map[string]bool{}
	for o := range layouts {
		require.NotEmpty(t, o.String())
		names[o.String()] = true
	}
	require.Len(t, names, len(layouts), "two opcodes of one name")
}
