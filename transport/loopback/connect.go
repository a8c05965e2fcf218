package loopback

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"sync"

	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

const nonceBytes = 16

type nonce [nonceBytes]byte

func newNonce() (n nonce) {
	rand.Read(n[:])
	return n
}

// process distinguishes this process from all others, whatever their process ids.
var process = newNonce()

// rendezvous is where the two ends of a connection find each other.
var rendezvous = struct {
	sync.Mutex
	queuePairs map[nonce]*queuePair // those in Connect
}{queuePairs: map[nonce]*queuePair{}}

// Connect sends the peer this end's token, finds the peer, and waits until the
// peer has found this end.
func (q *queuePair) Connect(_ context.Context, x transport.Exchanger) error {
	token := newNonce()
	rendezvous.Lock()
	rendezvous.queuePairs[token] = q
	rendezvous.Unlock()
	defer func() {
		rendezvous.Lock()
		delete(rendezvous.queuePairs, token)
		rendezvous.Unlock()
	}()
	msg, fds, err := x.Exchange(append(process[:], token[:]...), nil)
	provider.CloseDescriptors(fds)
	if err != nil {
		return err
	}
	peerToken, peer, err := findPeer(msg)
	if err != nil {
		return err
	}
	// Each end has made a wire. Both know both tokens, and use the wire of the
	// smaller one.
	w := q.own
	if bytes.Compare(peerToken[:], token[:]) < 0 {
		w = peer.own
	}
	if err := w.attach(q); err != nil {
		return err
	}
	_, fds, err = x.Exchange([]byte("ready"), nil)
	provider.CloseDescriptors(fds)
	return err
}

// findPeer finds the queue pair behind a set-up message.
func findPeer(msg []byte) (token nonce, peer *queuePair, err error) {
	if len(msg) != 2*nonceBytes {
		return token, nil, fmt.Errorf("%w: set-up message of %d bytes, not %d", transport.ErrInvalid, len(msg), 2*nonceBytes)
	}
	if nonce(msg) != process {
		return token, nil, fmt.Errorf("%w: loopback connects two ends in one process, and the peer is in another; use shm: between processes", transport.ErrNotSupported)
	}
	token = nonce(msg[nonceBytes:])
	rendezvous.Lock()
	peer = rendezvous.queuePairs[token]
	rendezvous.Unlock()
	if peer == nil {
		return token, nil, fmt.Errorf("%w: the peer gave up during connection set-up", transport.ErrPeerGone)
	}
	return token, peer, nil
}
