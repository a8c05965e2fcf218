// Package alloc leases cores of other machines, and calls functions there.
//
//	c, err := alloc.Open(ctx, alloc.Config{Device: device, Agents: []string{"unix:@node"}})
//	pool, err := c.Lease(ctx, alloc.Order{Workers: 2, Package: p})
//	n, err := pool.Call(ctx, "resize", in, out)
//	pool.Close()
//
// A Client asks agents directly: no scheduler is in between. A Pool is an
// invoke/client.Client over the workers of its leases, safe to use from any goroutine; it
// renews the leases, replaces those that are revoked or lost, and with Order.Idle gives
// those back that had no calls for a time.
//
// # Which node
//
// For one worker, two nodes are chosen at random. The one with fewer of the pool's workers
// is asked first, or else the one with more free cores, as far as that is known; with
// Order.Pack the other one. For several workers all nodes are put in that order, and up to
// 16 are asked side by side for their shares: as even as their room allows, or with
// Order.Pack all that a node has room for before the next one is asked. Nodes that are
// full, as the manager says, are asked last, two at a time. A node that refuses says what is
// free, which counts more than what the manager says, for a second. When no node has room,
// the client asks again, after random pauses that grow, until the context ends.
// Config.Logger gets a warning after 5 s, and again after pauses that grow.
package alloc
