//go:build lab

package scenario

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// blockedInPlace leaves the first tunnel blocked, with an SA lost. Its policies have the priority that nothing outranks: the block stands
// in the place of its outbound policy, and no tag tells what that was. It returns the run's journal and a way to run the program again.
func blockedInPlace(t *testing.T) (journal string, again func(command string) *exec.Cmd) {
	t.Helper()
	build(t)
	manual(t, peers)
	for _, p := range snap(t).Policies {
		from, to, _ := strings.Cut(p.Template, " > ")
		reqid := 1
		if strings.Contains(p.Template, peers[1]) {
			reqid = 2
		}
		err := topo.Left.IP(fmt.Sprintf("xfrm policy update %s dir %s priority 0 tmpl src %s dst %s proto esp reqid %d mode tunnel\n", p.Selector, p.Dir, from, to, reqid))
		if err != nil {
			t.Fatal(err)
		}
	}
	r, got := betweenWaves(t, func() {
		deleteSA(t, topo.LeftISPB.String(), "203.0.113.1", "0x00001000")
		occupy(t, 1)
	})
	expect(t, got, 8, "0x00001000", "blocked")
	if blocks := blocked(snap(t)); len(blocks) != 1 || blocks[0] != "out src 10.1.0.0/24 dst 10.2.0.0/24" {
		t.Fatalf("block policies %v, want one in the place of the first tunnel's\n%s", blocks, got.Output)
	}
	state := r.cmd.Args[len(r.cmd.Args)-1]
	journals, err := filepath.Glob(filepath.Join(state, "runs", "*", "journal"))
	if err != nil || len(journals) != 1 {
		t.Fatal(journals, err)
	}
	return journals[0], func(command string) *exec.Cmd {
		return exec.Command(topo.Program, command, "--yes", "--netns", string(topo.Left), "--state-dir", state)
	}
}

// damage rewrites a file.
func damage(t *testing.T, file string, f func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, f(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

// whole checks that nothing is blocked and that the first tunnel's outbound policy is as it was.
func whole(t *testing.T, output string) {
	t.Helper()
	s := snap(t)
	if err := topo.Unblocked(s.Policies); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	for _, p := range s.Policies {
		if p.Dir == "out" && p.Selector == "src 10.1.0.0/24 dst 10.2.0.0/24" && (p.Template != "192.0.2.1 > 203.0.113.1" || p.Priority != 0) {
			t.Errorf("%v", p)
		}
	}
	for _, sa := range s.SAs {
		if sa.Src == topo.LeftISPB || sa.Dst == topo.LeftISPB && sa.Src.String() != "203.0.113.99" {
			t.Errorf("SA %08x is still at %v > %v", sa.SPI, sa.Src, sa.Dst)
		}
	}
}

// TestRecoverGoesByADamagedJournalUpToItsDamage has garbage at the journal's end, and a new SA in the place of the lost one.
func TestRecoverGoesByADamagedJournalUpToItsDamage(t *testing.T) {
	journal, again := blockedInPlace(t)
	damage(t, journal, func(b []byte) []byte { return append(b, make([]byte, 100)...) })
	err := topo.Left.IP(fmt.Sprintf("xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1100 reqid 1 mode tunnel aead rfc4106(gcm(aes)) 0x%x 128 dir out\n", newKey()))
	if err != nil {
		t.Fatal(err)
	}
	got := finish(t, again("recover"))
	expect(t, got, 0, "damaged", "set aside")
	whole(t, got.Output)
	expect(t, finish(t, again("recover")), 0, "Nothing to recover")
}

// TestRecoverSaysHowToPutAPolicyBack has lost the intent, and does what recover says.
func TestRecoverSaysHowToPutAPolicyBack(t *testing.T) {
	journal, again := blockedInPlace(t)
	damage(t, journal, func(b []byte) []byte {
		const frameHeader = 12
		header := frameHeader + int(binary.LittleEndian.Uint32(b))
		b[header+frameHeader+20] ^= 1 // in the first intent
		return b
	})
	got := finish(t, again("recover"))
	expect(t, got, 8, "damaged", "blocks in the place")
	said := regexp.MustCompile("`ip (xfrm policy update .*) priority N tmpl [.]{3}`").FindStringSubmatch(got.Output)
	if said == nil {
		t.Fatalf("no command in\n%s", got.Output)
	}
	if err := topo.Left.IP(said[1] + " priority 0 tmpl src 192.0.2.1 dst 203.0.113.1 proto esp reqid 1 mode tunnel\n"); err != nil {
		t.Fatal(err)
	}
	got = finish(t, again("recover"))
	expect(t, got, 0, "set aside")
	if err := topo.Unblocked(snap(t).Policies); err != nil {
		t.Errorf("%v\n%s", err, got.Output)
	}
	expect(t, finish(t, again("recover")), 0, "Nothing to recover")
}
