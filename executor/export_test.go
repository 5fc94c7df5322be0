package executor

import "time"

// The tests' owners of tunnels are quick, and hundreds of runs wait for them.
func init() { closing = 10 * time.Millisecond }

// SetClosing sets how long an owner may take, and returns what sets it back.
func SetClosing(d time.Duration) func() {
	was := closing
	closing = d
	return func() { closing = was }
}
