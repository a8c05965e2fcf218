package benchmarks

import (
	_ "github.com/rfaas-go/rfaas/softroce"
	_ "github.com/rfaas-go/rfaas/transport/loopback"
	_ "github.com/rfaas-go/rfaas/transport/shm"
)
