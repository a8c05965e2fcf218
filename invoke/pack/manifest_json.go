package pack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// maxManifestBytes bounds manifest.json. The largest valid manifest is smaller.
const maxManifestBytes = 4 << 20

// ParseManifest parses and validates a manifest. Formatting does not matter, and missing
// fields get their defaults, except those that Build derives from the files.
func ParseManifest(data []byte) (Manifest, error) {
	m, err := decodeManifest(data)
	if err != nil {
		return Manifest{}, err
	}
	m.fillIn()
	return m, m.Validate()
}

// JSON returns the manifest in its canonical form: all fields that archives have, indented,
// with a line feed at the end.
func (m *Manifest) JSON() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(m); err != nil {
		panic(err) // no field of a manifest can fail to encode
	}
	return b.Bytes()
}

// decodeManifest parses a manifest, in which fields may be missing. A field that is unknown
// or repeated is an error.
func decodeManifest(data []byte) (Manifest, error) {
	if len(data) > maxManifestBytes {
		return Manifest{}, fmt.Errorf("pack: the manifest has %d bytes: must be at most %d", len(data), maxManifestBytes)
	}
	w := walker{dec: json.NewDecoder(bytes.NewReader(data)), data: data}
	w.dec.UseNumber()
	if err := w.document(); err != nil {
		return Manifest{}, fmt.Errorf("pack: manifest, line %d: %w", w.line(), err)
	}
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			err = fmt.Errorf("%s: a %s where there should be %s", e.Field, e.Value, goKind(e.Type))
		}
		return Manifest{}, fmt.Errorf("pack: manifest: %w", err)
	}
	return m, nil
}

// walker checks what encoding/json accepts: fields that are unknown, repeated, or differ in
// upper and lower case; null, and values that cannot be told from a missing field.
type walker struct {
	dec  *json.Decoder
	data []byte
}

func (w *walker) line() int { return 1 + bytes.Count(w.data[:w.dec.InputOffset()], []byte("\n")) }

func (w *walker) token() (json.Token, error) {
	token, err := w.dec.Token()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("not valid JSON: %w", err)
	}
	return token, nil
}

func (w *walker) document() error {
	if err := w.value(reflect.TypeFor[Manifest](), ""); err != nil {
		return err
	}
	if w.dec.More() {
		return errors.New("something follows the manifest: remove it")
	}
	return nil
}

func (w *walker) value(t reflect.Type, path string) error {
	token, err := w.token()
	if err != nil {
		return err
	}
	where := path
	if path == "" {
		where = "the manifest"
	}
	switch {
	case token == nil:
		return fmt.Errorf("%s: null is not a value; leave it out for the default", where)
	case token == json.Delim('{') && t.Kind() == reflect.Struct && t != reflect.TypeFor[Duration]():
		return w.object(t, path)
	case token == json.Delim('[') && t.Kind() == reflect.Slice:
		for i := 0; w.dec.More(); i++ {
			if err := w.value(t.Elem(), path+"["+strconv.Itoa(i)+"]"); err != nil {
				return err
			}
		}
		_, err := w.token()
		return err
	case token == json.Delim('{') || token == json.Delim('['):
		return fmt.Errorf("%s: a list or an object where there should be %s", where, goKind(t))
	case t.Kind() == reflect.Slice || path == "":
		return fmt.Errorf("%s: should be %s", where, goKind(t))
	}
	return w.scalar(token, path)
}

// scalar refuses values that a Manifest cannot tell from a missing field.
func (w *walker) scalar(token json.Token, path string) error {
	text := fmt.Sprint(token)
	empty := text == "" && !strings.HasPrefix(path, "arguments[")
	if n, ok := token.(json.Number); ok && n == "0" || empty {
		return fmt.Errorf("%s: %q is not a value; leave it out for the default", path, text)
	}
	if path == "time_limit" {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err == nil && d.Duration <= 0 {
			return fmt.Errorf("%s: %s: must be %v to %v; leave it out for the default", path, text, minTimeLimit, maxTimeLimit)
		}
	}
	return nil
}

func (w *walker) object(t reflect.Type, path string) error {
	if path != "" {
		path += "."
	}
	fields := map[string]reflect.Type{}
	var known []string
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",") // without its options
		fields[name] = f.Type
		known = append(known, name)
	}
	for w.dec.More() {
		token, err := w.token()
		if err != nil {
			return err
		}
		name := token.(string) // a Decoder returns only strings here
		field, ok := fields[name]
		switch {
		case !ok && slices.Contains(known, name):
			return fmt.Errorf("%s%s: appears twice: remove one", path, name)
		case !ok:
			return fmt.Errorf("%s%s: is not a field; there are: %s", path, shown(name), strings.Join(known, ", "))
		}
		delete(fields, name)
		if err := w.value(field, path+name); err != nil {
			return err
		}
	}
	_, err := w.token()
	return err
}

// goKind names the type of a field in JSON's terms.
func goKind(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Duration]():
		return `a string with a duration, such as "1.5s"`
	case t.Kind() == reflect.String:
		return "a string"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Slice:
		return "a list"
	case t.Kind() == reflect.Struct:
		return "an object"
	}
	return "a whole number"
}
