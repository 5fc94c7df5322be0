package topo

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// daemonConf keeps charon to itself: a socket and a log of its own, no routes (the gateways have them), and no reaction to addresses
// that come and go. The plugins are those that a pre-shared key and AES-GCM need; each one costs start-up time.
const daemonConf = `
charon-systemd {
	load = random nonce openssl kernel-netlink socket-default vici
	install_routes = no
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

// connection is the same tunnel seen from either side. Nothing of it happens by itself: no MOBIKE, no dead peer detection, and no rekeying
// while anybody watches.
const connection = `
connections {
	site {
		version = 2
		local_addrs = %[1]s
		remote_addrs = %[2]s
		mobike = no
		rekey_time = 24h
		proposals = aes256gcm16-prfsha256-ecp256
		local {
			auth = psk
			id = %[3]s
		}
		remote {
			auth = psk
			id = %[4]s
		}
		children {
			lan {
				local_ts = %[5]s
				remote_ts = %[6]s
				rekey_time = 24h
				esp_proposals = aes256gcm16
			}
		}
	}
}
secrets {
	ike-site {
		id-left = left
		id-right = right
		secret = %[7]s
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
	secret := rand.Text()
	const leftTS, rightTS = "10.1.0.0/24,fd01::/64", "10.2.0.0/24,fd02::/64"
	for _, g := range []struct {
		ns            Namespace
		local, remote fmt.Stringer
		peer          Namespace
		localTS       string
		remoteTS      string
	}{
		{Left, LeftISPA, RightISP, Right, leftTS, rightTS},
		{Right, RightISP, LeftISPA, Left, rightTS, leftTS},
	} {
		conf := fmt.Sprintf(connection, g.local, g.remote, g.ns, g.peer, g.localTS, g.remoteTS, secret)
		if err := n.startDaemon(g.ns, conf); err != nil {
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
