package conformance

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// Namespace is a fresh network namespace of the kernel under test. What it opens is closed at the end of the test.
type Namespace interface {
	Socket() xfrm.Socket
	Dial() *xfrm.Conn
	Monitor(groups ...uint32) *xfrm.Monitor
}

// Run runs the suite. open is called once for each test.
func Run(t *testing.T, open func(t *testing.T) Namespace) {
	for _, group := range []struct {
		name  string
		cases []testCase
	}{
		{"SA", saCases}, {"SAErrors", saErrorCases}, {"Policy", policyCases}, {"PolicyErrors", policyErrorCases},
		{"Migrate", migrateCases}, {"MigrateErrors", migrateErrorCases},
		{"Notification", notificationCases}, {"Netlink", netlinkCases},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.cases {
				t.Run(c.name, func(t *testing.T) {
					ns := open(t)
					c.run(&env{T: t, ns: ns, c: ns.Dial()})
				})
			}
		})
	}
}

type testCase struct {
	name string
	run  func(*env)
}

// env is what a case works with.
type env struct {
	*testing.T
	ns Namespace
	c  *xfrm.Conn
}

// ok sends requests that have to succeed.
func (e *env) ok(reqs ...xfrm.Request) {
	e.Helper()
	for i, err := range e.c.Do(reqs...) {
		if err != nil {
			e.Fatalf("request %d: %v", i, err)
		}
	}
}

// refused sends a request that has to fail, with this errno and these words.
func (e *env) refused(errno unix.Errno, reason string, req xfrm.Request) {
	e.Helper()
	isRefusal(e.T, e.c.Do(req)[0], errno, reason)
}

func isRefusal(t *testing.T, err error, errno unix.Errno, reason string) {
	t.Helper()
	var got *xfrm.Error
	switch {
	case err == nil:
		t.Errorf("was done, want %v: %s", errno, reason)
	case !errors.As(err, &got):
		t.Errorf("got %v, want %v: %s", err, errno, reason)
	case got.Errno != errno || got.Reason != reason:
		t.Errorf("got %v: %q, want %v: %q", got.Errno, got.Reason, errno, reason)
	}
}

// sas dumps the SAD, without times.
func (e *env) sas() []xfrm.SA {
	e.Helper()
	all, err := e.c.SAs()
	if err != nil {
		e.Fatal(err)
	}
	for i := range all {
		timeless(&all[i])
	}
	return all
}

func timeless(sa *xfrm.SA) {
	sa.Current.AddTime, sa.Current.UseTime, sa.LastUsed = 0, 0, 0
}

// policies dumps the SPD, without times.
func (e *env) policies() []xfrm.Policy {
	e.Helper()
	all, err := e.c.Policies()
	if err != nil {
		e.Fatal(err)
	}
	for i := range all {
		all[i].Current.AddTime, all[i].Current.UseTime = 0, 0
	}
	return all
}

func equal[T comparable](e *env, what string, got, want T) {
	e.Helper()
	if got != want {
		e.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// Addresses of the tests (RFC 5737, RFC 3849).
var (
	hub     = netip.MustParseAddr("192.0.2.1")
	hubNew  = netip.MustParseAddr("198.51.100.1")
	site    = netip.MustParseAddr("203.0.113.1")
	siteNew = netip.MustParseAddr("203.0.113.99")
	hub6    = netip.MustParseAddr("2001:db8::1")
	site6   = netip.MustParseAddr("2001:db8:1::1")
)

// child is a Child SA between hub and site; seen from the hub.
func child() xfrmtest.ChildSA {
	return xfrmtest.ChildSAs(xfrmtest.Tunnels{N: 1, Local: hub, Remote: site})[0]
}

// installed adds the Child SA and returns it.
func (e *env) installed() xfrmtest.ChildSA {
	e.Helper()
	c := child()
	e.ok(c.Requests()...)
	return c
}

// aes is AES-128 in CBC with HMAC-SHA-256.
func aes() xfrmtest.Algorithms {
	return xfrmtest.Algorithms{
		Crypt: &xfrmtest.Algorithm{Name: "cbc(aes)", Key: []byte("0123456789abcdef")},
		Auth:  &xfrmtest.Algorithm{Name: "hmac(sha256)", Key: []byte("authenticate with these 32 bytes"), ICV: 128},
	}
}

// transport is an SA in transport mode from src to dst, of one family.
func transport(src, dst netip.Addr, spi xfrm.SPI) xfrm.SA {
	return xfrm.SA{
		ID:  xfrm.SAID{Dst: xfrm.AddressFrom(dst), SPI: spi, Family: xfrm.FamilyOf(dst), Proto: xfrm.ProtoESP},
		Src: xfrm.AddressFrom(src), Limits: xfrm.NoLimits, Mode: xfrm.ModeTransport, CPU: xfrm.AnyCPU,
	}
}

// raw sends a request on a socket of its own and returns all that the kernel answers.
func (e *env) raw(req xfrm.Request) []byte {
	e.Helper()
	sock := e.ns.Socket()
	if err := sock.Send(message(req, unix.NLM_F_REQUEST|unix.NLM_F_ACK, 1)); err != nil {
		e.Fatal(err)
	}
	return e.drain(sock)
}

// drain receives until there is nothing more.
func (e *env) drain(sock xfrm.Socket) (all []byte) {
	e.Helper()
	b := make([]byte, 64<<10)
	for {
		n, err := sock.Receive(b)
		if errors.Is(err, unix.EAGAIN) {
			return all
		}
		if err != nil {
			e.Fatal(err)
		}
		all = append(all, b[:n]...)
	}
}

// message is a request as it goes over the socket.
func message(r xfrm.Request, flags uint16, seq uint32) []byte {
	ne := binary.NativeEndian
	b := ne.AppendUint32(nil, uint32(16+len(r.Payload)))
	b = ne.AppendUint16(b, r.Type)
	b = ne.AppendUint16(b, flags)
	b = ne.AppendUint32(b, seq)
	b = ne.AppendUint32(b, 0)
	b = append(b, r.Payload...)
	return append(b, make([]byte, -len(b)&3)...)
}

// edit changes a copy of a request's payload.
func edit(r xfrm.Request, f func(b []byte) []byte) xfrm.Request {
	r.Payload = f(append([]byte(nil), r.Payload...))
	return r
}
