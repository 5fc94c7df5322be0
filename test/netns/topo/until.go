package topo

import (
	"fmt"
	"time"
)

// Until waits for a condition and fails after the timeout.
func Until(timeout time.Duration, holds func() (bool, error)) error {
	// Short next to everything that is waited for here.
	const interval = 20 * time.Millisecond
	for deadline := time.Now().Add(timeout); ; time.Sleep(interval) {
		ok, err := holds()
		switch {
		case err != nil:
			return err
		case ok:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("still waiting after %v", timeout)
		}
	}
}
