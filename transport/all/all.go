// Package all registers every transport and decorator, so that a program can
// choose one by URL: import it for its side effect.
package all

import (
	_ "github.com/rfaas-go/rfaas/softroce"
	_ "github.com/rfaas-go/rfaas/transport/faulty"
	_ "github.com/rfaas-go/rfaas/transport/loopback"
	_ "github.com/rfaas-go/rfaas/transport/shm"
	_ "github.com/rfaas-go/rfaas/transport/trace"
	_ "github.com/rfaas-go/rfaas/verbs"
)
