package executor

import (
	"fmt"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// HalfDone counts the transactions over whose policies stand blocks or shadows that a run has left behind.
func HalfDone(conn *xfrm.Conn, txs []Transaction) (n int, err error) {
	policies, err := conn.Policies()
	if err != nil {
		return 0, fmt.Errorf("read the SPD: %w", err)
	}
	left := make(map[xfrm.Key]bool)
	for i := range policies {
		if p := &policies[i]; p.Tagged() || blockedInPlace(p) {
			k := p.Key()
			k.Sel.User = 0
			left[k] = true
		}
	}
	for i := range txs {
		if txs[i].under(left) {
			n++
		}
	}
	return n, nil
}

func (t *Transaction) under(left map[xfrm.Key]bool) bool {
	for i := range t.Policies {
		for _, p := range versions(&t.Policies[i]) {
			if left[p.Key()] {
				return true
			}
		}
	}
	return false
}
