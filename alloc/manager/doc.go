// Package manager tells clients which nodes there are and what they offer: the
// handler that `rfaas manager` serves, and its client. Leases and
// calls do not pass through it: agents grant leases by themselves, and work continues
// while the manager is away.
//
// # Objects
//
//	Node      what an agent says of its machine
//	Registry  the nodes and their changes: a state machine without I/O and clock
//	Manager   a Registry over HTTP, with streams of changes
//	Client    asks a manager; Keep is an agent's side, Watch a caller's
//	View      what a caller knows of the nodes, kept up to date by Watch
//
// # Protocol
//
// JSON over HTTP. ID is a Node's.
//
//	request                          body  answer
//	PUT    /v1/nodes/ID              Node  {"life":L,"revision":N,"renew_after_ns":D,"accounting":[Address...]}
//	DELETE /v1/nodes/ID?epoch=E            {}
//	GET    /v1/nodes                       {"life":L,"revision":N,"nodes":[Node...]}
//	GET    /v1/watch?life=L&revision=N     a line for each change after N, as they come
//
// PUT adds a node, or renews it: it is to be sent again after D, and the node is gone
// when that has not happened for three times D. Nodes are in memory only. A manager
// that starts again has a new life L (16 hexadecimal digits) and knows no nodes until
// they renew, which takes D at most, or the 5 s that a Client waits at most for a
// manager that is away. Until then a snapshot lacks some: a node that is not there is
// not necessarily gone.
//
// N counts the changes of a life. A line of a watch ends in a line feed, and is one of
//
//	{"revision":N,"kind":K,"node":Node}  change N; K: added, changed, draining, gone
//	{"revision":N}                       a heartbeat: N is the last change so far
//
// The first heartbeat follows the changes that there were when the watch began, then
// there is one every 5 s. A client that hears nothing for 15 s should connect again,
// and ask for what comes after the last N that it read. A watcher that does not read
// is cut off when more than 1 MiB waits for it, or 6 heartbeats; the others do not
// notice.
//
// An answer other than 200 has the body {"error":"..."}, which says what is wrong,
// where, and what to do:
//
//	400  the request is wrong                   Node.Check's errors, and others
//	403  Config.Authorize says no
//	404  there is no such request
//	409  the node has a higher epoch            ErrLowerEpoch
//	410  the changes since N are not known      ErrNewSnapshot
//	413  the body has more than 64 KiB
//	503  too many watchers, or closing; later
//	507  there are too many nodes               ErrTooManyNodes
//
// A manager refuses fields of a Node that it does not know; a client ignores what it
// does not know, since its manager may be newer.
//
// # Limits
//
// Nodes 16384, 8 KiB of JSON each; watchers 32768; the changes of the last 16 MiB are
// there to resume from. A server with a Manager should bound the time of a request's head
// and of idle connections (http.Server.ReadHeaderTimeout, IdleTimeout); the rest is
// bounded here.
package manager
