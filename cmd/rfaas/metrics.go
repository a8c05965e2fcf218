package main

import (
	"net/http"

	"github.com/rfaas-go/rfaas/internal/tokens"
)

// metricsPath is where agents and managers answer Prometheus.
const metricsPath = "/metrics"

// withMetrics has scrape serve metrics beside a server's other requests: to clients with a
// token of one of some roles, or without --tokens to all that can connect.
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
