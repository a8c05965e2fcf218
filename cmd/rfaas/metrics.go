package main

import (
	"net/http"

	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/tokens"
)

// metricsPath is where agents and managers answer Prometheus.
const metricsPath = "/metrics"

// withMetrics adds metrics, which scrape answers, to a server's answers, for whoever has a
// token of one of some roles; without --tokens for everybody who can connect.
func (c *serverCredentials) withMetrics(other, scrape http.Handler, allowed ...tokens.Role) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != metricsPath {
			other.ServeHTTP(w, r)
			return
		}
		if c.tokens != nil {
			if _, err := c.tokens.OfRequest(r, allowed...); err != nil {
				status := http.StatusForbidden
				if _, stranger := c.tokens.OfRequest(r, tokens.Roles...); stranger != nil {
					status = http.StatusUnauthorized
					w.Header().Set("WWW-Authenticate", "Bearer")
				}
				refuseRequest(w, status, err)
				return
			}
		}
		scrape.ServeHTTP(w, r)
	})
}
