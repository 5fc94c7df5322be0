//go:build labhost

package powercut

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

const (
	disk  = "/var/lib/xfrm-plan" // of the machine
	state = disk + "/state"
)

// message is what the machine says to the host, as a line of JSON.
type message struct {
	Moved   string            `json:",omitempty"` // the SPI of an SA that the kernel has just announced as moved
	Journal map[string]string `json:",omitempty"` // status --journal of every run, before recover
	Recover []string          `json:",omitempty"` // what recover says, the first time and the second
	Changed string            `json:",omitempty"` // what recover has changed in the kernel
	Ended   bool              `json:",omitempty"` // apply has come to its end
}

// out is written to by the listener, too.
var out = struct {
	sync.Mutex
	*json.Encoder
}{Encoder: json.NewEncoder(os.Stdout)}

func say(m message) {
	out.Lock()
	defer out.Unlock()
	_ = out.Encode(m)
}

// job is one life of the machine: it looks at what the life before has left on the disk and, asked to "apply", begins a run.
func job(what string) error {
	if err := build(); err != nil {
		return err
	}
	if err := look(); err != nil {
		return err
	}
	if what != "apply" {
		return nil
	}
	l, err := topo.ListenWith(gateway, func(n topo.Notice) {
		if n.Type == topo.MsgMigrateState {
			say(message{Moved: fmt.Sprintf("0x%08x", n.SPI)})
		}
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile("/root/plan.yaml", []byte(plan), 0o600); err != nil {
		return err
	}
	if _, err := xfrmPlan("apply", "/root/plan.yaml", "--yes"); err != nil {
		return err
	}
	say(message{Ended: true})
	_, err = l.Stop()
	return err
}

// look reads the journals and recovers, twice.
func look() error {
	runs, err := os.ReadDir(state + "/runs")
	if errors.Is(err, os.ErrNotExist) {
		return nil // the first life
	}
	m := message{Journal: map[string]string{}}
	for _, run := range runs {
		if m.Journal[run.Name()], err = xfrmPlan("status", "--journal", run.Name()); err != nil {
			return err
		}
	}
	before, err := topo.Snap(gateway)
	if err != nil {
		return err
	}
	for range 2 {
		said, err := xfrmPlan("recover", "--yes")
		if err != nil {
			return err
		}
		m.Recover = append(m.Recover, said)
	}
	after, err := topo.Snap(gateway)
	if err != nil {
		return err
	}
	if err := after.Same(before); err != nil {
		m.Changed = err.Error()
	}
	say(m)
	return nil
}

// xfrmPlan runs the program, which must succeed.
func xfrmPlan(args ...string) (string, error) {
	o, err := topo.Finish(exec.Command(topo.Program, append(args, "--netns", string(gateway), "--state-dir", state)...))
	if err == nil && o.Code != 0 {
		err = fmt.Errorf("%s: exit status %d\n%s", strings.Join(args, " "), o.Code, o.Output)
	}
	return o.Output, err
}
