package rc_test

import (
	"fmt"
	"strings"

	"github.com/rfaas-go/rfaas/softroce/internal/simnet"
	"github.com/rfaas-go/rfaas/softroce/wire"
)

// eventLog keeps the last lines of what happened: all when most is negative.
type eventLog struct {
	most  int
	lines []string
}

func (l *eventLog) on() bool { return l.most != 0 }

func (l *eventLog) add(line string) {
	if l.most > 0 && len(l.lines) >= l.most {
		l.lines = l.lines[1:]
	}
	l.lines = append(l.lines, line)
}

// note adds a line, if there is a log.
func (w *walk) note(format string, args ...any) {
	if w.log.on() {
		w.log.add(fmt.Sprintf("%v ", w.net.Now()) + fmt.Sprintf(format, args...))
	}
}

// watch is told what the network does.
func (w *walk) watch(e simnet.Event) {
	w.note("    %v>%v %s: %s", e.From, e.To, e.What, describe(e.Datagram))
}

// describe tells a datagram in a line.
func describe(datagram []byte) string {
	var p wire.Packet
	if err := p.Decode(datagram); err != nil {
		return fmt.Sprintf("%d bytes, %v", len(datagram), err)
	}
	return describePacket(&p)
}

func describePacket(p *wire.Packet) string {
	var b strings.Builder
	fmt.Fprintf(&b, "qp %06x psn %06x %v", p.DestQP, p.PSN, p.Opcode)
	if p.AckRequest {
		b.WriteString(" A")
	}
	if p.Solicited {
		b.WriteString(" SE")
	}
	if p.Opcode.HasRETH() {
		fmt.Fprintf(&b, " va %#x key %08x length %d", p.VA, p.RKey, p.Length)
	}
	if p.Opcode.HasAtomicETH() {
		fmt.Fprintf(&b, " va %#x key %08x swap/add %#x compare %#x", p.VA, p.RKey, p.SwapAdd, p.Compare)
	}
	if p.Opcode.HasAETH() {
		fmt.Fprintf(&b, " msn %d ", p.MSN)
		switch code := p.Syndrome & 0x1f; p.Syndrome & 0x60 {
		case wire.SyndromeACK:
			b.WriteString("ack")
			if n, limited := wire.DecodeCredits(code); limited {
				fmt.Fprintf(&b, " credits %d", n)
			}
		case wire.SyndromeRNR:
			fmt.Fprintf(&b, "rnr %v", wire.RNRTimer(code))
		default:
			fmt.Fprintf(&b, "nak %d", code)
		}
	}
	if p.Opcode.HasAtomicAckETH() {
		fmt.Fprintf(&b, " original %#x", p.Original)
	}
	if p.Opcode.HasImm() {
		fmt.Fprintf(&b, " imm %#x", p.Imm)
	}
	if p.Opcode.HasPayload() {
		fmt.Fprintf(&b, " payload %d", p.PayloadBytes())
	}
	return b.String()
}
