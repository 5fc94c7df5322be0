package ike

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// recorded is what libreswan 5.2's whack printed in the lab.
func recorded(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "libreswan", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var siteUp = ChildSA{
	Connection: "site", ID: "2", IKE: "1", Up: true, Proto: xfrm.ProtoESP,
	Local: netip.MustParseAddr("192.0.2.1"), Remote: netip.MustParseAddr("203.0.113.1"), In: 0x7ee0b1b3, Out: 0xa1da67d7,
}

func TestStatesOfLibreswan(t *testing.T) {
	for _, tt := range []struct {
		name, out string
		want      []ChildSA
	}{
		{"a tunnel that is up", recorded(t, "up.showstates"), []ChildSA{siteUp}},
		{"beside an attempt that has no SPIs yet", recorded(t, "attempt.showstates"), []ChildSA{siteUp}},
		{"beside one that waits for its IKE SA", recorded(t, "up.showstates") + "#3: pending Child SA for \"site-b\"\n", []ChildSA{siteUp}},
		{"none", "", nil},
		{"an instance behind NAT", `#7: "road"[3] 203.0.113.9:4500 ESTABLISHED_CHILD_SA (established Child SA); REKEY in 1s; newest; IKE SA #6; idle;
#7: "road"[3] 203.0.113.9 esp.1@203.0.113.9 esp.2@192.0.2.1 tun.0@203.0.113.9 tun.0@192.0.2.1 Traffic: ESPin=0B
`, []ChildSA{{
			Connection: "road[3]", ID: "7", IKE: "6", Up: true, Proto: xfrm.ProtoESP,
			Local: netip.MustParseAddr("192.0.2.1"), Remote: netip.MustParseAddr("203.0.113.9"), In: 2, Out: 1,
		}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseStates(tt.out)
			if err != nil || !reflect.DeepEqual(got.children, tt.want) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestStatesOfLibreswanThatAreNotUnderstood(t *testing.T) {
	for _, line := range []string{
		`#2: what is this`,
		`#2: "site" esp.123456789@203.0.113.1 esp.7ee0b1b3@192.0.2.1 Traffic:`,
		`#2: "site" esp.1@203.0.113.1 esp.2@192.0.2.1 esp.3@192.0.2.1 Traffic:`,
		`#2: "site" esp.1@somewhere esp.2@192.0.2.1 Traffic:`,
	} {
		if got, err := parseStates(line + "\n"); err == nil {
			t.Errorf("%s: %+v", line, got)
		}
	}
}

func TestConnectionsOfLibreswan(t *testing.T) {
	got, err := parseConns(recorded(t, "up.connectionstatus"))
	if err != nil {
		t.Fatal(err)
	}
	want := &plutoConn{
		name: "site", local: siteUp.Local, remote: siteUp.Remote, mode: xfrm.ModeTunnel, initiates: true,
		localTS: []string{"10.1.0.0/24"}, remoteTS: []string{"10.2.0.0/24"},
	}
	if len(got) != 1 || !reflect.DeepEqual(got["site"], want) {
		t.Errorf("%+v", got["site"])
	}
}

// pluto is a whack that prints what a file of the question's name has in it, and notes what it was asked.
func pluto(t *testing.T, answers map[string]string) (l *Libreswan, asked func() string) {
	t.Helper()
	dir := t.TempDir()
	for question, answer := range answers {
		if err := os.WriteFile(filepath.Join(dir, question), []byte(answer), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script := fmt.Sprintf("#!/bin/sh\nshift 2\necho \"$@\" >> %[1]s/asked\n[ ! -e %[1]s/do$1 ] || . %[1]s/do$1\n[ ! -e %[1]s/$1 ] || cat %[1]s/$1\n", dir)
	whack := filepath.Join(dir, "whack")
	if err := os.WriteFile(whack, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return &Libreswan{socket: "/nowhere/pluto.ctl", whack: whack}, func() string {
		b, _ := os.ReadFile(filepath.Join(dir, "asked"))
		return string(b)
	}
}

// asSuccessor is what pluto says of site, of another connection at other addresses.
func asSuccessor(s, name, local string) string {
	return strings.NewReplacer(`"site"`, `"`+name+`"`, "192.0.2.1", local).Replace(s)
}

func plutoMove() *Move {
	old := siteUp
	old.Mode, old.LocalTS, old.RemoteTS, old.Initiator = xfrm.ModeTunnel, []string{"10.1.0.0/24"}, []string{"10.2.0.0/24"}, true
	return &Move{Group: "g", Old: []ChildSA{old}, Local: netip.MustParseAddr("198.51.100.1"), Remote: netip.MustParseAddr("203.0.113.1")}
}

func TestSuccessorInLibreswan(t *testing.T) {
	site := strings.ReplaceAll(recorded(t, "up.connectionstatus"), "+UP+", "+UP+OVERLAPIP+")
	b := asSuccessor(site, "site-b", "198.51.100.1")
	for _, tt := range []struct{ name, conns, says string }{
		{"one", site + b, ""},
		{"one that may not share its subnets", site + strings.ReplaceAll(b, "OVERLAPIP+", ""), "overlapip=yes"},
		{"none", site, "no connection from 198.51.100.1 to 203.0.113.1"},
		{"other subnets", site + strings.ReplaceAll(b, "10.2.0.0/24", "10.3.0.0/24"), "no connection"},
		{"transport mode", site + strings.ReplaceAll(b, "TUNNEL+", ""), "no connection"},
		{"two", site + b + asSuccessor(site, "site-c", "198.51.100.1"), "site-b, site-c"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, _ := pluto(t, map[string]string{"--connectionstatus": tt.conns})
			_, err := l.successor(within(t, 5*time.Second), plutoMove())
			if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
				t.Error(err)
			}
		})
	}
}

func TestLibreswanIsAbsent(t *testing.T) {
	l := &Libreswan{socket: "/nowhere", whack: "/nowhere/whack"}
	if _, err := l.ChildSAs(within(t, 5*time.Second)); !errors.Is(err, ErrAbsent) {
		t.Error(err)
	}
	l, _ = pluto(t, map[string]string{"do--showstates": "echo 'whack: Pluto is not running (no \"/nowhere\")' >&2; exit 1"})
	if _, err := l.ChildSAs(within(t, 5*time.Second)); !errors.Is(err, ErrAbsent) {
		t.Error(err)
	}
}

func TestLibreswanHangs(t *testing.T) {
	l, _ := pluto(t, map[string]string{"do--showstates": "sleep 100"})
	start := time.Now()
	_, err := l.ChildSAs(within(t, 200*time.Millisecond))
	if err == nil || !strings.Contains(err.Error(), "did not answer in time") {
		t.Error(err)
	}
	if since := time.Since(start); since > 30*time.Second {
		t.Error("it took", since)
	}
}

// TestLibreswanDoesNotTakeOneOfManyDown: whack takes a connection for any peer down with all of its instances.
func TestLibreswanDoesNotTakeOneOfManyDown(t *testing.T) {
	l, asked := pluto(t, nil)
	m := plutoMove()
	m.Old[0].Connection = "road[3]"
	if err := l.Check(within(t, 5*time.Second), m); err == nil || !strings.Contains(err.Error(), "one of many") {
		t.Error(err)
	}
	if _, err := l.Establish(within(t, 5*time.Second), m); err == nil || !strings.Contains(err.Error(), "one of many") {
		t.Error(err)
	}
	if got := strings.ReplaceAll(asked(), "--connectionstatus\n", ""); got != "" {
		t.Errorf("asked %q", got)
	}
}

// TestRetireOfLibreswan: the gateway that has brought a connection up takes it down, the other one waits for that.
func TestRetireOfLibreswan(t *testing.T) {
	for _, tt := range []struct {
		name      string
		initiator bool
		gone      bool // when pluto is asked after it was told
		told      string
		says      string
	}{
		{"ours", true, true, "--terminate --name site --asynchronous", ""},
		{"ours, and the peer does not answer", true, false, "--terminate --name site --asynchronous", "does not answer at the old addresses"},
		{"the peer's, which is faster", false, true, "", ""},
		{"the peer's, which does not", false, false, "", "waits for the peer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			states := recorded(t, "up.showstates")
			if tt.gone {
				states = ""
			}
			l, asked := pluto(t, map[string]string{"--showstates": states, "--connectionstatus": recorded(t, "up.connectionstatus")})
			old := plutoMove().Old
			old[0].Initiator = tt.initiator
			err := l.Retire(within(t, 500*time.Millisecond), old)
			if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
				t.Error(err)
			}
			if got := strings.Contains(asked(), "--terminate"); got != (tt.told != "") || !strings.Contains(asked(), tt.told) {
				t.Errorf("asked\n%s", asked())
			}
		})
	}
}

// TestRetireOfLibreswanLeavesNoEmptyIKESA: pluto keeps an IKE SA that two connections have shared when the one that has brought it up went first.
func TestRetireOfLibreswanLeavesNoEmptyIKESA(t *testing.T) {
	ike, child, _ := strings.Cut(recorded(t, "up.showstates"), "\n")
	two := strings.NewReplacer(`"site"`, `"two"`, "#2:", "#3:", "7ee0b1b3", "0badbeef").Replace(child)
	siteAgain := strings.NewReplacer("#2:", "#4:", "IKE SA #1", "IKE SA #9").Replace(child)
	for _, tt := range []struct {
		name, states string
		terminated   string // what there is after the IKE SA's owner was told to go
		told         []string
		says         string
	}{
		{name: "the other one is still in it", states: ike + "\n" + two, told: []string{"two"}},
		{name: "none is", states: ike, told: []string{"two", "site"}},
		{name: "none is, and the peer does not answer", states: ike, terminated: ike, told: []string{"two", "site"}, says: "by hand: ipsec down site"},
		{name: "one is about to be", states: ike + "\n#1: pending Child SA for \"site\"\n", told: []string{"two"}},
		{name: "its owner lives on in another one", states: ike + "\n" + siteAgain, told: []string{"two"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			old := plutoMove().Old
			old[0].Connection = "two"
			if strings.Contains(tt.states, `"two"`) {
				old[0].Connection = "three"
				tt.told[0] = "three"
			}
			l, asked := pluto(t, map[string]string{
				"--showstates": tt.states, "--connectionstatus": recorded(t, "up.connectionstatus"), "then": tt.terminated,
				"do--terminate": "[ $3 != site ] || cp $(dirname $0)/then $(dirname $0)/--showstates",
			})
			err := l.Retire(within(t, linger+2*time.Second), old)
			if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
				t.Error(err)
			}
			var told []string
			for line := range strings.Lines(asked()) {
				if name, ok := strings.CutPrefix(strings.TrimSpace(line), "--terminate --name "); ok {
					told = append(told, strings.TrimSuffix(name, " --asynchronous"))
				}
			}
			if !slices.Equal(told, tt.told) {
				t.Errorf("told to take down %q, want %q", told, tt.told)
			}
		})
	}
}

// TestChecksOfLibreswanAskOnce: a plan is checked once for each of its Child SAs.
func TestChecksOfLibreswanAskOnce(t *testing.T) {
	site := strings.ReplaceAll(recorded(t, "up.connectionstatus"), "+UP+", "+UP+OVERLAPIP+")
	l, asked := pluto(t, map[string]string{"--connectionstatus": site + asSuccessor(site, "site-b", "198.51.100.1")})
	for range 20 {
		if err := l.Check(within(t, 5*time.Second), plutoMove()); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Count(asked(), "--connectionstatus"); got > 2 {
		t.Errorf("asked %d times", got)
	}
}

// TestRenewOfLibreswan waits until pluto has another Child SA of the connection.
func TestRenewOfLibreswan(t *testing.T) {
	before := recorded(t, "up.showstates")
	after := strings.NewReplacer("#2:", "#4:", "a1da67d7", "0badcafe", "7ee0b1b3", "0badbeef").Replace(before)
	l, asked := pluto(t, map[string]string{
		"--showstates": before, "--connectionstatus": recorded(t, "up.connectionstatus"), "after": after,
		"do--rekey-child": "cp $(dirname $0)/after $(dirname $0)/--showstates",
	})
	if err := l.Renew(within(t, 5*time.Second), siteUp); err != nil {
		t.Error(err)
	}
	if !strings.Contains(asked(), "--rekey-child --name site --asynchronous") {
		t.Errorf("asked\n%s", asked())
	}
	err := l.Renew(within(t, 500*time.Millisecond), siteUp) // it stays what it is
	if err == nil || !strings.Contains(err.Error(), "by hand: ipsec whack --rekey-child --name site") {
		t.Error(err)
	}
}

// TestEstablishOfLibreswan initiates the successor, or leaves that to the peer which has initiated the old connection, or finds it there.
func TestEstablishOfLibreswan(t *testing.T) {
	site := strings.ReplaceAll(recorded(t, "up.connectionstatus"), "+UP+", "+UP+OVERLAPIP+")
	conns := site + asSuccessor(site, "site-b", "198.51.100.1")
	before := recorded(t, "up.showstates")
	up := strings.NewReplacer("#1:", "#3:", "#2:", "#4:", "IKE SA #1", "IKE SA #3", "a1da67d7", "0badcafe", "7ee0b1b3", "0badbeef").Replace(asSuccessor(before, "site-b", "198.51.100.1"))
	for _, tt := range []struct {
		name, states, initiate string
		ours                   bool
		told                   bool
		says                   string
	}{
		{"it is there", before + up, "", true, false, ""},
		{"this host brings it up", before, "cp $(dirname $0)/up $(dirname $0)/--showstates", true, true, ""},
		{"the peer does not, and this host does after half of the time", before, "cp $(dirname $0)/up $(dirname $0)/--showstates", false, true, ""},
		{"it does not come up", before, "", true, true, "it did not come up in time"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, asked := pluto(t, map[string]string{"--showstates": tt.states, "--connectionstatus": conns, "up": before + up, "do--initiate": tt.initiate})
			m := plutoMove()
			m.Old[0].Initiator = tt.ours
			got, err := l.Establish(within(t, time.Second), m)
			if tt.says == "" && (err != nil || got.Connection != "site-b" || got.In != 0x0badbeef) || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("%+v, %v", got, err)
			}
			if told := strings.Contains(asked(), "--initiate --name site-b --asynchronous"); told != tt.told {
				t.Errorf("asked\n%s", asked())
			}
		})
	}
}

// TestEstablishOfLibreswanWhereItWas brings a connection up again that has lost its SA, and ends the attempt to bring up the one that it was to be replaced by.
func TestEstablishOfLibreswanWhereItWas(t *testing.T) {
	site := strings.ReplaceAll(recorded(t, "up.connectionstatus"), "+UP+", "+UP+OVERLAPIP+")
	before := recorded(t, "up.showstates")
	l, asked := pluto(t, map[string]string{
		"--showstates": before, "--connectionstatus": site + asSuccessor(site, "site-b", "198.51.100.1"),
		"up":            strings.NewReplacer("#2:", "#4:", "a1da67d7", "0badcafe", "7ee0b1b3", "0badbeef").Replace(before),
		"do--terminate": "[ $3 != site ] || : > $(dirname $0)/--showstates",
		"do--initiate":  "cp $(dirname $0)/up $(dirname $0)/--showstates",
	})
	m := plutoMove()
	m.OldLocal, m.OldRemote = m.Local, m.Remote
	m.Local, m.Lost = siteUp.Local, true
	got, err := l.Establish(within(t, 5*time.Second), m)
	if err != nil || got.Connection != "site" || got.In != 0x0badbeef {
		t.Errorf("%+v, %v", got, err)
	}
	var told []string
	for line := range strings.Lines(asked()) {
		if !strings.Contains(line, "status") && !strings.Contains(line, "states") {
			told = append(told, strings.TrimSpace(line))
		}
	}
	want := []string{"--terminate --name site-b --asynchronous", "--terminate --name site --asynchronous", "--initiate --name site --asynchronous"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
