package manager

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	// maxSilence is how long a watch may say nothing before it counts as broken.
	maxSilence = 3 * heartbeatInterval

	maxLineBytes = maxNodeBytes + 256
)

var errSilence = fmt.Errorf("manager: the watch has said nothing for %v", maxSilence)

// Watch keeps a view up to date until the context ends, and returns its cause. A
// broken connection is made again and the stream resumed; while the manager is away
// the view stays as it was, and says that it is stale. A view is for one Watch at a
// time.
func (c *Client) Watch(ctx context.Context, v *View) error {
	var b backoff
	manager := presence{client: c}
	for {
		err := c.follow(ctx, v, func() {
			b.reset()
			manager.is(nil)
		})
		v.lose(err)
		if ctx.Err() == nil && !errors.Is(err, ErrNewSnapshot) {
			manager.is(err)
		}
		if !pause(ctx, b.next()) {
			return context.Cause(ctx)
		}
	}
}

// follow brings the view up to date, and keeps it so until something is wrong. It
// calls alive whenever the view is known to be current.
func (c *Client) follow(ctx context.Context, v *View, alive func()) error {
	life, revision, ok := v.position()
	if !ok {
		s, err := c.Nodes(ctx)
		if err != nil {
			return err
		}
		v.replace(s)
		life, revision = s.Life, s.Revision
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(maxSilence, func() { cancel(errSilence) })
	defer silence.Stop()
	answer, err := c.send(ctx, http.MethodGet, fmt.Sprintf("/v1/watch?life=%s&revision=%d", life, revision), nil)
	if err != nil {
		return c.broken(ctx, err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, maxLineBytes)
	for lines.Scan() {
		silence.Reset(maxSilence)
		change, err := decodeLine(lines.Bytes())
		if err != nil {
			return fmt.Errorf("manager: %s: %w", c.base, err)
		}
		if err := v.apply(change); err != nil {
			return err
		}
		if change.Kind == "" {
			alive()
		}
	}
	err = lines.Err()
	if err == nil {
		err = io.EOF
	}
	return c.broken(ctx, fmt.Errorf("manager: watch of %s: %w", c.base, err))
}

// broken is why a stream ended: the cause, if the context did.
func (c *Client) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
