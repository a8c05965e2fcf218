// Package provider has the parts from which providers of package transport are
// made in software: queues, holds of queue pairs, the table of regions.
//
// Nothing here has a lock of its own unless it says so. Each method of a part is
// called by one goroutine at a time: the provider guarantees that by its own lock,
// or the front of transport does.
package provider
