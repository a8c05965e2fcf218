package transport

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// layer is a decorator or the provider of a URL.
type layer struct {
	name   string
	params []string   // the names of those that it has
	given  url.Values // those that the URL gives it
}

// share gives each parameter of a URL to the layer that it is meant for, under
// its plain name.
func share(query url.Values, layers []layer) error {
	for _, param := range slices.Sorted(maps.Keys(query)) {
		to, name, err := addressee(param, layers)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		to.given[name] = append(to.given[name], query[param]...)
	}
	return nil
}

// addressee is the layer that a parameter is meant for, and its name there.
func addressee(param string, layers []layer) (*layer, string, error) {
	if owner, name, qualified := strings.Cut(param, "."); qualified {
		i := slices.IndexFunc(layers, func(l layer) bool { return l.name == owner })
		if i >= 0 && slices.Contains(layers[i].params, name) {
			return &layers[i], name, nil
		}
		return nil, "", unknown(param, layers)
	}
	var know []int
	for i := range layers {
		if slices.Contains(layers[i].params, param) {
			know = append(know, i)
		}
	}
	switch len(know) {
	case 0:
		return nil, "", unknown(param, layers)
	case 1:
		return &layers[know[0]], param, nil
	}
	var names []string
	for _, i := range know {
		names = append(names, layers[i].name)
	}
	return nil, "", fmt.Errorf("parameter %s is known to %s: say whose it is, as in %s",
		param, strings.Join(names, " and to "), names[0]+"."+param+"=...")
}

// unknown is the error for a parameter that no layer has.
func unknown(param string, layers []layer) error {
	var have []string
	for _, l := range layers {
		params := "none"
		if len(l.params) > 0 {
			params = strings.Join(slices.Sorted(slices.Values(l.params)), ", ")
		}
		have = append(have, fmt.Sprintf("%s has %s", l.name, params))
	}
	return fmt.Errorf("parameter %s is known to no layer of the URL: %s", param, strings.Join(have, "; "))
}
