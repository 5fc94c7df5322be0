package main

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// toConfirm is a program whose plan has a wave of one group, a long pause and another wave, and leaves what is done in its
// place when it is told to stop. Its apply has to be confirmed.
func toConfirm(t *testing.T, within string) (p *program, args []string, out *bytes.Buffer) {
	t.Helper()
	out = new(bytes.Buffer)
	p, args = withTunnels(t, 2, out)
	p.detach = p.watchdogHere
	text := strings.Replace(movePlan, "pause: 1s", "pause: 10m", 1) + "onError: stop\n"
	if err := os.WriteFile(args[len(args)-1], []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p, append(args, "--confirm-within", within), out
}

// says runs another command until it says what is wanted.
func says(t *testing.T, p *program, args []string, command, want string) {
	t.Helper()
	var out bytes.Buffer
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		out.Reset()
		other := *p
		other.out = &out
		other.run(t.Context(), append([]string{args[0], args[1]}, strings.Fields(command)...))
		if strings.Contains(out.String(), want) {
			return
		}
	}
	t.Fatalf("%s says %q, want %q", command, out.String(), want)
}

// applyInterrupted applies and is told to stop in the pause.
func applyInterrupted(t *testing.T, p *program, args []string) {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	ns, _ := p.open("")
	go func() {
		for !hasMoved(ns.(*memoryHost).kernel) && t.Context().Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		interrupt()
	}()
	if code := p.run(ctx, args); code != exitInterrupted {
		t.Fatalf("exit status %d, want %d", code, exitInterrupted)
	}
}

func TestInterruptedRunStillAwaitsItsConfirmation(t *testing.T) {
	t.Run("confirmed", func(t *testing.T) {
		p, args, out := toConfirm(t, "1m")
		applyInterrupted(t, p, args)
		told := regexp.MustCompile("(?s)1 of 2 groups are moved. To keep them, confirm within 1m0s: `xfrm-plan (confirm \\S+) --state-dir \\S+`. To undo them now: `xfrm-plan rollback \\S+ --state-dir \\S+`")
		what := told.FindStringSubmatch(out.String())
		if what == nil {
			t.Fatalf("it does not say how to keep what it has done: %s", out)
		}
		says(t, p, args, "status", "awaiting confirmation")
		says(t, p, args, what[1], "is confirmed: it stays")
		says(t, p, args, "status", "confirmed   1 of 2 groups done")
	})
	t.Run("not confirmed", func(t *testing.T) {
		p, args, _ := toConfirm(t, "500ms")
		applyInterrupted(t, p, args)
		says(t, p, args, "status", "not confirmed in time, undone  0 of 2 groups done")
	})
}

// TestUnsettledRunIsUndoneByItsWatchdog has a kernel that lets one SA of a group go and neither the other one go nor the first
// one come back.
func TestUnsettledRunIsUndoneByItsWatchdog(t *testing.T) {
	p, args, out := toConfirm(t, "1s")
	ns, _ := p.open("")
	h := ns.(*memoryHost)
	begun := time.Now()
	h.fault = func(at xfrmtest.At) xfrmtest.Effect {
		last := len(at.Messages) - 1
		if at.Point != xfrmtest.BeforeSend || !at.Has(xfrm.MsgMigrateState) || last == 0 && !hasMoved(h.kernel) || time.Since(begun) > time.Second {
			return xfrmtest.Effect{}
		}
		return xfrmtest.Effect{Lies: map[int]xfrmtest.Lie{last: {Truth: xfrmtest.NotDone, Errno: unix.ENOMEM}}}
	}
	if code := p.run(t.Context(), args); code != exitNotUndone {
		t.Fatalf("exit status %d, want %d: %s", code, exitNotUndone, out)
	}
	for _, want := range []string{"It can't be confirmed before every group is settled", "`xfrm-plan recover --forward --state-dir "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	says(t, p, args, "status", "not confirmed in time, undone  0 of 2 groups done, 1 undone")
}
