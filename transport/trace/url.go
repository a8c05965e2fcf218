package trace

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"

	"github.com/rfaas-go/rfaas/transport"
)

// The parameters of a URL.
const (
	fileParameter    = "file"
	recordsParameter = "records"
)

func init() { transport.RegisterDecorator("trace", decorate, fileParameter, recordsParameter) }

// decorate makes the adapter of a URL.
func decorate(inner transport.Adapter, params url.Values) (transport.Adapter, error) {
	for name, values := range params {
		if len(values) > 1 {
			return nil, fmt.Errorf("%w: trace: parameter %s is given %d times; give it once", transport.ErrInvalid, name, len(values))
		}
	}
	records := defaultRecords
	if params.Has(recordsParameter) {
		var err error
		text := params.Get(recordsParameter)
		if records, err = strconv.Atoi(text); err != nil || records < 1 || records > maxRecords {
			return nil, fmt.Errorf("%w: trace: parameter %s is %q; it takes a number from 1 to %d", transport.ErrInvalid, recordsParameter, text, maxRecords)
		}
	}
	recorder := NewRecorder(records)
	decorated := New(inner, recorder)
	if params.Has(fileParameter) {
		atClose, err := writer(recorder, params.Get(fileParameter))
		if err != nil {
			return nil, err
		}
		switch a := decorated.(type) {
		case *adapter:
			a.atClose = atClose
		case *sharingAdapter:
			a.atClose = atClose
		}
	}
	return decorated, nil
}

// writer makes what writes a trace when the device is closed. The file is made
// at once, so that an error is noticed before the program's work is done.
func writer(r *Recorder, path string) (write func() error, err error) {
	if path == "-" {
		return func() error { return r.WriteText(os.Stderr) }, nil
	}
	file, err := openFile(path)
	if err != nil {
		return nil, err
	}
	return func() error {
		if err := errors.Join(file.write(r), file.close()); err != nil {
			return fmt.Errorf("trace: %w", err)
		}
		return nil
	}, nil
}

// Close closes the inner adapter and then writes the trace.
func (a *adapter) Close() error {
	err := a.Adapter.Close()
	if a.atClose != nil {
		err = errors.Join(err, a.atClose())
	}
	return err
}
