package topo

import (
	"crypto/rand"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// Tunnel is a connection of strongSwan's between the gateways. Nothing of it happens by itself, unless Settings say so: no MOBIKE, no dead peer detection, and no
// rekeying while anybody watches.
type Tunnel struct {
	Name        string
	Left, Right netip.Addr
	Settings    string // of the connection, one a line
	Children    []Child
}

// Child is a child of a Tunnel.
type Child struct {
	Name        string
	Left, Right string // traffic selectors
	Settings    string
}

const (
	tunnelConf = `
connections {
	%s {
		version = 2
		local_addrs = %s
		remote_addrs = %s
		rekey_time = 24h
		proposals = aes256gcm16-prfsha256-ecp256
		local {
			auth = psk
			id = %s
		}
		remote {
			auth = psk
			id = %s
		}
		mobike = no
		%s
		children {
			%s
		}
	}
}
`
	childConf = `
			%s {
				local_ts = %s
				remote_ts = %s
				rekey_time = 24h
				esp_proposals = aes256gcm16
				%s
			}
`
)

// conf is the tunnel as one of the gateways has it in its swanctl.conf.
func (t Tunnel) conf(ns Namespace) string {
	local, remote, peer := t.Left, t.Right, Right
	if ns == Right {
		local, remote, peer = t.Right, t.Left, Left
	}
	var children strings.Builder
	for _, c := range t.Children {
		localTS, remoteTS := c.Left, c.Right
		if ns == Right {
			localTS, remoteTS = c.Right, c.Left
		}
		fmt.Fprintf(&children, childConf, c.Name, localTS, remoteTS, c.Settings)
	}
	return fmt.Sprintf(tunnelConf, t.Name, local, remote, ns, peer, t.Settings, children.String())
}

// StartCharon starts strongSwan in both gateways without a connection.
func (n *Network) StartCharon() error {
	secret := fmt.Sprintf(secrets, rand.Text())
	for _, ns := range Gateways {
		if err := n.startDaemon(ns, secret); err != nil {
			return err
		}
		if err := n.loadSecrets(ns); err != nil {
			return err
		}
	}
	return nil
}

func (n *Network) loadSecrets(ns Namespace) error {
	_, err := n.Swanctl(ns, "--load-creds", "--file", filepath.Join(n.dir, string(ns), "swanctl.conf"))
	return err
}

// KillCharon kills a gateway's charon, which leaves its SAs and policies in the kernel.
func (n *Network) KillCharon(ns Namespace) error {
	for i, d := range n.daemons {
		if filepath.Base(d.dir) == string(ns) {
			d.kill()
			n.daemons = append(n.daemons[:i], n.daemons[i+1:]...)
			return os.Remove(n.Socket(ns)) // it would look as if the next one listened already
		}
	}
	return fmt.Errorf("no daemon runs in %s", ns)
}

// StartAnotherCharon starts one in the place of one that was killed. It knows of nothing but the secrets.
func (n *Network) StartAnotherCharon(ns Namespace) error {
	conf, err := os.ReadFile(filepath.Join(n.dir, string(ns), "swanctl.conf"))
	if err != nil {
		return err
	}
	if err := n.startDaemon(ns, string(conf)); err != nil {
		return err
	}
	return n.loadSecrets(ns)
}

// LoadTunnels has both gateways' charons know of these tunnels and no others.
func (n *Network) LoadTunnels(tunnels ...Tunnel) error {
	for _, ns := range Gateways {
		if err := n.LoadTunnelsOn(ns, tunnels...); err != nil {
			return err
		}
	}
	return nil
}

// LoadTunnelsOn is LoadTunnels for one gateway, whose peer may see things differently.
func (n *Network) LoadTunnelsOn(ns Namespace, tunnels ...Tunnel) error {
	var all strings.Builder
	for _, t := range tunnels {
		all.WriteString(t.conf(ns))
	}
	file := filepath.Join(n.dir, string(ns), "tunnels.conf")
	if err := os.WriteFile(file, []byte(all.String()), 0o600); err != nil {
		return err
	}
	_, err := n.Swanctl(ns, "--load-conns", "--file", file)
	return err
}
