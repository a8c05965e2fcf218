// Package provider has the parts that providers of package transport are made of
// in software: the queues, what holds a queue pair, the table of regions.
//
// Nothing here has a lock of its own unless it says so. Of the goroutines that use a
// part one at a time does each thing: it is the provider that sees to that, with the
// lock that it has anyhow, or because the front of transport guarantees it.
package provider
