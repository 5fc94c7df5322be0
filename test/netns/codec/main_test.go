//go:build lab

package codec

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/test/netns/kernel"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

var update = flag.Bool("update", false, "record the goldens of testdata afresh")

func TestMain(m *testing.M) {
	// Some tests start this binary anew to do something in a process of its own.
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case unprivilegedArg:
			os.Exit(unprivileged())
		case readerArg:
			os.Exit(canaryReader(os.Args[2]))
		case installArg:
			os.Exit(canaryInstall(os.Args[2]))
		}
	}
	kernel.Main(m)
}

// netns is a network namespace of one test, in which ip and package xfrm look at the same SAD and SPD.
type netns struct {
	t    *testing.T
	name string
	file *os.File
	conn *xfrm.Conn
}

// newNetNS makes a namespace with lo up. It needs the lab's system machine, which has ip.
func newNetNS(t *testing.T) *netns {
	t.Helper()
	if os.Getenv(kernel.Env) != kernel.System {
		t.Skip("the small machine has no ip; run with -system")
	}
	n := &netns{t: t, name: fmt.Sprintf("codec%d", len(t.Name())) + strings.Map(letter, t.Name())}
	run(t, "ip", "netns", "add", n.name)
	t.Cleanup(func() { run(t, "ip", "netns", "del", n.name) })
	n.ip("link set lo up")

	var err error
	if n.file, err = os.Open("/run/netns/" + n.name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.file.Close() })
	if n.conn, err = xfrm.Dial(n.fd()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.conn.Close() })
	return n
}

func letter(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
		return r
	}
	return '-'
}

func (n *netns) fd() xfrm.NetNS { return xfrm.NetNS(n.file.Fd()) }

// ip runs ip in the namespace with the words of args, where ” stands for an empty one.
func (n *netns) ip(args string) string {
	n.t.Helper()
	words := strings.Fields(args)
	for i := range words {
		if words[i] == "''" {
			words[i] = ""
		}
	}
	return run(n.t, "ip", append([]string{"-n", n.name}, words...)...)
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func (n *netns) sas() []xfrm.SA {
	n.t.Helper()
	sas, err := n.conn.SAs()
	if err != nil {
		n.t.Fatal(err)
	}
	return sas
}

func (n *netns) policies() []xfrm.Policy {
	n.t.Helper()
	ps, err := n.conn.Policies()
	if err != nil {
		n.t.Fatal(err)
	}
	return ps
}

// do sends requests that have to succeed.
func (n *netns) do(reqs ...xfrm.Request) {
	n.t.Helper()
	for i, err := range n.conn.Do(reqs...) {
		if err != nil {
			n.t.Fatalf("request %d: %v", i, err)
		}
	}
}

// rawDump gives the payloads of a dump's messages, read with a socket of its own and no code of package xfrm.
func (n *netns) rawDump(typ uint16) (payloads [][]byte) {
	n.t.Helper()
	fd := n.socket()
	defer unix.Close(fd)
	send(n.t, fd, typ, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, nil)
	for b := make([]byte, 1<<16); ; {
		k, _, err := unix.Recvfrom(fd, b, 0)
		if err != nil {
			n.t.Fatal(err)
		}
		msgs, err := parseMessages(b[:k])
		if err != nil {
			n.t.Fatal(err)
		}
		for _, m := range msgs {
			switch m.Header.Type {
			case unix.NLMSG_DONE:
				return payloads
			case unix.NLMSG_ERROR:
				n.t.Fatalf("dump: %x", m.Data)
			}
			payloads = append(payloads, m.Data)
		}
	}
}
