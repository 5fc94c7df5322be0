package ike

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Command is a program of the operator's. It gets a description of what moves as JSON on its standard input (docs/ike.md has the fields), and
// its exit code says whether that is done: 0 means that the daemon is at the new addresses.
type Command struct{ argv []string }

// NewCommand returns the driver for a program and its arguments. No shell is involved.
func NewCommand(argv []string) *Command { return &Command{argv} }

// String names the program.
func (c *Command) String() string { return fmt.Sprintf("the command %q", c.argv[0]) }

// ChildSAs can't be known.
func (c *Command) ChildSAs(context.Context) ([]ChildSA, error) {
	return nil, fmt.Errorf("%v tells of no SAs: %w", c, errors.ErrUnsupported)
}

// Check makes sure that the program can be started.
func (c *Command) Check(context.Context, *Move) error {
	if _, err := exec.LookPath(c.argv[0]); err != nil {
		return fmt.Errorf("%v can't be run: %w", c, err)
	}
	return nil
}

// Establish runs the program with "action": "establish".
func (c *Command) Establish(ctx context.Context, m *Move) (ChildSA, error) {
	return ChildSA{}, c.run(ctx, m)
}

// Retire does nothing: what the program has replaced it has retired by the time it ends.
func (c *Command) Retire(context.Context, []ChildSA) error { return nil }

// Killed programs get this long until their output is given up; what they have started may hold it open.
const reapDelay = time.Second

// run runs the program in a process group of its own, which is killed as a whole when ctx ends.
func (c *Command) run(ctx context.Context, m *Move) error {
	in, err := json.Marshal(descriptionOf(m))
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Stdin = bytes.NewReader(append(in, '\n'))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = reapDelay
	out := &tail{most: 4096}
	cmd.Stdout, cmd.Stderr = out, out
	switch err := cmd.Run(); {
	case err == nil, errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil: // it ended well; what it started lives on
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%v did not end in time and was killed: %w", c, context.Cause(ctx))
	default:
		return fmt.Errorf("%v failed: %w%s", c, err, out.lastLine())
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	most int
	b    []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if n := len(t.b) - t.most; n > 0 {
		t.b = append(t.b[:0], t.b[n:]...)
	}
	return len(p), nil
}

func (t *tail) lastLine() string {
	const most = 200
	lines := strings.Split(strings.TrimSpace(string(t.b)), "\n")
	last := strings.ToValidUTF8(lines[len(lines)-1], "?")
	if last == "" {
		return ""
	}
	return fmt.Sprintf(": %q", last[:min(len(last), most)])
}

// What a program reads. Numbers are decimal, SPIs quoted hex, as in plan files.
type description struct {
	Version   int                 `json:"version"` // 1
	Action    string              `json:"action"`  // "establish"
	Run       string              `json:"run"`
	Plan      string              `json:"plan"`
	Group     string              `json:"group"`
	Lost      bool                `json:"lost"` // an SA is gone and traffic is blocked; else the SAs have moved and carry traffic
	OldLocal  string              `json:"oldLocal"`
	OldRemote string              `json:"oldRemote"`
	Local     string              `json:"local"`
	Remote    string              `json:"remote"`
	SAs       []descriptionSA     `json:"sas"`
	Policies  []descriptionPolicy `json:"policies"`
}

type descriptionSA struct {
	Direction string `json:"direction"` // in, out or unset
	Proto     string `json:"proto"`
	Mode      string `json:"mode"`
	SPI       string `json:"spi"`
	Reqid     uint32 `json:"reqid"`
	IfID      uint32 `json:"ifId"`
	Mark      string `json:"mark,omitempty"`
	OldSrc    string `json:"oldSrc"`
	OldDst    string `json:"oldDst"`
	Src       string `json:"src"`
	Dst       string `json:"dst"`
}

type descriptionPolicy struct {
	Direction string `json:"direction"`
	Src       string `json:"src"`
	Dst       string `json:"dst"`
	Proto     uint8  `json:"proto,omitempty"`
	IfID      uint32 `json:"ifId"`
	Priority  uint32 `json:"priority"`
}

func descriptionOf(m *Move) description {
	d := description{
		Version: 1, Action: "establish", Run: m.Run, Plan: m.Plan, Group: m.Group, Lost: m.Lost,
		OldLocal: m.OldLocal.String(), OldRemote: m.OldRemote.String(), Local: m.Local.String(), Remote: m.Remote.String(),
		SAs: []descriptionSA{}, Policies: []descriptionPolicy{},
	}
	for i := range m.SAs {
		s := &m.SAs[i]
		sa := descriptionSA{
			Direction: s.Dir.String(), Proto: s.ID.Proto.String(), Mode: s.Mode.String(), SPI: s.ID.SPI.String(), Reqid: s.Reqid, IfID: s.IfID,
			OldSrc: s.Src.String(), OldDst: s.Dst.String(), Src: s.NewSrc.String(), Dst: s.NewDst.String(),
		}
		if s.Mark != (xfrm.Mark{}) {
			sa.Mark = s.Mark.String()
		}
		d.SAs = append(d.SAs, sa)
	}
	for i := range m.Policies {
		p := &m.Policies[i]
		d.Policies = append(d.Policies, descriptionPolicy{
			Direction: p.Dir.String(), Src: p.Selector.SrcPrefix().String(), Dst: p.Selector.DstPrefix().String(), Proto: p.Selector.Proto,
			IfID: p.IfID, Priority: p.Priority,
		})
	}
	return d
}
