package topo

import (
	"errors"
	"net/netip"
	"strings"
)

// Drawing is the network that Build makes.
const Drawing = `
client            gateway                      internet          gateway                client
left-lan          left                         wire              right                  right-lan

                +----------------------+                       +----------------+
10.1.0.10       | wan-a 192.0.2.1      |--- ISP A ---+         |                |       10.2.0.10
fd01::10  ------| wan-b 198.51.100.1   |             |---------| 203.0.113.1    |------ fd02::10
                |       2001:db8:20::1 |--- ISP B ---+         | 2001:db8:30::1 |
                +----------------------+                       +----------------+
`

// The namespaces of the network.
const (
	Left     Namespace = "left"  // the gateway that moves
	Right    Namespace = "right" // its peer
	LeftLAN  Namespace = "left-lan"
	RightLAN Namespace = "right-lan"
	Wire     Namespace = "wire" // a router: everything between the gateways passes it
)

// LeftUplinks are the interfaces of the wire by which the left gateway's packets come in.
var LeftUplinks = [2]string{"isp-a", "isp-b"}

// RightUplink is the interface of the wire by which the right gateway's packets come in.
const RightUplink = "to-right"

// Gateways are the namespaces with SAs.
var Gateways = [2]Namespace{Left, Right}

// Outer addresses, from the ranges for documentation (RFC 5737, RFC 3849).
var (
	LeftISPA  = netip.MustParseAddr("192.0.2.1")
	LeftISPB  = netip.MustParseAddr("198.51.100.1")
	LeftISPB6 = netip.MustParseAddr("2001:db8:20::1")
	RightISP  = netip.MustParseAddr("203.0.113.1")
	RightISP6 = netip.MustParseAddr("2001:db8:30::1")
)

// Client4 and Client6 are the right client's addresses, which the left one pings.
const (
	Client4 = "10.2.0.10"
	Client6 = "fd02::10"
)

// inner are the networks behind the gateways: no packet on the wire may have an address of theirs.
var inner = []netip.Prefix{
	netip.MustParsePrefix("10.1.0.0/24"), netip.MustParsePrefix("fd01::/64"),
	netip.MustParsePrefix("10.2.0.0/24"), netip.MustParsePrefix("fd02::/64"),
}

// setup is what `ip` is told, by namespace, in order. The left gateway has the addresses of both ISPs from the start, as a gateway
// that is about to move should. Duplicate address detection is off: it would keep addresses from being used for seconds.
var setup = []struct {
	ns     Namespace
	script string
}{
	{Wire, `
		link add isp-a type veth peer name wan-a netns left
		link add isp-b type veth peer name wan-b netns left
		link add to-right type veth peer name wan netns right
		addr add 192.0.2.254/24 dev isp-a
		addr add 198.51.100.254/24 dev isp-b
		addr add 203.0.113.254/24 dev to-right
		addr add 2001:db8:20::fe/64 dev isp-b nodad
		addr add 2001:db8:30::fe/64 dev to-right nodad
		link set isp-a up
		link set isp-b up
		link set to-right up`},
	{Left, `
		link add lan type veth peer name eth0 netns left-lan
		addr add 192.0.2.1/24 dev wan-a
		addr add 198.51.100.1/24 dev wan-b
		addr add 2001:db8:20::1/64 dev wan-b nodad
		addr add 10.1.0.1/24 dev lan
		addr add fd01::1/64 dev lan nodad
		link set lo up
		link set wan-a up
		link set wan-b up
		link set lan up
		route add default via 192.0.2.254
		route add default via 198.51.100.254 metric 200
		route add default via 2001:db8:20::fe
		route add default via 198.51.100.254 table 200
		rule add from 198.51.100.0/24 lookup 200`},
	{Right, `
		link add lan type veth peer name eth0 netns right-lan
		addr add 203.0.113.1/24 dev wan
		addr add 2001:db8:30::1/64 dev wan nodad
		addr add 10.2.0.1/24 dev lan
		addr add fd02::1/64 dev lan nodad
		link set lo up
		link set wan up
		link set lan up
		route add default via 203.0.113.254
		route add default via 2001:db8:30::fe`},
	{LeftLAN, `
		addr add 10.1.0.10/24 dev eth0
		addr add fd01::10/64 dev eth0 nodad
		link set eth0 up
		route add default via 10.1.0.1
		route add default via fd01::1`},
	{RightLAN, `
		addr add 10.2.0.10/24 dev eth0
		addr add fd02::10/64 dev eth0 nodad
		link set eth0 up
		route add default via 10.2.0.1
		route add default via fd02::1`},
}

// Network is the network of Drawing.
type Network struct {
	dir     string // for configuration, logs and captures
	daemons []*daemon
}

// Build makes the network. dir is an empty directory for configuration, logs and captures.
func Build(dir string) (*Network, error) {
	n := &Network{dir: dir}
	for _, s := range setup {
		if err := s.ns.Create(); err != nil {
			return nil, errors.Join(err, n.Close())
		}
	}
	for _, s := range setup {
		if err := s.ns.IP(strings.TrimSpace(s.script) + "\n"); err != nil {
			return nil, errors.Join(err, n.Close())
		}
	}
	for _, ns := range []Namespace{Left, Wire, Right} {
		if _, err := ns.Run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
			// The clients' packets come in by one interface and leave, before they are encrypted, by another; nobody may comment on that.
			"net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.all.rp_filter=0"); err != nil {
			return nil, errors.Join(err, n.Close())
		}
	}
	return n, nil
}

// Close ends the daemons and removes the namespaces.
func (n *Network) Close() error {
	for _, d := range n.daemons {
		d.kill()
	}
	var errs []error
	for _, s := range setup {
		if err := s.ns.Delete(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
