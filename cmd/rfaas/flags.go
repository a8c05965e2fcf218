package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// once is the value of a flag that can be given once only: of two values one would be
// ignored silently.
type once struct {
	pflag.Value
	positive bool // see neverZero
	given    bool
}

var (
	errTwice = errors.New("given twice")
	errZero  = errors.New("zero")
)

// Set implements pflag.Value.
func (o *once) Set(text string) error {
	if o.given {
		return errTwice
	}
	o.given = true
	if err := o.Value.Set(text); err != nil {
		return err
	}
	if v := o.String(); o.positive && (v == "0" || v == "0s") {
		return errZero
	}
	return nil
}

// neverZeroMark is the annotation of flags that neverZero is about.
const neverZeroMark = "rfaas-never-zero"

// neverZero has 0 refused as the value of flags, which stands for "not given" in the program.
func neverZero(flags *pflag.FlagSet, names ...string) {
	for _, name := range names {
		if err := flags.SetAnnotation(name, neverZeroMark, nil); err != nil {
			panic(err)
		}
	}
}

// checkFlags has the flags of a command, and of those below it, refuse what they cannot
// take. Lists take several values, and are left as they are.
func checkFlags(cmd *cobra.Command) {
	check := func(f *pflag.Flag) {
		_, list := f.Value.(pflag.SliceValue)
		_, positive := f.Annotations[neverZeroMark]
		switch f.Value.Type() {
		case "count", "stringToString":
			list = true
		}
		if list {
			if f.DefValue == "[]" { // nothing is the default
				f.DefValue = ""
			}
			return
		}
		f.Value = &once{Value: f.Value, positive: positive}
		if f.DefValue == "0s" {
			f.DefValue = "0" // of a duration that is wrapped pflag does not know that it is zero
		}
	}
	cmd.Flags().VisitAll(check)
	cmd.PersistentFlags().VisitAll(check)
	for _, sub := range cmd.Commands() {
		checkFlags(sub)
	}
}

// flagError is an error of reading flags in words for the user.
func flagError(_ *cobra.Command, err error) error {
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return fmt.Errorf("--%s: needs a value", e.GetFlag().Name)
	}
	if e, ok := errors.AsType[*pflag.InvalidSyntaxError](err); ok {
		return fmt.Errorf("%s: is no flag", e.GetSpecifiedFlag())
	}
	e, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	name, value := "--"+e.GetFlag().Name, e.GetValue()
	if value == "" || strings.ContainsFunc(value, func(r rune) bool { return r == ' ' || !strconv.IsPrint(r) }) {
		value = strconv.Quote(value)
	}
	switch cause := e.Unwrap(); {
	case errors.Is(cause, errTwice):
		return fmt.Errorf("%s: given twice; it takes one value: leave one of them out", name)
	case errors.Is(cause, errZero):
		return fmt.Errorf("%s %s: must be more than 0; leave it out for the default", name, value)
	default:
		return fmt.Errorf("%s %s: %s", name, value, mustBe(e.GetFlag().Value.Type(), cause))
	}
}

// mustBe says what a flag of a type takes, when it refused a value because of cause.
func mustBe(kind string, cause error) string {
	if errors.Is(cause, strconv.ErrRange) {
		return "is out of range"
	}
	switch kind {
	case "int":
		return "must be a whole number"
	case "uintSlice":
		return "must be whole numbers, separated by commas"
	case "float64":
		return "must be a number"
	case "duration":
		return "must be a time with a unit, such as 300ms or 5m"
	case "bool":
		return "must be true or false"
	case "size":
		return "must be a number of bytes, such as 65536, 64KiB or 1GiB"
	case "stringToString":
		return "must be NAME=VALUE"
	case "stringSlice":
		return "must be words, separated by commas"
	case modeKind:
		return "must be hot, warm, adaptive or adaptive:TIME, such as adaptive:50us"
	}
	return cause.Error()
}
