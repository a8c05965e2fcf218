// Package order has the store that sync/atomic does not offer: one that publishes
// earlier writes (release), without waiting until other processors see it.
//
// On amd64 the stores of sync/atomic are XCHG instructions, which wait for the
// processor's whole store buffer: on a hot path between two processors, for a
// cache line that the other one holds, and longer than the rest of the path
// takes. An ordinary store is a release store there. Elsewhere, and for the race
// detector, Publish is the atomic store.
//
// Publish does not order the store before later loads. Where a loop looks at
// another word afterwards ("store mine, then look whether the other one
// sleeps"), use sync/atomic.
package order
