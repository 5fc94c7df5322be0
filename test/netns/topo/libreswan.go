package topo

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// plutoConf keeps pluto to itself: files and a control socket of its own (where they are is told on its command line).
const plutoConf = `
config setup
	logfile=%s/pluto.log
`

// plutoConn is a tunnel between networks of the gateways, the same on both: pluto finds out which side it is. Its script for routes is off, the gateways
// have them. No extended sequence numbers, and a window of 32 packets: with either
// `ip xfrm` shows sequence numbers in a form of its own.
const plutoConn = `
conn %[1]s
	left=%[2]s
	leftid=@left
	right=%[3]s
	rightid=@right
	leftsubnet=%[4]s
	rightsubnet=%[5]s
	leftupdown=
	rightupdown=
	authby=secret
	keyexchange=ikev2
	esn=no
	replay-window=32
	%[6]s
`

const (
	plutoPath = "/usr/libexec/ipsec/pluto"
	whackPath = "/usr/libexec/ipsec/whack"
)

// StartLibreswan starts pluto in both gateways, with the connection site by way of ISP A and more settings in it if there are any. Nothing is brought up.
func (n *Network) StartLibreswan(more string) error {
	secret := fmt.Sprintf("@left @right : PSK %q\n", rand.Text()+rand.Text())
	for _, ns := range Gateways {
		if err := n.startPluto(ns, secret); err != nil {
			return err
		}
	}
	return n.AddConn("site", LeftISPA, RightISP, more)
}

// AddConn adds a connection between the IPv4 networks to both gateways' plutos. Nothing is brought up.
func (n *Network) AddConn(name string, left, right netip.Addr, more string) error {
	return n.AddConnOf([2]string{"10.1.0.0/24", "10.2.0.0/24"}, name, left, right, more)
}

// AddConnOf is AddConn between other networks.
func (n *Network) AddConnOf(nets [2]string, name string, left, right netip.Addr, more string) error {
	for _, ns := range Gateways {
		dir := filepath.Join(n.dir, string(ns))
		file := filepath.Join(dir, name+".conf")
		err := os.WriteFile(file, fmt.Appendf(nil, plutoConn, name, left, right, nets[0], nets[1], more), 0o600)
		if err != nil {
			return err
		}
		if _, err := ns.Run("ipsec", "addconn", "--config", file, "--ctlsocket", n.ControlSocket(ns), name); err != nil {
			return err
		}
	}
	return nil
}

// ControlSocket is where a gateway's pluto is asked.
func (n *Network) ControlSocket(ns Namespace) string {
	return filepath.Join(n.dir, string(ns), "pluto.ctl")
}

func (n *Network) startPluto(ns Namespace, secret string) error {
	dir := filepath.Join(n.dir, string(ns))
	conf, secrets := filepath.Join(dir, "ipsec.conf"), filepath.Join(dir, "ipsec.secrets")
	err := errors.Join(
		os.MkdirAll(dir, 0o700),
		os.WriteFile(conf, fmt.Appendf(nil, plutoConf, dir), 0o600),
		os.WriteFile(secrets, []byte(secret), 0o600),
	)
	if err != nil {
		return err
	}
	if _, err := ns.Run("ipsec", "initnss", "--nssdir", dir); err != nil {
		return err
	}
	d := &daemon{dir: dir, cmd: ns.Command(plutoPath, "--nofork", "--config", conf, "--secretsfile", secrets, "--nssdir", dir, "--rundir", dir)}
	if err := d.cmd.Start(); err != nil {
		return err
	}
	n.daemons = append(n.daemons, d)
	err = Until(startTimeout, func() (bool, error) {
		_, err := os.Stat(n.ControlSocket(ns))
		return err == nil, nil
	})
	if err == nil {
		// pluto's own helper tells it to listen some time after the control socket is there, and until then it refuses to route.
		_, err = n.Whack(ns, "--listen")
	}
	if err != nil {
		return fmt.Errorf("pluto in %s: %w\n%s", ns, err, n.PlutoLog(ns))
	}
	return nil
}

// PlutoLog is what a gateway's pluto has said so far.
func (n *Network) PlutoLog(ns Namespace) string {
	log, _ := os.ReadFile(filepath.Join(n.dir, string(ns), "pluto.log"))
	return string(log)
}

// Whack asks a gateway's pluto.
func (n *Network) Whack(ns Namespace, args ...string) (string, error) {
	out, err := ns.Run(append([]string{whackPath, "--ctlsocket", n.ControlSocket(ns)}, args...)...)
	return strings.TrimRight(out, "\n"), err
}
