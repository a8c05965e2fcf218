package accounting

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// tableColumns are the quantities as people read them.
var tableColumns = [Quantities]struct {
	name string
	unit uint64 // 0: a whole number
}{
	CoreTime:     {"core-seconds", 1e9},
	MemoryTime:   {"GiB-seconds", 1024 * 1000},
	PolledTime:   {"polled-seconds", 1e9},
	ExecutedTime: {"executed-seconds", 1e9},
	Invocations:  {"invocations", 0},
	BytesIn:      {"bytes-in", 0},
	BytesOut:     {"bytes-out", 0},
}

// WriteTable writes a table for people, with core-seconds, GiB-seconds, seconds,
// counts and bytes. Figures are cut off after the third decimal.
func (b Bill) WriteTable(w io.Writer) error {
	if err := b.check(); err != nil {
		return err
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	columns := b.columns()
	fmt.Fprint(out, strings.Join(columns, "\t"), "\t") // Flush has the first error
	for _, c := range tableColumns {
		fmt.Fprint(out, c.name, "\t")
	}
	fmt.Fprintln(out)
	for _, row := range b.Rows {
		for _, column := range columns {
			fmt.Fprint(out, row.value(column), "\t")
		}
		for q, v := range row.Usage {
			fmt.Fprint(out, decimal(v, tableColumns[q].unit), "\t")
		}
		fmt.Fprintln(out)
	}
	return out.Flush()
}

// decimal is v in a larger unit.
func decimal(v, unit uint64) string {
	if unit == 0 {
		return fmt.Sprint(v)
	}
	return fmt.Sprintf("%d.%03d", v/unit, v%unit*1000/unit)
}
