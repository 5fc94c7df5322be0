package ike

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"sync"
	"time"

	"github.com/strongswan/govici/vici"
	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// VICI is strongSwan's charon, asked through the socket of its plugin vici. Each question has a connection of its own: one that was broken
// off can't be mistaken for the next one's answer.
type VICI struct {
	socket   string
	loaded   recent[[]conn]
	initiate turns                // one Child SA of a connection at a time
	retire   turns                // one at a time decides what goes
	leaving  map[[2]xfrm.SPI]bool // Child SAs that were to go; whose turn it is in retire has it
}

// turns lets one at a time do something by the same name.
type turns struct{ taken sync.Map } // of chan struct{} by name

// take waits for the turn, and returns what ends it.
func (t *turns) take(ctx context.Context, name string) (done func(), err error) {
	c, _ := t.taken.LoadOrStore(name, make(chan struct{}, 1))
	turn := c.(chan struct{})
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// NewVICI returns the driver for the charon that listens at the socket, a path.
func NewVICI(socket string) *VICI { return &VICI{socket: socket, leaving: make(map[[2]xfrm.SPI]bool)} }

// String names the daemon.
func (v *VICI) String() string { return "strongSwan at " + v.socket }

// mostEvents is how many events one question may bring: an event is an IKE SA or a connection. What exceeds a channel is lost without a
// sign, so that a full one is an error.
const mostEvents = 1 << 16

// ask asks and returns the answer with the events of the given kind that came before it.
//
// It subscribes rather than use the library's streaming call: that drops events beyond 128 and those that have come in together with the answer.
func (v *VICI) ask(ctx context.Context, command, event string, in *vici.Message) (*vici.Message, []*vici.Message, error) {
	answer, events, err := v.exchange(ctx, command, event, in)
	switch {
	case err == nil:
		return answer, events, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ECONNREFUSED):
		err = ErrAbsent
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, unix.ETIMEDOUT), isTimeout(err):
		err = fmt.Errorf("it did not answer in time: %w", context.DeadlineExceeded)
	}
	return answer, nil, fmt.Errorf("%v, asked to %s: %w", v, command, err)
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

func (v *VICI) exchange(ctx context.Context, command, event string, in *vici.Message) (*vici.Message, []*vici.Message, error) {
	session, err := vici.NewSession(vici.WithSocketPath(v.socket), vici.WithDialContext(
		func(_ context.Context, network, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		}))
	if err != nil {
		return nil, nil, err
	}
	defer session.Close()
	// Subscribing takes no context, and a daemon may accept and say nothing.
	stop := context.AfterFunc(ctx, func() { session.Close() })
	defer stop()
	var events chan vici.Event
	if event != "" {
		events = make(chan vici.Event, mostEvents)
		session.NotifyEvents(events)
		if err := session.Subscribe(event); err != nil {
			return nil, nil, errors.Join(ctx.Err(), err)
		}
	}
	answer, err := session.Call(ctx, command, in)
	if err != nil {
		return answer, nil, errors.Join(ctx.Err(), err)
	}
	if len(events) == mostEvents {
		return nil, nil, fmt.Errorf("it has more than %d to tell of: %w", mostEvents, errors.ErrUnsupported)
	}
	all := make([]*vici.Message, len(events))
	for i := range all {
		all[i] = (<-events).Message
	}
	return answer, all, nil
}

// margin is how much sooner than the caller's deadline charon is told to give up, so that it is charon that says why.
const margin = 500 * time.Millisecond

// patience is what charon is given for a task that ends with ctx, in milliseconds.
func patience(ctx context.Context) int64 {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0 // as long as it takes
	}
	return max(1, (time.Until(deadline) - margin).Milliseconds())
}
