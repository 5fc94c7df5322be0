package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// pty opens a terminal of 60 columns: what the program writes to the second is read from the first.
func pty(t *testing.T) (*os.File, *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	raw, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	cerr := raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
		err = errors.Join(err, unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 60}))
	})
	if err := errors.Join(err, cerr); err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

const movePlan = `apiVersion: xfrm-plan/v1
kind: Renumbering
metadata: {name: isp-swap}
renumber: [{from: 192.0.2.1, to: 198.51.100.1}]
waves: [{name: canary, size: 1}, {name: rest, size: 100%, pause: 1s}]
ike: {follow: none}
`

// addTunnels sets up n tunnels at the old address, the first of them with that number.
func addTunnels(t *testing.T, k *xfrmtest.Kernel, first, n int) {
	c := k.Dial()
	defer c.Close()
	for _, child := range xfrmtest.ChildSAs(xfrmtest.Tunnels{
		N: n, First: first, Local: netip.MustParseAddr("192.0.2.1"), Remote: netip.MustParseAddr("203.0.113.1"), SPIInTemplate: true,
	}) {
		err := errors.Join(xfrmtest.AddSA(c, child.In, child.InAlg), xfrmtest.AddSA(c, child.Out, child.OutAlg))
		for i := range child.Policies {
			err = errors.Join(err, c.Do(xfrm.NewPolicy(&child.Policies[i]))[0])
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// withTunnels is a program on a host with n tunnels, with a plan that moves them.
func withTunnels(t *testing.T, n int, out io.Writer) (p *program, args []string) {
	t.Helper()
	h := newMemoryHost()
	addTunnels(t, h.kernel, 0, n)
	file := t.TempDir() + "/plan.yaml"
	if err := os.WriteFile(file, []byte(movePlan), 0o600); err != nil {
		t.Fatal(err)
	}
	p = &program{
		in: strings.NewReader(""), out: out, err: io.Discard,
		open:     func(string) (namespace, error) { return h, nil },
		announce: func(string) {},
	}
	return p, []string{"--state-dir", t.TempDir() + "/state", "apply", "--yes", file}
}

// reading collects what comes out of a terminal.
func reading(master *os.File) <-chan []byte {
	all := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(master) // ends with EIO when nobody has the other side open
		all <- b
	}()
	return all
}

func TestTerminalShowsABar(t *testing.T) {
	for _, tt := range []struct{ term, noColor string }{{"xterm", ""}, {"xterm", "1"}, {"dumb", ""}} {
		t.Setenv("TERM", tt.term)
		t.Setenv("NO_COLOR", tt.noColor)
		master, slave := pty(t)
		p, args := withTunnels(t, 5, slave)
		seen := reading(master)
		if code := p.run(t.Context(), args); code != exitOK {
			t.Fatalf("exit status %d", code)
		}
		slave.Close()
		out := <-seen
		_, run, _ := bytes.Cut(out, []byte("(XFRM_MSG_MIGRATE"))
		if bar := bytes.Contains(run, []byte("1 of 5 groups done  blocked now 0")); bar != (tt.term != "dumb") {
			t.Errorf("%+v: a bar: %v\n%q", tt, bar, out)
		}
		if lines := bytes.Contains(run, []byte("moved; its traffic")); lines != (tt.term == "dumb") {
			t.Errorf("%+v: a line for each group: %v\n%q", tt, lines, out)
		}
		if bytes.Contains(out, []byte("\x1b[3")) && tt.noColor != "" {
			t.Errorf("%+v: colours\n%q", tt, out)
		}
		if !bytes.Contains(run, []byte("5 of 5 groups done; longest interruption")) {
			t.Errorf("%+v: no last line\n%q", tt, out)
		}
	}
}

// TestBarCountsWhatCameUpMeanwhile has a tunnel come up at the old address in the pause between the waves: the run
// moves it too, and there are more groups than its plan had.
func TestBarCountsWhatCameUpMeanwhile(t *testing.T) {
	t.Setenv("TERM", "xterm")
	master, slave := pty(t)
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 120}); err != nil {
		t.Fatal(err)
	}
	p, args := withTunnels(t, 2, slave)
	lingers := movePlan + "checks: {after: {command: {run: [/bin/sleep, '0.5']}}}\n" // so that it is drawn at its fullest
	if err := os.WriteFile(args[len(args)-1], []byte(lingers), 0o600); err != nil {
		t.Fatal(err)
	}
	ns, _ := p.open("")
	k := ns.(*memoryHost).kernel
	go func() {
		for !hasMoved(k) && t.Context().Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		addTunnels(t, k, 9, 1)
	}()
	seen := reading(master)
	if code := p.run(t.Context(), args); code != exitOK {
		t.Errorf("exit status %d", code)
	}
	slave.Close()
	if out := <-seen; !bytes.Contains(out, []byte("3 of 3 groups done; longest interruption")) {
		t.Errorf("it does not say that three groups are done\n%q", out)
	}
}

// hasMoved reports whether an SA is at the new address.
func hasMoved(k *xfrmtest.Kernel) bool {
	c := k.Dial()
	defer c.Close()
	sas, err := c.SAs()
	there := xfrm.AddressFrom(netip.MustParseAddr("198.51.100.1"))
	return err == nil && slices.ContainsFunc(sas, func(sa xfrm.SA) bool { return sa.Src == there || sa.ID.Dst == there })
}

// TestRunEndsBehindATerminalThatTakesNothing has a paused terminal: the run comes to its end, its journal and report
// say so and its lock is free, while the program still waits for somebody to read.
func TestRunEndsBehindATerminalThatTakesNothing(t *testing.T) {
	t.Setenv("TERM", "dumb") // a line for each group
	r, w := io.Pipe()        // nobody reads
	p, args := withTunnels(t, 100, w)
	p.output = "text"
	told, tell := context.WithCancel(t.Context())
	over := make(chan int, 1)
	shown := make(chan struct{})
	go func() { // the review is read, and nothing after it
		buf := make([]byte, 1)
		var all []byte
		for !bytes.Contains(all, []byte("would have taken")) || !bytes.HasSuffix(all, []byte(".\n")) {
			n, _ := r.Read(buf)
			all = append(all, buf[:n]...)
		}
		close(shown)
	}()
	go func() { over <- p.run(told, args) }()
	<-shown
	var status bytes.Buffer
	deadline := time.Now().Add(60 * time.Second)
	for !strings.Contains(status.String(), "100 of 100 groups done") || !strings.Contains(status.String(), "ended") {
		if time.Now().After(deadline) {
			t.Fatalf("the run does not come to its end: %s", status.String())
		}
		select {
		case code := <-over:
			t.Fatalf("it ended with %d, and nobody has read what it said", code)
		case <-time.After(50 * time.Millisecond):
		}
		status.Reset()
		look := *p
		look.out = &status
		look.run(t.Context(), []string{args[0], args[1], "status"})
	}
	tell() // enough of waiting for a reader
	if code := <-over; code != exitOK {
		t.Errorf("exit status %d", code)
	}
}
