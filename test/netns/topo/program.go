package topo

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Program is the name of the program under test, in the machine's PATH.
const Program = "xfrm-plan"

// Outcome is how a run of the program ended.
type Outcome struct {
	Output     string // standard output and error
	Code       int
	Start, End time.Time
}

// OnGateway is the program on a gateway, as its administrator would start it there. Each gateway has a state directory of its own.
func (n *Network) OnGateway(ns Namespace, args ...string) *exec.Cmd {
	state := filepath.Join(n.dir, string(ns)+"-state")
	return ns.Command(append(append([]string{Program}, args...), "--state-dir", state)...)
}

// Run runs the program on a gateway to its end. The error is about starting it; how it ended is in the Outcome.
func (n *Network) Run(ns Namespace, args ...string) (Outcome, error) {
	return Finish(n.OnGateway(ns, args...))
}

// Finish runs a command to its end.
func Finish(cmd *exec.Cmd) (Outcome, error) {
	o := Outcome{Start: time.Now()}
	out, err := cmd.CombinedOutput()
	o.End, o.Output = time.Now(), strings.TrimRight(string(out), "\n")
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = nil
	}
	if cmd.ProcessState != nil {
		o.Code = cmd.ProcessState.ExitCode()
	}
	return o, err
}

// Example is the path of an example plan in the machine, where the lab is told to bring the examples along.
func Example(name string) string { return filepath.Join("/root/examples/plans", name) }
