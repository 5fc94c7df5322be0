package topo

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// daemonConf keeps charon to itself: a socket and a log of its own, no routes (the gateways have them), and no reaction to addresses
// that come and go. What a peer has begun and given up is forgotten after seconds. The plugins are those that a pre-shared key and AES-GCM need; each one costs start-up time.
const daemonConf = `
charon-systemd {
	load = random nonce openssl kernel-netlink socket-default vici
	install_routes = no
	half_open_timeout = 5
	plugins {
		vici { socket = unix://%[1]s/charon.vici }
		kernel-netlink { roam_events = no }
	}
	filelog {
		log {
			path = %[1]s/charon.log
			default = 1
			flush_line = yes
		}
	}
}
swanctl { load = random openssl }
`

const secrets = `
secrets {
	ike-site {
		id-left = left
		id-right = right
		secret = %s
	}
}
`

// startTimeout is for a daemon to answer; in an emulated machine with a busy host it takes some seconds.
const startTimeout = 30 * time.Second

// daemon is charon in one gateway.
type daemon struct {
	dir string
	cmd *exec.Cmd
}

// StartIKE starts strongSwan in both gateways and brings up one Child SA for both inner families, by way of ISP A.
func (n *Network) StartIKE() error {
	secret := fmt.Sprintf(secrets, rand.Text())
	for _, ns := range Gateways {
		if err := n.startDaemon(ns, site("site", LeftISPA, RightISP, "").conf(ns)+secret); err != nil {
			return err
		}
	}
	for _, ns := range Gateways {
		if _, err := n.Swanctl(ns, "--load-all", "--file", filepath.Join(n.dir, string(ns), "swanctl.conf")); err != nil {
			return err
		}
	}
	_, err := n.Swanctl(Left, "--initiate", "--child", "lan")
	return err
}

// site is the tunnel of StartIKE between addresses of one's choice, with more settings if there are any.
func site(name string, left, right netip.Addr, more string) Tunnel {
	return Tunnel{Name: name, Left: left, Right: right, Settings: more, Children: []Child{{Name: "lan", Left: "10.1.0.0/24,fd01::/64", Right: "10.2.0.0/24,fd02::/64"}}}
}

// Socket is where a gateway's charon is asked.
func (n *Network) Socket(ns Namespace) string { return filepath.Join(n.dir, string(ns), "charon.vici") }

// LoadSuccessor loads a second connection on both gateways, beside the first: the same tunnel at other addresses. Nothing is brought up.
func (n *Network) LoadSuccessor(name string, left, right netip.Addr, more string) error {
	for _, ns := range Gateways {
		if err := n.LoadBeside(ns, site(name, left, right, more).conf(ns)); err != nil {
			return err
		}
	}
	return nil
}

// LoadBeside loads what a gateway has been given before, and more.
func (n *Network) LoadBeside(ns Namespace, conf string) error {
	// Loading unloads what is not in the file, so that what is there has to be in it too.
	dir := filepath.Join(n.dir, string(ns))
	file := filepath.Join(dir, "swanctl.conf")
	before, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, append(before, conf...), 0o600); err != nil {
		return err
	}
	_, err = n.Swanctl(ns, "--load-conns", "--file", file)
	return err
}

func (n *Network) startDaemon(ns Namespace, conf string) error {
	d := &daemon{dir: filepath.Join(n.dir, string(ns)), cmd: ns.Command("charon-systemd")}
	err := errors.Join(
		os.MkdirAll(d.dir, 0o700),
		os.WriteFile(filepath.Join(d.dir, "strongswan.conf"), fmt.Appendf(nil, daemonConf, d.dir), 0o600),
		os.WriteFile(filepath.Join(d.dir, "swanctl.conf"), []byte(conf), 0o600),
	)
	if err != nil {
		return err
	}
	d.cmd.Env = d.env()
	if err := d.cmd.Start(); err != nil {
		return err
	}
	n.daemons = append(n.daemons, d)
	err = Until(startTimeout, func() (bool, error) {
		_, err := os.Stat(filepath.Join(d.dir, "charon.vici"))
		return err == nil, nil
	})
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(d.dir, "charon.log"))
		return fmt.Errorf("charon in %s: %w\n%s", ns, err, log)
	}
	return nil
}

// PauseIKE stops a gateway's charon in its tracks: it answers neither its peer nor anybody else until ResumeIKE.
func (n *Network) PauseIKE(ns Namespace) error { return n.signal(ns, syscall.SIGSTOP) }

// ResumeIKE lets a charon go on that was paused.
func (n *Network) ResumeIKE(ns Namespace) error { return n.signal(ns, syscall.SIGCONT) }

func (n *Network) signal(ns Namespace, sig os.Signal) error {
	for _, d := range n.daemons {
		if filepath.Base(d.dir) == string(ns) {
			return d.cmd.Process.Signal(sig)
		}
	}
	return fmt.Errorf("no daemon runs in %s", ns)
}

func (d *daemon) env() []string {
	return append(os.Environ(), "STRONGSWAN_CONF="+filepath.Join(d.dir, "strongswan.conf"))
}

// kill ends charon without letting it say goodbye: it would delete SAs at addresses that it only thinks they have.
func (d *daemon) kill() {
	_ = d.cmd.Process.Kill()
	_ = d.cmd.Wait() // that it was killed
}

// Swanctl asks a gateway's daemon.
func (n *Network) Swanctl(ns Namespace, args ...string) (string, error) {
	for _, d := range n.daemons {
		if filepath.Base(d.dir) != string(ns) {
			continue
		}
		cmd := exec.Command("swanctl", append(args, "--uri", "unix://"+filepath.Join(d.dir, "charon.vici"))...)
		cmd.Env = d.env()
		out, err := run(cmd)
		return strings.TrimRight(out, "\n"), err
	}
	return "", fmt.Errorf("no daemon runs in %s", ns)
}
