package accounting

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/rfaas-go/rfaas/internal/names"
)

// The columns of rows that are not quantities.
const (
	columnDay     = "day"
	columnTenant  = "tenant"
	columnNode    = "node"
	columnEpoch   = "epoch"
	columnLease   = "lease"
	columnClaimed = "claimed"
)

// columns are those that the bill is by.
func (b Bill) columns() (names []string) {
	for _, c := range []struct {
		has  bool
		name string
	}{
		{b.By.Day, columnDay}, {b.By.Tenant, columnTenant}, {b.By.Node, columnNode},
		{b.By.Lease, columnEpoch}, {b.By.Lease, columnLease},
	} {
		if c.has {
			names = append(names, c.name)
		}
	}
	return append(names, columnClaimed)
}

// value is what a row has in a column: a string, a uint64 or a bool.
func (r Row) value(column string) any {
	switch column {
	case columnDay:
		return r.Day.Format(time.DateOnly)
	case columnTenant:
		return r.Tenant
	case columnNode:
		return r.Node
	case columnEpoch:
		return r.Epoch
	case columnLease:
		return r.Lease
	default:
		return r.Claimed
	}
}

// check finds names that a table or a spreadsheet would take for something else. A
// bill of MakeBill has none.
func (b Bill) check() error {
	for i, row := range b.Rows {
		for _, name := range []string{row.Tenant, row.Node} {
			if name == "" {
				continue
			}
			if err := names.Check(name); err != nil {
				return fmt.Errorf("accounting: bill: row %d: %w", i, err)
			}
		}
	}
	return nil
}

// WriteCSV writes a header and the rows, quantities in their own units.
func (b Bill) WriteCSV(w io.Writer) error {
	if err := b.check(); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	columns := b.columns()
	out.Write(append(columns, quantityNames[:]...)) // Error has the first error
	for _, row := range b.Rows {
		var fields []string
		for _, column := range columns {
			fields = append(fields, fmt.Sprint(row.value(column)))
		}
		for _, v := range row.Usage {
			fields = append(fields, strconv.FormatUint(v, 10))
		}
		out.Write(fields)
	}
	out.Flush()
	return out.Error()
}

// WriteJSON writes an object a row, each on a line, with the names of WriteCSV and
// quantities in their own units. They are integers of up to 64 bits.
func (b Bill) WriteJSON(w io.Writer) error {
	if err := b.check(); err != nil {
		return err
	}
	columns := b.columns()
	for _, row := range b.Rows {
		line := []byte{'{'}
		for _, column := range columns {
			value, err := json.Marshal(row.value(column))
			if err != nil {
				return err
			}
			line = fmt.Appendf(line, "%q:%s,", column, value)
		}
		for q, v := range row.Usage {
			line = fmt.Appendf(line, "%q:%d,", Quantity(q), v)
		}
		line[len(line)-1] = '}'
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}
