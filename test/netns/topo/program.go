package topo

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	// Program is the name of the program under test, in the machine's PATH.
	Program = "xfrm-plan"
	// Examples is the directory in the machine that the lab is told to bring the example plans to.
	Examples = "/root/examples/plans"
)

// The example plans that move the tunnel of StartIKE, one after the other.
const (
	PlanISPChange = "dual-stack-isp-change.yaml"
	PlanToIPv6    = "ipv4-to-ipv6-outer.yaml"
)

// What the example plans do.
var (
	MoveISPChange = Move{Left: LeftISPA, Right: RightISP, NewLeft: LeftISPB, NewRight: RightISP}
	MoveToIPv6    = Move{Left: LeftISPB, Right: RightISP, NewLeft: LeftISPB6, NewRight: RightISP6}
)

// Outcome is how a run of the program ended.
type Outcome struct {
	Output     string // standard output and error
	Code       int
	Start, End time.Time
}

// OnGateway is the program on a gateway, as its administrator would start it there, in the directory with the example plans. Each
// gateway has a state directory of its own: two real ones would not share a disk.
func (n *Network) OnGateway(ns Namespace, args ...string) *exec.Cmd {
	cmd := ns.Command(append(append([]string{Program}, args...), "--state-dir", n.StateDir(ns))...)
	cmd.Dir = Examples
	return cmd
}

// StateDir is the state directory of the program on a gateway.
func (n *Network) StateDir(ns Namespace) string { return filepath.Join(n.dir, string(ns)+"-state") }

// Run runs the program on a gateway to its end. The error is about starting it; how it ended is in the Outcome.
func (n *Network) Run(ns Namespace, args ...string) (Outcome, error) {
	return Finish(n.OnGateway(ns, args...))
}

// RunOnBoth runs the program on both gateways at the same time, as a timer on each or Ansible would. The outcomes are in the order of
// Gateways.
func (n *Network) RunOnBoth(args ...string) (outcomes [len(Gateways)]Outcome, err error) {
	var errs [len(Gateways)]error
	var both sync.WaitGroup
	for i, ns := range Gateways {
		both.Go(func() { outcomes[i], errs[i] = n.Run(ns, args...) })
	}
	both.Wait()
	return outcomes, errors.Join(errs[:]...)
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
