package topo

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// CheckAgain says whether applying a plan once more on a gateway does nothing.
func (n *Network) CheckAgain(ns Namespace, plan string) Check {
	c := Check{What: fmt.Sprintf("nothing done when applied again on %s", ns), How: "all multicast groups, ip xfrm policy"}
	c.Seen, c.Err = n.again(ns, plan)
	return c
}

func (n *Network) again(ns Namespace, plan string) (string, error) {
	before, err := ns.SPD()
	if err != nil {
		return "", err
	}
	l, err := Listen(ns)
	if err != nil {
		return "", err
	}
	outcome, runErr := n.Run(ns, "apply", plan, "--yes")
	heard, err := l.Stop()
	if err := errors.Join(runErr, err); err != nil {
		return "", err
	}
	after, err := ns.SPD()
	switch {
	case err != nil:
		return "", err
	case outcome.Code != 0 || !strings.Contains(outcome.Output, "No changes"):
		return "", fmt.Errorf("exit code %d and %q, want 0 and \"No changes\"", outcome.Code, outcome.Output)
	case len(heard) > 0:
		return "", fmt.Errorf("the kernel announced %v", heard)
	case !slices.Equal(before, after):
		return "", fmt.Errorf("the policies were %v and are %v", before, after)
	}
	return "exit code 0, \"No changes\"", nil
}
