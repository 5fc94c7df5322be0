package topo

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Namespace is the name of a network namespace, as `ip netns` knows it.
type Namespace string

// Create makes the namespace.
func (n Namespace) Create() error {
	_, err := run(exec.Command("ip", "netns", "add", string(n)))
	return err
}

// Delete removes the namespace; its interfaces go when its last process has ended.
func (n Namespace) Delete() error {
	_, err := run(exec.Command("ip", "netns", "delete", string(n)))
	return err
}

// Command is a command that runs in the namespace.
func (n Namespace) Command(args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", string(n)}, args...)...)
}

// Run runs a command in the namespace and returns its standard output.
func (n Namespace) Run(args ...string) (string, error) { return run(n.Command(args...)) }

// IP runs `ip` commands in the namespace, one a line: one process for all of them, as processes are slow in an emulated machine.
func (n Namespace) IP(script string) error {
	cmd := exec.Command("ip", "-n", string(n), "-batch", "-")
	cmd.Stdin = strings.NewReader(script)
	_, err := run(cmd)
	return err
}

// DropIKE keeps messages of IKE to and from an address of the namespace's or of its peer's from being sent.
func (n Namespace) DropIKE(addr netip.Addr) error {
	_, err := n.Run("nft", fmt.Sprintf("table inet ike { chain out { type filter hook output priority 0; ip saddr %[1]v udp dport 500 drop; ip daddr %[1]v udp dport 500 drop; }; }", addr))
	return err
}

// Enter calls f on a thread that is in the namespace. Sockets that f opens stay there.
func (n Namespace) Enter(f func() error) error {
	errc := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with its goroutine, so that no other one finds itself in the namespace.
		runtime.LockOSThread()
		errc <- func() error {
			ns, err := os.Open(filepath.Join("/run/netns", string(n)))
			if err != nil {
				return err
			}
			defer ns.Close()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("enter network namespace %s: %w", n, err)
			}
			return f()
		}()
	}()
	return <-errc
}

// run returns the standard output; the error has the standard error.
func run(cmd *exec.Cmd) (string, error) {
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}
