package topo

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"
)

// PingInterval is short enough to see an interruption and leaves an emulated machine time for other things.
const PingInterval = 50 * time.Millisecond

// Reply is the answer to one ping.
type Reply struct {
	Seq int
	At  time.Time
}

// Ping is a ping that runs from the left client to the right one.
type Ping struct {
	To  string
	cmd *exec.Cmd

	read    chan struct{} // closed at the end of its output
	mu      sync.Mutex    // guards replies
	replies []Reply
}

// StartPing starts pinging.
func StartPing(to string) (*Ping, error) { return StartPingEvery(to, PingInterval) }

// StartPingEvery starts pinging at an interval of one's own: many pings would be too much for an emulated machine.
func StartPingEvery(to string, interval time.Duration) (*Ping, error) {
	cmd := LeftLAN.Command("ping", "-D", "-n", "-i", fmt.Sprint(interval.Seconds()), to)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p := &Ping{To: to, cmd: cmd, read: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if r, ok := parseReply(lines.Text()); ok {
				p.mu.Lock()
				p.replies = append(p.replies, r)
				p.mu.Unlock()
			}
		}
	}()
	return p, nil
}

// parseReply reads "[1795467073.147578] 64 bytes from 10.2.0.10: icmp_seq=2 ttl=62 time=1.58 ms".
func parseReply(line string) (r Reply, ok bool) {
	var at float64
	var size int
	var from string
	if n, _ := fmt.Sscanf(line, "[%f] %d bytes from %s icmp_seq=%d", &at, &size, &from, &r.Seq); n != 4 {
		return r, false
	}
	r.At = time.UnixMicro(int64(at * 1e6))
	return r, true
}

// Replies are those so far.
func (p *Ping) Replies() []Reply {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Reply(nil), p.replies...)
}

// Answered waits for n more replies than there are now.
func (p *Ping) Answered(n int, timeout time.Duration) error {
	want := len(p.Replies()) + n
	if err := Until(timeout, func() (bool, error) { return len(p.Replies()) >= want, nil }); err != nil {
		return fmt.Errorf("ping %s: %d of %d replies: %w", p.To, len(p.Replies())+n-want, n, err)
	}
	return nil
}

// Stop ends the ping and returns all replies.
func (p *Ping) Stop() []Reply {
	// Neither error says more than the replies do: ping fails if there are none.
	_ = p.cmd.Process.Signal(os.Interrupt)
	<-p.read
	_ = p.cmd.Wait()
	return p.Replies()
}

// Interruption is what a series of replies says: how many are missing between the first and the last, and the longest time without.
func Interruption(replies []Reply) (lost int, gap time.Duration) {
	for i := 1; i < len(replies); i++ {
		gap = max(gap, replies[i].At.Sub(replies[i-1].At))
		lost += max(0, replies[i].Seq-replies[i-1].Seq-1)
	}
	return lost, gap
}
