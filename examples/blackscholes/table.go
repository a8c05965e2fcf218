package blackscholes

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// byteOrderMark is what spreadsheets like to begin UTF-8 files with.
const byteOrderMark = "\ufeff"

// table reads options from CSV.
type table struct {
	reader  *csv.Reader
	header  []string  // the columns' names as the input spells them
	columns []*column // what they mean, at the same places
}

// newTable reads the header of in, which must stay unchanged while the table is
// in use, and checks that it has all the columns needed and no others: a
// misspelt dividend must not price options without one.
func newTable(in []byte) (*table, error) {
	reader := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(in, []byte(byteOrderMark))))
	reader.TrimLeadingSpace = true
	header, err := reader.Read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the input is empty: want a CSV table with the columns %s", wantedColumns())
	}
	if err != nil {
		return nil, explain(err)
	}
	reader.ReuseRecord = true // from here on only: the header is kept
	t := &table{reader: reader, header: header}

	seen := make(map[*column]bool)
	for i, name := range header {
		name = strings.TrimSpace(name)
		header[i] = name
		c := findColumn(name)
		switch {
		case strings.EqualFold(name, priceColumn):
			return nil, fmt.Errorf("line %d: the table has a column %q already: send it without, or it would have two", t.line(), name)
		case c == nil:
			return nil, fmt.Errorf("line %d: there is no column %s: want %s", t.line(), quote(name), wantedColumns())
		case seen[c]:
			return nil, fmt.Errorf("line %d: the column %q comes twice", t.line(), name)
		}
		seen[c] = true
		t.columns = append(t.columns, c)
	}
	for i := range columns {
		if c := &columns[i]; !c.optional && !seen[c] {
			return nil, fmt.Errorf("line %d: the column %q is missing: want %s", t.line(), c.name, wantedColumns())
		}
	}
	return t, nil
}

// next reads the next option. It also returns the fields of its row, trimmed
// and valid until the next call. It returns [io.EOF] after the last option.
func (t *table) next() (Option, []string, error) {
	fields, err := t.reader.Read()
	if errors.Is(err, csv.ErrFieldCount) {
		return Option{}, nil, fmt.Errorf("line %d: the row has %d fields and the table %d columns: %s",
			t.line(), len(fields), len(t.header), strings.Join(t.header, ","))
	}
	if err != nil {
		return Option{}, nil, explain(err)
	}
	var option Option
	for i, c := range t.columns {
		fields[i] = strings.TrimSpace(fields[i])
		if !c.set(&option, fields[i]) {
			line, _ := t.reader.FieldPos(i)
			return Option{}, nil, fmt.Errorf("line %d, column %q: %s is not valid: want %s", line, c.name, quote(fields[i]), c.want)
		}
	}
	return option, fields, nil
}

// line returns the number of the line at which the last row begins, from 1.
func (t *table) line() int {
	line, _ := t.reader.FieldPos(0)
	return line
}

// explain words an error of the CSV reader; others, [io.EOF] above all, it
// returns unchanged.
func explain(err error) error {
	var broken *csv.ParseError
	if !errors.As(err, &broken) {
		return err
	}
	switch {
	case errors.Is(err, csv.ErrBareQuote):
		return fmt.Errorf("line %d, byte %d: a quotation mark inside a field: put the whole field in quotes, and write two for one", broken.Line, broken.Column)
	case errors.Is(err, csv.ErrQuote):
		return fmt.Errorf("line %d, byte %d: a quotation mark is missing or too many: a field that begins with one must end with one", broken.Line, broken.Column)
	default:
		return fmt.Errorf("line %d, byte %d: this is no CSV: %w", broken.Line, broken.Column, broken.Err)
	}
}

// quote returns the field as a message can show it: on one line, and not all of
// a field that is a whole file because a quotation mark is missing.
func quote(field string) string {
	const most = 40 // bytes; an error message is no place for more
	if len(field) <= most {
		return fmt.Sprintf("%q", field)
	}
	return fmt.Sprintf("%q...", field[:most])
}
