package lab

import (
	"bytes"
	"io"
	"regexp"
	"sync"
)

// consoleKeep is how much of the console's end is kept: a panic with all its traces, not a night of log lines.
const consoleKeep = 256 << 10

// fatal is what a kernel prints when it will not go on. An oops becomes a panic by the kernel's parameters.
var fatal = regexp.MustCompile(`Kernel panic - not syncing|Oops: |BUG: unable to handle`)

// A console collects what the guest's kernel prints.
type console struct {
	mu    sync.Mutex
	text  []byte
	dead  chan struct{} // closed at the first fatal line
	done  chan struct{} // closed when the last byte is in
	found bool
}

func newConsole() *console { return &console{dead: make(chan struct{}), done: make(chan struct{})} }

// collect reads until r ends.
func (c *console) collect(r io.Reader) {
	defer close(c.done)
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		c.add(buf[:n])
		if err != nil {
			return
		}
	}
}

func (c *console) add(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// The words may be cut by the read: look a line's length back.
	from := max(0, len(c.text)-80)
	c.text = append(c.text, bytes.ReplaceAll(b, []byte("\r"), nil)...)
	if !c.found && fatal.Match(c.text[from:]) {
		c.found = true
		close(c.dead)
	}
	if over := len(c.text) - consoleKeep; over > 0 {
		c.text = append(c.text[:0], c.text[over:]...)
	}
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.text)
}
