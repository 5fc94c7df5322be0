// Package host reads what a network namespace holds: SAD and SPD, interfaces, addresses and routes.
package host

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// netnsDir is where `ip netns` keeps its names.
const netnsDir = "/run/netns"

// Namespace is an open network namespace. Close releases it.
type Namespace struct {
	Name string   // empty for the current one
	file *os.File // nil for the current one

	mu     sync.Mutex      // guards routes
	routes *rtnetlink.Conn // for HasRoute, which is asked once for each peer; nil before the first
}

// Open opens the network namespace that `ip netns` knows by name; the empty name is the current one.
func Open(name string) (*Namespace, error) {
	if name == "" {
		return &Namespace{}, nil
	}
	if name != filepath.Base(name) || name == "." || name == ".." {
		return nil, fmt.Errorf("%q is not the name of a network namespace: give the name that `ip netns list` shows", name)
	}
	f, err := os.Open(filepath.Join(netnsDir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no network namespace %q: `ip netns list` shows those there are", name)
	}
	if err != nil {
		return nil, fmt.Errorf("open network namespace %q: %w", name, err)
	}
	return &Namespace{Name: name, file: f}, nil
}

// Close closes the namespace; sockets opened in it stay open.
func (n *Namespace) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.routes != nil {
		n.routes.Close()
		n.routes = nil
	}
	if n.file == nil {
		return nil
	}
	return n.file.Close()
}

// String names the namespace for people.
func (n *Namespace) String() string {
	if n.Name == "" {
		return "the current network namespace"
	}
	return "network namespace " + n.Name
}

// FD is what xfrm.Dial and xfrm.DialMonitor take.
func (n *Namespace) FD() xfrm.NetNS {
	if n.file == nil {
		return 0
	}
	return xfrm.NetNS(n.file.Fd())
}

// Dial opens a connection to the kernel's XFRM in the namespace.
func (n *Namespace) Dial() (*xfrm.Conn, error) { return xfrm.Dial(n.FD()) }

// DialReadOnly opens one that can't change anything.
func (n *Namespace) DialReadOnly() (*xfrm.Conn, error) { return xfrm.DialReadOnly(n.FD()) }

// Monitor hears of the SAs that anybody sets up or deletes in the namespace, and of those that expire.
func (n *Namespace) Monitor() (*xfrm.Monitor, error) {
	return xfrm.DialMonitor(n.FD(), xfrm.GroupSA, xfrm.GroupExpire)
}

// Inventory reads what plan.Compute needs: the SAD through conn, and the SPD meanwhile through a connection of its own. SAD
// and SPD are as they were at one moment, also while SAs come and go; the addresses and interfaces are read after that. The
// error is ErrRestless if the tables can't be followed.
func (n *Namespace) Inventory(conn *xfrm.Conn) (*plan.Inventory, error) {
	spd, err := n.DialReadOnly()
	if err != nil {
		return nil, err
	}
	defer spd.Close()
	watch, err := xfrm.DialMonitor(n.FD(), tableGroups...)
	if err != nil {
		return nil, err
	}
	defer watch.Close()
	inv, err := readTables(conn, spd, watch)
	if err != nil {
		return nil, err
	}
	return inv, n.links(inv)
}

// links adds addresses and interfaces.
func (n *Namespace) links(inv *plan.Inventory) error {
	c, err := n.route()
	if err != nil {
		return err
	}
	defer c.Close()
	links, err := c.Link.List()
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	for _, l := range links {
		if l.Attributes != nil {
			inv.Links = append(inv.Links, plan.Link{Name: l.Attributes.Name, Index: int32(l.Index)})
		}
	}
	inv.Addresses, err = addresses(c)
	return err
}

// Addresses lists the addresses of the namespace's interfaces.
func (n *Namespace) Addresses() ([]netip.Addr, error) {
	c, err := n.route()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return addresses(c)
}

func addresses(c *rtnetlink.Conn) (all []netip.Addr, err error) {
	addrs, err := c.Address.List()
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		if a.Attributes == nil {
			continue
		}
		ip := a.Attributes.Local // what is assigned; Address is the peer's on point-to-point links
		if ip == nil {
			ip = a.Attributes.Address
		}
		if addr, ok := netip.AddrFromSlice(ip); ok {
			all = append(all, addr.Unmap())
		}
	}
	return all, nil
}

// HasRoute reports whether the routing tables lead from local to remote. It is safe for concurrent use.
func (n *Namespace) HasRoute(local, remote netip.Addr) (bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.routes == nil {
		var err error
		if n.routes, err = n.route(); err != nil {
			return false, err
		}
	}
	routes, err := n.routes.Route.Get(&rtnetlink.RouteMessage{
		Family: uint8(xfrm.FamilyOf(remote)), DstLength: uint8(remote.BitLen()), SrcLength: uint8(local.BitLen()),
		Attributes: rtnetlink.RouteAttributes{Dst: remote.AsSlice(), Src: local.AsSlice()},
	})
	switch {
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.EINVAL),
		errors.Is(err, unix.EACCES): // blackhole, unreachable and prohibit routes; EINVAL: local isn't ours
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look up the route from %v to %v: %w", local, remote, err)
	}
	return len(routes) > 0, nil
}

func (n *Namespace) route() (*rtnetlink.Conn, error) {
	c, err := rtnetlink.Dial(&netlink.Config{NetNS: int(n.FD())})
	if err != nil {
		return nil, fmt.Errorf("open a route netlink socket in %v: %w", n, err)
	}
	return c, nil
}
