package rocedump

import (
	"fmt"
	"strings"

	"github.com/rfaas-go/rfaas/softroce/wire"
)

// describe is what the headers of a packet say, given the name of its opcode, and
// the words for headers that package wire does not have.
func describe(p *wire.Packet, name, more string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s qp=%#x psn=%d", name, p.DestQP, p.PSN)
	if p.PKey != wire.DefaultPKey {
		fmt.Fprintf(&b, " pkey=%#x", p.PKey)
	}
	if flags := describeFlags(p); flags != "" {
		fmt.Fprintf(&b, " flags=%s", flags)
	}
	b.WriteString(more)
	if p.Opcode.HasDETH() {
		fmt.Fprintf(&b, " qkey=%#x source-qp=%#x", p.QKey, p.SourceQP)
	}
	if p.Opcode.HasRETH() {
		fmt.Fprintf(&b, " va=%#x rkey=%#x length=%d", p.VA, p.RKey, p.Length)
	}
	switch p.Opcode {
	case wire.CompareSwap:
		fmt.Fprintf(&b, " va=%#x rkey=%#x compare=%#x swap=%#x", p.VA, p.RKey, p.Compare, p.SwapAdd)
	case wire.FetchAdd:
		fmt.Fprintf(&b, " va=%#x rkey=%#x add=%#x", p.VA, p.RKey, p.SwapAdd)
	}
	if p.Opcode.HasAETH() {
		fmt.Fprintf(&b, " %s msn=%d", describeSyndrome(p.Syndrome), p.MSN)
	}
	if p.Opcode.HasAtomicAckETH() {
		fmt.Fprintf(&b, " original=%#x", p.Original)
	}
	if p.Opcode.HasImm() {
		fmt.Fprintf(&b, " imm=%#x", p.Imm)
	}
	if p.Opcode.HasPayload() {
		fmt.Fprintf(&b, " payload=%d", p.PayloadBytes())
	}
	return b.String()
}

func describeFlags(p *wire.Packet) string {
	var flags []string
	for _, f := range []struct {
		set  bool
		name string
	}{{p.Solicited, "SE"}, {p.Migrated, "M"}, {p.AckRequest, "A"}, {p.Congested, "FECN"}, {p.CongestedBack, "BECN"}} {
		if f.set {
			flags = append(flags, f.name)
		}
	}
	return strings.Join(flags, ",")
}

func describeSyndrome(s uint8) string {
	switch s {
	case wire.NAKSequence:
		return "NAK=sequence"
	case wire.NAKInvalidRequest:
		return "NAK=invalid-request"
	case wire.NAKRemoteAccess:
		return "NAK=remote-access"
	case wire.NAKRemoteOperational:
		return "NAK=remote-operational"
	}
	switch s & wire.SyndromeKind {
	case wire.SyndromeACK:
		if credits, limited := wire.DecodeCredits(s); limited {
			return fmt.Sprintf("credits=%d", credits)
		}
		return "credits=unlimited"
	case wire.SyndromeRNR:
		return fmt.Sprintf("RNR=%v", wire.RNRTimer(s))
	}
	return fmt.Sprintf("syndrome=%#x", s)
}
