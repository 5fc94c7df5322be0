//go:build lab

package scenario

import (
	"fmt"
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestCanaryThatStaysSilentEndsTheRun moves the first of three tunnels, whose peer has not moved: nothing comes in, whatever onError says it is undone, and
// the others are as they were to the byte, unless they are to be moved all the same. The peer of the second one has moved.
func TestCanaryThatStaysSilentEndsTheRun(t *testing.T) {
	build(t)
	three := append(peers[:2:2], "203.0.113.3")
	for _, tt := range []struct {
		onError, outcomes string
		moves             bool
	}{
		{"rollback", "undone untouched untouched", false},
		{"continue", "undone done undone", true},
		{"stop", "undone untouched untouched", false},
	}[:thin(2, 3)] {
		t.Run(tt.onError, func(t *testing.T) {
			if err := topo.Left.IP("xfrm policy flush\nxfrm state flush\n"); err != nil {
				t.Fatal(err)
			}
			manual(t, three)
			if tt.moves {
				answering(t, 1)
			}
			before, others := snap(t), listing(t, "reqid 1(")
			r := start(t, "onError: "+tt.onError+"\nwaves: [{name: canary, size: 1}, {name: rest, size: 100%}]\nchecks: {after: {inboundTraffic: {within: 1s}}}\n")
			got := r.end(t)
			expect(t, got, 7, "no packet came in within 1s")
			var outcomes []string
			for _, g := range reportOf(t, r).Groups {
				outcomes = append(outcomes, string(g.Outcome))
			}
			if got := strings.Join(outcomes, " "); got != tt.outcomes {
				t.Errorf("the report says %q, want %q", got, tt.outcomes)
			}
			if tt.moves {
				there(t, []string{"SA 00001000 192.0.2.1 > 203.0.113.1", "SA 00001001 198.51.100.1 > 203.0.113.2", "SA 00001002 192.0.2.1 > 203.0.113.3"}, nil)
				return
			}
			if err := snap(t).Same(before); err != nil {
				t.Error(err)
			}
			if now := listing(t, "reqid 1("); now != others {
				t.Errorf("the tunnels after the canary were\n%s\nand are\n%s", others, now)
			}
			if t.Failed() {
				t.Logf("output:\n%s", got.Output)
			}
		})
	}
}

// listing is what `ip` lists of the left gateway's SAs, without their keys, and policies with their indexes and lifetimes, but for those that have some text.
func listing(t *testing.T, but string) string {
	t.Helper()
	var kept strings.Builder
	for _, object := range []string{"state", "policy"} {
		out, err := topo.Left.Run("ip", "-s", "xfrm", object, "list")
		if err != nil {
			t.Fatal(err)
		}
		// Each begins with a line that is not indented.
		for _, one := range strings.Split("\n"+strings.TrimSuffix(out, "\n"), "\nsrc ") {
			if one == "" || strings.Contains(one, but) {
				continue
			}
			for line := range strings.Lines(one + "\n") {
				if !strings.Contains(line, "aead ") {
					kept.WriteString(line)
				}
			}
		}
	}
	if kept.Len() == 0 {
		t.Fatal("nothing is listed")
	}
	return kept.String()
}

// answering gives tunnel i of manual a peer that has moved: from the right gateway packets come to the new address.
func answering(t *testing.T, i int) {
	t.Helper()
	key := newKey()
	sa := func(dst string) string {
		return fmt.Sprintf("src %s dst %s proto esp spi 0x%08x reqid %d mode tunnel aead rfc4106(gcm(aes)) 0x%x 128", peers[i], dst, inSPI(i), i+1, key)
	}
	if err := topo.Left.IP(fmt.Sprintf("xfrm state delete src %s dst 192.0.2.1 proto esp spi 0x%08x\nxfrm state add %s dir in\n", peers[i], inSPI(i), sa("192.0.2.1"))); err != nil {
		t.Fatal(err)
	}
	if err := topo.Right.IP(fmt.Sprintf("addr add %s/24 dev wan\naddr add 10.2.%d.1/24 dev lan\nxfrm state add %s dir out\n", peers[i], i, sa(topo.LeftISPB.String())) +
		fmt.Sprintf("xfrm policy add src 10.2.%d.0/24 dst 10.1.0.0/24 dir out tmpl src %s dst %s proto esp reqid %d mode tunnel\n", i, peers[i], topo.LeftISPB, i+1)); err != nil {
		t.Fatal(err)
	}
	ping := topo.Right.Command("ping", "-q", "-i", "0.05", "-I", fmt.Sprintf("10.2.%d.1", i), "10.1.0.10")
	if err := ping.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ping.Process.Kill()
		ping.Wait()
	})
}
