package executor

import "time"

// The tests' owners of tunnels are quick, and hundreds of runs wait for them.
func init() { closing = 10 * time.Millisecond }
