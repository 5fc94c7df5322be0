package xfrmtest

import "github.com/xfrm-plan/xfrm-plan/xfrm"

// Changes is what has become of the tables since they were last asked after. What is rewritten has gone and come.
type Changes struct {
	Policies []PolicyChange // of the SPD, without those of sockets, in their order
	Came     []xfrm.SA      // with the counters that they came with
}

// PolicyChange is a policy that has come or gone. One that comes is younger than all that are there.
type PolicyChange struct {
	xfrm.Policy
	Gone bool
}

// WithChanges makes a kernel that takes down what Changes returns.
func WithChanges() Option { return func(k *Kernel) { k.log = new(Changes) } }

// Changes returns what has changed since the last call, or since New. A test that looks after every message need not look
// at everything.
func (k *Kernel) Changes() Changes {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := *k.log
	*k.log = Changes{}
	return c
}

func (k *Kernel) logPolicy(p *policy, gone bool) {
	if k.log != nil && !p.socket {
		k.log.Policies = append(k.log.Policies, PolicyChange{p.seen, gone})
	}
}

func (k *Kernel) logSA(x *state) {
	if k.log != nil {
		k.log.Came = append(k.log.Came, x.sa)
	}
}
