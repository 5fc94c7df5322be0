package topo

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// Watch watches the network from outside while something is done to it: pings of both families, everything that the gateways send,
// and what their kernels announce.
type Watch struct {
	network   *Network
	listeners map[Namespace]*Listener
	captures  []*Capture
	pings     []*Ping
	before    map[Namespace]Snapshot
}

// steady is how many pings of each family have to be answered before something is done, and after.
const steady = 20

// Watch begins to watch, with pings to the clients, by default to both. When it returns all have been answered a number of times.
func (n *Network) Watch(clients ...string) (*Watch, error) {
	if clients == nil {
		clients = []string{Client4, Client6}
	}
	w := &Watch{network: n, listeners: make(map[Namespace]*Listener), before: make(map[Namespace]Snapshot)}
	for _, ns := range Gateways {
		l, err := Listen(ns)
		if err != nil {
			return nil, err
		}
		w.listeners[ns] = l
	}
	for _, iface := range []string{LeftUplinks[0], LeftUplinks[1], RightUplink} {
		c, err := StartCapture(iface, filepath.Join(n.dir, iface+".pcap"))
		if err != nil {
			return nil, err
		}
		w.captures = append(w.captures, c)
	}
	for _, to := range clients {
		p, err := StartPing(to)
		if err != nil {
			return nil, err
		}
		w.pings = append(w.pings, p)
	}
	if err := w.answered(); err != nil {
		return nil, err
	}
	for _, ns := range Gateways {
		s, err := Snap(ns)
		if err != nil {
			return nil, err
		}
		w.before[ns] = s
	}
	return w, nil
}

func (w *Watch) answered() error {
	for _, p := range w.pings {
		if err := p.Answered(steady, 20*time.Second); err != nil {
			return err
		}
	}
	return nil
}

// Observation is what a Watch has seen.
type Observation struct {
	Before, After map[Namespace]Snapshot
	Notices       map[Namespace][]Notice
	Wire          []Packet // what the gateways sent: the left one by either ISP, then the right one
	Replies       map[string][]Reply
	Deaf          error // the pings that are not answered any more
}

// Stop waits until the pings are answered steadily again, or says in the Observation that they are not, and ends the watching.
func (w *Watch) Stop() (*Observation, error) {
	o := &Observation{
		Before: w.before, After: make(map[Namespace]Snapshot),
		Notices: make(map[Namespace][]Notice), Replies: make(map[string][]Reply),
	}
	o.Deaf = w.answered()
	var errs []error
	for _, ns := range Gateways {
		s, err := Snap(ns)
		errs = append(errs, err)
		o.After[ns] = s
	}
	for _, p := range w.pings {
		o.Replies[p.To] = p.Stop()
	}
	for _, c := range w.captures {
		packets, err := c.Stop()
		errs = append(errs, err)
		o.Wire = append(o.Wire, packets...)
	}
	for ns, l := range w.listeners {
		heard, err := l.Stop()
		if err != nil {
			errs = append(errs, fmt.Errorf("listening in %s: %w", ns, err))
		}
		o.Notices[ns] = heard
	}
	return o, errors.Join(errs...)
}
