package ike

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// script writes a program that sh runs with its own directory as the first argument.
func script(t *testing.T, text string) (*Command, string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "bring-up")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return NewCommand([]string{file, dir}), dir
}

func someMove() *Move {
	addr := netip.MustParseAddr
	return &Move{
		Run: "r", Plan: "p", Group: "g", Lost: true,
		OldLocal: addr("192.0.2.1"), OldRemote: addr("203.0.113.1"), Local: addr("2001:db8::1"), Remote: addr("2001:db8::2"),
		SAs: []SA{{
			ID: xfrm.SAID{SPI: 0xc6f8e81d, Proto: xfrm.ProtoESP}, Dir: xfrm.SADirOut, Mode: xfrm.ModeTunnel, Reqid: 17, IfID: 4, Mark: xfrm.Mark{Value: 1, Mask: 255},
			Src: addr("192.0.2.1"), Dst: addr("203.0.113.1"), NewSrc: addr("2001:db8::1"), NewDst: addr("2001:db8::2"),
		}},
		Policies: []Policy{{Dir: xfrm.DirOut, Selector: xfrm.SelectorFor(netip.MustParsePrefix("10.1.0.0/24"), netip.MustParsePrefix("10.2.0.0/24")), IfID: 4, Priority: 1000}},
	}
}

// TestCommandReadsWhatMoves pins the JSON: programs of operators depend on it.
func TestCommandReadsWhatMoves(t *testing.T) {
	c, dir := script(t, `cat > "$1/in"`)
	if _, err := c.Establish(within(t, 10*time.Second), someMove()); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "in"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"version":1,"action":"establish","run":"r","plan":"p","group":"g","lost":true,` +
		`"oldLocal":"192.0.2.1","oldRemote":"203.0.113.1","local":"2001:db8::1","remote":"2001:db8::2",` +
		`"sas":[{"direction":"out","proto":"esp","mode":"tunnel","spi":"0xc6f8e81d","reqid":17,"ifId":4,"mark":"0x1/0xff",` +
		`"oldSrc":"192.0.2.1","oldDst":"203.0.113.1","src":"2001:db8::1","dst":"2001:db8::2"}],` +
		`"policies":[{"direction":"out","src":"10.1.0.0/24","dst":"10.2.0.0/24","ifId":4,"priority":1000}]}` + "\n"
	if string(got) != want || !json.Valid(got) {
		t.Errorf("it read\n%swant\n%s", got, want)
	}
}

func TestCommandThatFails(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"it says why", "echo first; echo 'no such connection' >&2; exit 3", `exit status 3: "no such connection"`},
		{"it says nothing", "exit 1", "exit status 1"},
		{"it dies", "kill -9 $$", "killed"},
		{"it says too much", "yes | head -c 100000; echo last; exit 1", `"last"`},
		{"it does not read", "exit 2", "exit status 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := script(t, tt.text)
			if _, err := c.Establish(within(t, 10*time.Second), someMove()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
	if err := NewCommand([]string{"/nowhere/bring-up"}).Check(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "/nowhere/bring-up") {
		t.Errorf("a program that isn't there: %v", err)
	}
}

// TestCommandIsKilledWithAllThatItStarted: what it leaves running would go on with a daemon that the run has given up.
func TestCommandIsKilledWithAllThatItStarted(t *testing.T) {
	c, dir := script(t, `(sleep 60 & echo $! > "$1/child.tmp"; mv "$1/child.tmp" "$1/child"; wait); sleep 60`)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	go func() { // its time is over once it has started something
		for ctx.Err() == nil {
			if _, err := os.Stat(filepath.Join(dir, "child")); err == nil {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	_, err := c.Establish(ctx, someMove())
	if err == nil || !strings.Contains(err.Error(), "did not end in time and was killed") {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "child"))
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	for _, r := range strings.TrimSpace(string(b)) {
		pid = 10*pid + int(r-'0')
	}
	for deadline := time.Now().Add(20 * time.Second); unix.Kill(pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
		if state, err := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(b)), "stat")); err == nil && strings.Contains(string(state), ") Z ") {
			break // dead, and nobody has asked
		}
		if time.Now().After(deadline) {
			t.Fatalf("its child %d lives on", pid)
		}
	}
}

// TestCommandThatLeavesADaemonIsDone: a program may well start one that holds its output open.
func TestCommandThatLeavesADaemonIsDone(t *testing.T) {
	c, dir := script(t, `sleep 60 & echo $! > "$1/child"`)
	if _, err := c.Establish(within(t, 20*time.Second), someMove()); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "child")); err == nil {
		var pid int
		for _, r := range strings.TrimSpace(string(b)) {
			pid = 10*pid + int(r-'0')
		}
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}
