//go:build lab

package inventory

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// daemonConf keeps charon to itself: its own socket and log, no routes, no reaction to addresses.
const daemonConf = `
charon-systemd {
	load = random nonce openssl kernel-netlink socket-default vici
	install_routes = no
	plugins {
		vici { socket = unix://%[1]s/charon.vici }
		kernel-netlink { roam_events = no }
	}
	filelog { log { path = %[1]s/charon.log
		default = 1
		flush_line = yes } }
}
swanctl { load = random openssl }
`

// connection is a tunnel seen from one side, with options for the connection and for its child.
const connection = `
connections { site {
	version = 2
	local_addrs = %[1]s
	remote_addrs = %[2]s
	mobike = no
	proposals = aes256gcm16-prfsha256-ecp256
	%[5]s
	local { auth = psk
		id = %[3]s }
	remote { auth = psk
		id = %[4]s }
	children { lan {
		local_ts = %[6]s
		remote_ts = %[7]s
		%[8]s
	} }
} }
secrets { ike-site {
	id-left = left
	id-right = right
	secret = %[9]s
} }
`

// gateways are two charons in the lab's network.
type gateways struct {
	t      *testing.T
	dir    string
	secret string
}

func startStrongSwan(t *testing.T) *gateways {
	t.Helper()
	network, err := topo.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { network.Close() })
	g := &gateways{t: t, dir: t.TempDir(), secret: rand.Text()}
	for _, ns := range topo.Gateways {
		dir := filepath.Join(g.dir, string(ns))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		g.write(filepath.Join(dir, "strongswan.conf"), fmt.Sprintf(daemonConf, dir))
		cmd := ns.Command("charon-systemd")
		cmd.Env = g.env(ns)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	}
	for _, ns := range topo.Gateways {
		err := topo.Until(30*time.Second, func() (bool, error) {
			_, err := os.Stat(filepath.Join(g.dir, string(ns), "charon.vici"))
			return err == nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return g
}

func (g *gateways) write(path, text string) {
	g.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateways) env(ns topo.Namespace) []string {
	return append(os.Environ(), "STRONGSWAN_CONF="+filepath.Join(g.dir, string(ns), "strongswan.conf"))
}

func (g *gateways) swanctl(t *testing.T, ns topo.Namespace, args ...string) {
	t.Helper()
	cmd := exec.Command("swanctl", append(args, "--uri", "unix://"+filepath.Join(g.dir, string(ns), "charon.vici"))...)
	cmd.Env = g.env(ns)
	if out, err := cmd.CombinedOutput(); err != nil {
		log, _ := os.ReadFile(filepath.Join(g.dir, string(ns), "charon.log"))
		t.Fatalf("swanctl %q in %s: %v\n%s\n%s", args, ns, err, out, log[max(0, len(log)-2000):])
	}
}

// load loads the connection into both daemons. Options written as LEFT|RIGHT differ.
func (g *gateways) load(t *testing.T, k *ikeKind) {
	t.Helper()
	for _, side := range []struct {
		ns, peer      topo.Namespace
		local, remote fmt.Stringer
		localTS       string
		remoteTS      string
	}{
		{topo.Left, topo.Right, topo.LeftISPA, topo.RightISP, k.left, k.right},
		{topo.Right, topo.Left, topo.RightISP, topo.LeftISPA, k.right, k.left},
	} {
		path := filepath.Join(g.dir, string(side.ns), "swanctl.conf")
		g.write(path, fmt.Sprintf(connection, side.local, side.remote, side.ns, side.peer, k.conn, side.localTS, side.remoteTS, k.child, g.secret))
		g.swanctl(t, side.ns, "--load-all", "--clear", "--file", path)
	}
}

// ikeKind is a Child SA of strongSwan's.
type ikeKind struct {
	name        string
	left, right string // traffic selectors
	conn, child string // options
	then        []string
}

const (
	leftNets  = "10.1.0.0/24,fd01::/64"
	rightNets = "10.2.0.0/24,fd02::/64"
)

var ikeKinds = []ikeKind{
	{name: "strongswan-dual-stack", left: leftNets, right: rightNets},
	{name: "strongswan-rekey-overlap", left: leftNets, right: rightNets, then: []string{"--rekey", "--child", "lan"}},
	{name: "strongswan-several-selectors", left: "10.1.0.0/24,10.1.8.0/24[tcp/80]", right: "10.2.0.0/24,10.2.8.0/24"},
	{name: "strongswan-nat-t", left: leftNets, right: rightNets, conn: "encap = yes"},
	{name: "strongswan-if-id", left: "0.0.0.0/0,::/0", right: "0.0.0.0/0,::/0", child: "if_id_in = 4\nif_id_out = 5"},
	{name: "strongswan-marks", left: leftNets, right: rightNets, child: "mark_in = 1/0xff\nmark_in_sa = yes\nmark_out = 2/0xff"},
	{name: "strongswan-set-mark", left: leftNets, right: rightNets, child: "set_mark_out = 7/0xf"},
	{name: "strongswan-transport", left: "dynamic", right: "dynamic", child: "mode = transport"},
	{name: "strongswan-between-hosts", left: "dynamic", right: "dynamic"},
	{name: "strongswan-ipcomp", left: leftNets, right: rightNets, child: "ipcomp = yes"},
	{name: "strongswan-ah", left: leftNets, right: rightNets, child: "ah_proposals = sha256"},
}

func TestRecordStrongSwan(t *testing.T) {
	newNetNS(t) // for its check of the machine
	g := startStrongSwan(t)
	for _, k := range ikeKinds {
		if !strings.Contains(k.child, "ah_proposals") {
			k.child += "\nesp_proposals = aes256gcm16"
		}
		t.Run(k.name, func(t *testing.T) {
			g.load(t, &k)
			g.swanctl(t, topo.Left, "--initiate", "--child", "lan")
			if k.then != nil {
				g.swanctl(t, topo.Left, k.then...)
				time.Sleep(500 * time.Millisecond)
			}
			openNetNS(t, string(topo.Left)).record(k.name, "strongSwan 6.0 with "+strings.Join(strings.Fields(
				fmt.Sprint("local_ts=", k.left, " remote_ts=", k.right, " ", strings.ReplaceAll(k.conn+" "+k.child, " = ", "="), " ", strings.Join(k.then, " "))), " "))
			g.swanctl(t, topo.Left, "--terminate", "--ike", "site", "--force")
			g.flush()
		})
	}
	t.Run("strongswan-trap", func(t *testing.T) {
		k := ikeKind{left: leftNets, right: rightNets, child: "start_action = trap"}
		g.load(t, &k)
		openNetNS(t, string(topo.Left)).record("strongswan-trap", "strongSwan 6.0 with start_action=trap before the first packet")
		g.flush()
	})
}

func (g *gateways) flush() {
	for _, ns := range topo.Gateways {
		ns.Run("ip", "xfrm", "state", "flush")
		ns.Run("ip", "xfrm", "policy", "flush")
	}
}
