package xfrmtest

import (
	"errors"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Killed is what a Fault that kills panics with, and the error of everything that a killed Process still tries.
var Killed = errors.New("killed") //nolint:staticcheck // not an error that a caller meets: it says what was done to the process

// Fault is called at every point where something can go wrong and says what does. The zero Effect is nothing.
type Fault func(At) Effect

// Point is a place in an exchange with the kernel.
type Point uint8

// The points, in order.
const (
	BeforeSend   Point = iota
	AfterSend          // the kernel has acted, nothing has been read yet
	AfterReceive       // a datagram was read
)

// String names the point.
func (p Point) String() string { return [...]string{"before send", "after send", "after receive"}[p] }

// At is where a Fault is called. Messages are those of the datagram that is sent or was received.
type At struct {
	Point    Point
	N        int // counts the points of the Process, from 0
	Messages []xfrm.Message
}

// Has reports whether there is a message of the type.
func (a *At) Has(typ uint16) bool {
	for _, m := range a.Messages {
		if m.Type == typ {
			return true
		}
	}
	return false
}

// Process is a group of sockets that die together and whose points are counted together. The zero Process is alive.
type Process struct {
	mu   sync.Mutex
	n    int
	dead bool
}

// Points tells how many points there have been.
func (p *Process) Points() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

// Kill makes the sockets of the process fail with Killed from now on: nothing more reaches the kernel. Where several
// goroutines share the work this is how to simulate kill -9; the panic of Effect.Panic only ends one of them.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
}

// Alive reports whether the process was not killed.
func (p *Process) Alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.dead
}

func (p *Process) next() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	return p.n - 1
}

// Faulty wraps a socket, to a Kernel or to a running one, and calls f at every Point.
func Faulty(sock xfrm.Socket, f Fault) xfrm.Socket { return new(Process).Socket(sock, f) }

// Socket is Faulty for a socket of the process.
func (p *Process) Socket(sock xfrm.Socket, f Fault) xfrm.Socket {
	return &faultySocket{Socket: sock, p: p, fault: f, lies: map[uint32]Lie{}}
}

type faultySocket struct {
	xfrm.Socket
	p     *Process
	fault Fault
	lies  map[uint32]Lie // by sequence number
	kept  [][]byte       // acknowledgements that were read ahead
	errs  []error        // that Receive returns first
}

// at calls the hook and does what can be done at any point.
func (s *faultySocket) at(p Point, b []byte) (Effect, error) {
	if !s.p.Alive() {
		return Effect{}, Killed
	}
	at := At{Point: p, N: s.p.next()}
	_ = xfrm.EachMessage(b, func(m xfrm.Message) error {
		at.Messages = append(at.Messages, m)
		return nil
	})
	e := s.fault(at)
	if e.Run != nil {
		e.Run()
	}
	if e.Kill {
		s.p.Kill()
		return e, Killed
	}
	if e.Panic {
		s.p.Kill()
		panic(Killed)
	}
	return e, nil
}

func (s *faultySocket) Send(b []byte) error {
	e, err := s.at(BeforeSend, b)
	if err == nil {
		err = e.Err
	}
	if err != nil {
		return err
	}
	if len(e.Lies) != 0 {
		b = s.rewrite(b, e.Lies)
	}
	if err := s.Socket.Send(b); err != nil {
		return err
	}
	if e, err = s.at(AfterSend, b); err != nil {
		return err
	}
	if e.Lose {
		s.lose(e.Keep)
	}
	return e.Err
}

// lose reads what the kernel answered and throws it away but for the first few.
func (s *faultySocket) lose(keep int) {
	b := make([]byte, 64<<10)
	for {
		n, err := s.Socket.Receive(b)
		switch {
		case errors.Is(err, unix.EAGAIN):
			s.errs = append(s.errs, unix.ENOBUFS)
			return
		case err != nil:
			s.errs = append(s.errs, err)
		case len(s.kept) < keep:
			s.kept = append(s.kept, append([]byte(nil), b[:n]...))
		}
	}
}

func (s *faultySocket) Receive(b []byte) (n int, err error) {
	switch {
	case !s.p.Alive():
		return 0, Killed
	case len(s.errs) != 0:
		err, s.errs = s.errs[0], s.errs[1:]
		return 0, err
	case len(s.kept) != 0:
		n = copy(b, s.kept[0])
		s.kept = s.kept[1:]
	default:
		if n, err = s.Socket.Receive(b); err != nil {
			return n, err
		}
	}
	n = s.lie(b, n)
	e, err := s.at(AfterReceive, b[:n])
	if err == nil {
		err = e.Err
	}
	if err != nil {
		return 0, err
	}
	return n, nil
}
