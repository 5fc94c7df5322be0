//go:build lab

package crash

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// client is the address behind the right gateway that a tunnel leads to.
func client(i int, ipv6 bool) netip.Addr {
	if ipv6 {
		return netip.MustParseAddr(fmt.Sprintf("fd02::%x", 0x100+i))
	}
	return netip.AddrFrom4([4]byte{10, 2, 0, byte(100 + i)})
}

// clients gives the right client the addresses that so many tunnels lead to.
func clients(t *testing.T, tunnels int) {
	t.Helper()
	var addresses strings.Builder
	for i := range tunnels {
		fmt.Fprintf(&addresses, "addr add %v/32 dev eth0\naddr add %v/128 dev eth0 nodad\n", client(i, false), client(i, true))
	}
	if err := topo.RightLAN.IP(addresses.String()); err != nil {
		t.Fatal(err)
	}
}

// traffic is one flow of datagrams through each tunnel, from the left client to the right one and back.
type traffic struct {
	flows []*flow
	quit  chan struct{}
	done  sync.WaitGroup
}

type flow struct {
	to      netip.Addr
	conn    *net.UDPConn
	sent    atomic.Uint32 // the number of the last datagram
	heard   atomic.Uint32 // the highest number that came back
	replies atomic.Uint32
}

// sendEvery is between two datagrams of whatever flow: 50 a second leave an emulated machine time for other things.
const sendEvery = 20 * time.Millisecond

// startTraffic starts the flows, of both families by turns.
func startTraffic(t *testing.T) *traffic {
	t.Helper()
	tr := &traffic{quit: make(chan struct{})}
	for i := range tunnels {
		tr.flows = append(tr.flows, &flow{to: client(i, i/2%2 == 1)})
	}
	clients(t, tunnels)
	const port = 4500 + 7
	err := topo.RightLAN.Enter(func() error {
		for _, f := range tr.flows {
			c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(f.to, port)))
			if err != nil {
				return err
			}
			t.Cleanup(func() { c.Close() })
			tr.done.Go(func() { echo(c) })
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = topo.LeftLAN.Enter(func() (err error) {
		for _, f := range tr.flows {
			if f.conn, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(f.to, port))); err != nil {
				return err
			}
			t.Cleanup(func() { f.conn.Close() })
			tr.done.Go(f.listen)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sending := make(chan struct{})
	go func() {
		defer close(sending)
		tr.send()
	}()
	t.Cleanup(func() { // first of all: sockets are closed after it
		close(tr.quit)
		<-sending
	})
	return tr
}

// echo sends back what comes in, until the socket is closed.
func echo(c *net.UDPConn) {
	b := make([]byte, 64)
	for {
		n, from, err := c.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		_, _ = c.WriteToUDPAddrPort(b[:n], from) // a datagram may be lost
	}
}

func (f *flow) listen() {
	b := make([]byte, 64)
	for {
		n, err := f.conn.Read(b)
		switch {
		case n == 4:
			f.heard.Store(max(f.heard.Load(), binary.BigEndian.Uint32(b)))
			f.replies.Add(1)
		case err != nil && !strings.Contains(err.Error(), "refused"): // closed
			return
		}
	}
}

func (tr *traffic) send() {
	tick := time.NewTicker(sendEvery)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tr.quit:
			return
		case <-tick.C:
		}
		f := tr.flows[i%len(tr.flows)]
		_, _ = f.conn.Write(binary.BigEndian.AppendUint32(nil, f.sent.Add(1))) // it may be lost
	}
}

// flowing waits until a datagram that was sent from now on has come back through every tunnel.
func (tr *traffic) flowing(t *testing.T, when string) {
	t.Helper()
	since := make([]uint32, len(tr.flows))
	for i, f := range tr.flows {
		since[i] = f.sent.Load()
	}
	for i, f := range tr.flows {
		if err := topo.Until(time.Minute, func() (bool, error) { return f.heard.Load() > since[i], nil }); err != nil {
			t.Fatalf("%s: nothing comes back through tunnel %d, from %v: %v", when, i, f.to, err)
		}
	}
}

// replies counts all datagrams that came back.
func (tr *traffic) replies() (n int) {
	for _, f := range tr.flows {
		n += int(f.replies.Load())
	}
	return n
}
