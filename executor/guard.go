package executor

import (
	"cmp"
	"errors"
	"time"
)

// protected makes sure that every policy of the group is there in some form that lets nothing through in the clear: the daemon may have rewritten it.
// What is missing is blocked, and stays so whether it comes back or not until the group is settled.
func (c *companion) protected(tx *Transaction) error {
	err := blockMissing(c.conn, tx, c.indexes)
	if errors.Is(err, errBare) {
		c.bare = err
	}
	return cmp.Or(err, c.bare)
}

// guarded looks after the group while the daemon does what may take it a minute. As the run's watch does, it counts policies, and reads those of the group
// when there are fewer.
func (c *companion) guarded(tx *Transaction, do func() error) error {
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		c.guard(tx, over)
	}()
	err := do()
	close(over)
	<-ended
	return err
}

func (c *companion) guard(tx *Transaction, over <-chan struct{}) {
	tick := time.NewTicker(watchTick)
	defer tick.Stop()
	for count := uint64(0); ; {
		if info, err := c.conn.SPDInfo(); err == nil {
			now := uint64(info.In) + uint64(info.Out) + uint64(info.Fwd)
			if now < count {
				_ = c.protected(tx) // whoever goes on asks again
			}
			count = now
		}
		select {
		case <-over:
			return
		case <-tick.C:
		}
	}
}
