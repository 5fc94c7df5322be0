//go:build lab

package inventory

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// plutoConf is a tunnel as libreswan has it: a policy for each pair of subnets.
const plutoConf = `
config setup
	logfile=%[1]s/pluto.log
conn site
	left=192.0.2.1
	leftid=@left
	right=203.0.113.1
	rightid=@right
	leftsubnet=10.1.0.0/24
	rightsubnet=10.2.0.0/24
	authby=secret
	ikev2=insist
	auto=ondemand
`

// TestRecordLibreswan records the left gateway before the first packet and with a tunnel up.
func TestRecordLibreswan(t *testing.T) {
	newNetNS(t) // for its check of the machine
	network, err := topo.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { network.Close() })
	secret := rand.Text()
	dirs := map[topo.Namespace]string{}
	for _, ns := range topo.Gateways {
		dirs[ns] = startPluto(t, ns, secret)
	}
	left := openNetNS(t, string(topo.Left))
	for _, ns := range topo.Gateways {
		whack(t, ns, dirs[ns], "--route", "--name", "site")
	}
	left.record("libreswan-ondemand", "libreswan 5.2 with auto=ondemand before the first packet")
	whack(t, topo.Left, dirs[topo.Left], "--initiate", "--name", "site")
	err = topo.Until(20*time.Second, func() (bool, error) { return len(left.inventory().SAs) >= 2, nil })
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(dirs[topo.Left], "pluto.log"))
		t.Fatalf("%v\n%s", err, log)
	}
	left.record("libreswan-tunnel", "libreswan 5.2 with leftsubnet=10.1.0.0/24 rightsubnet=10.2.0.0/24, up")
}

func startPluto(t *testing.T, ns topo.Namespace, secret string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), string(ns))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	conf, secrets := filepath.Join(dir, "ipsec.conf"), filepath.Join(dir, "ipsec.secrets")
	for path, text := range map[string]string{conf: fmt.Sprintf(plutoConf, dir), secrets: fmt.Sprintf("@left @right : PSK %q\n", secret)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "ipsec", "initnss", "--nssdir", dir)
	cmd := ns.Command("/usr/libexec/ipsec/pluto", "--nofork", "--config", conf, "--secretsfile", secrets, "--nssdir", dir, "--rundir", dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	err := topo.Until(30*time.Second, func() (bool, error) {
		_, err := os.Stat(filepath.Join(dir, "pluto.ctl"))
		return err == nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// pluto's own helper tells it to listen some time after the control socket is there, and until then it refuses to route.
	whack(t, ns, dir, "--listen")
	run(t, "ip", "netns", "exec", string(ns), "ipsec", "addconn", "--config", conf, "--ctlsocket", filepath.Join(dir, "pluto.ctl"), "site")
	return dir
}

func whack(t *testing.T, ns topo.Namespace, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", string(ns), "/usr/libexec/ipsec/whack", "--asynchronous", "--rundir", dir}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "pluto.log"))
		t.Fatalf("whack %q in %s: %v\n%s\n%s", args, ns, err, out, log)
	}
}
