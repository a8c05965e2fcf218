package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/rfaas-go/rfaas/internal/tokens"
	"github.com/rfaas-go/rfaas/transport"
)

// transportVariable is the environment variable with the default of --transport.
const transportVariable = "RFAAS_TRANSPORT"

// transportFlag is a flag with the URL of a transport.
type transportFlag struct {
	url  string
	from string // who gave it: the flag or the variable
}

// add adds the flag. purpose is for its help.
func (t *transportFlag) add(flags *pflag.FlagSet, usual, purpose string) {
	*t = defaultTransport(usual)
	flags.Var(t, "transport", fmt.Sprintf("`URL` of the transport%s; see 'rfaas devices' (default %q, or $%s)", purpose, usual, transportVariable))
	flags.Lookup("transport").DefValue = "" // the help has said it
}

// defaultTransport is the transport of a command that is given none.
func defaultTransport(usual string) transportFlag {
	if url := os.Getenv(transportVariable); url != "" {
		return transportFlag{url, "$" + transportVariable}
	}
	return transportFlag{usual, "--transport"}
}

// givenTransports are the values of a flag that takes several, or the default.
func givenTransports(urls []string, usual string) []transportFlag {
	if len(urls) == 0 {
		return []transportFlag{defaultTransport(usual)}
	}
	var all []transportFlag
	for _, url := range urls {
		all = append(all, transportFlag{url, "--transport"})
	}
	return all
}

// urlsOf are the URLs of transports.
func urlsOf(transports []transportFlag) []string {
	var urls []string
	for _, t := range transports {
		urls = append(urls, t.url)
	}
	return urls
}

// Set implements pflag.Value.
func (t *transportFlag) Set(url string) error {
	*t = transportFlag{url, "--transport"}
	return nil
}

// String implements pflag.Value.
func (t *transportFlag) String() string { return t.url }

// Type implements pflag.Value.
func (t *transportFlag) Type() string { return "string" }

// name is what errors call it.
func (t transportFlag) name() string {
	return t.from + " " + cmp.Or(strings.TrimSuffix(t.url, ":"), `""`)
}

// openForWorkers opens a transport that reaches other processes.
func openForWorkers(t transportFlag) (*transport.Device, error) {
	device, err := transport.Open(t.url)
	if err != nil {
		return nil, openError(t, err)
	}
	if !device.Capabilities().Features.Has(transport.FeatureCrossProcess) {
		device.Close()
		return nil, usageError("%s: connects within one process only, and workers are processes; choose another, see 'rfaas devices'", t.name())
	}
	return device, nil
}

// openError is the error of a transport that cannot be opened: a mistake on the command line
// if its URL shows that, whatever the machine.
func openError(t transportFlag, err error) error {
	names, _, _ := strings.Cut(t.url, ":")
	decorators := strings.Split(names, "+")
	provider := decorators[len(decorators)-1]
	if !slices.Contains(transport.Schemes(), provider) {
		return usageError("%s: unknown transport %q; there are: %s", t.name(), provider, strings.Join(transport.Schemes(), ", "))
	}
	for _, d := range decorators[:len(decorators)-1] {
		if !slices.Contains(transport.Decorators(), d) {
			return usageError("%s: unknown decorator %q; there are: %s", t.name(), d, strings.Join(transport.Decorators(), ", "))
		}
	}
	wrong := t.isWrong(err)
	if e, ok := errors.AsType[*transport.OpError](err); ok {
		err = e.Err // the rest is in the name
	}
	err = fmt.Errorf("%s: %w; see 'rfaas devices'", t.name(), err)
	if wrong {
		return &exitError{exitUsage, err}
	}
	return err
}

// isWrong reports whether the URL would fail to open anywhere.
func (t transportFlag) isWrong(err error) bool {
	u, bad := url.Parse(t.url)
	if bad != nil {
		return true
	}
	query, bad := url.ParseQuery(u.RawQuery)
	if bad != nil || errors.Is(err, transport.ErrInvalid) {
		return true
	}
	untrusted := u.Host != "" && !tokens.IsLoopback(u.Hostname()) && !query.Has("trust-network")
	return schemeOf(t.url) == "softroce" && untrusted
}

// checkTrust refuses a transport that is a network's, unless that network is trusted. Of
// softroce: its own URL says so.
func checkTrust(t transportFlag, trusted bool) error {
	if trusted || schemeOf(t.url) != "verbs" {
		return nil
	}
	return usageError("%s: RoCE packets are neither encrypted nor authenticated: whoever can send and read packets on the device's network can read and write the memory that is registered here; if you trust that network, add --trust-network", t.name())
}

// schemeOf is the scheme of a transport's URL, without decorators.
func schemeOf(url string) string {
	scheme, _, _ := strings.Cut(url, ":")
	return scheme[strings.LastIndexByte(scheme, '+')+1:]
}
