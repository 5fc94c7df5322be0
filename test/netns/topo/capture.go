package topo

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Capture is a tcpdump on one interface of the wire or of a client. It takes what comes in there only: what a gateway has sent, each packet
// once. (On a gateway's own interface one would also see packets after they were decrypted.)
type Capture struct {
	file   string
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	ended  chan struct{} // closed at the end of its standard error
}

// StartCapture captures on an interface of the wire; when it returns the capture is on.
func StartCapture(iface, file string) (*Capture, error) { return StartCaptureAt(Wire, iface, file) }

// StartCaptureAt captures on an interface of whatever namespace.
func StartCaptureAt(ns Namespace, iface, file string) (*Capture, error) {
	// -U and --immediate-mode: every packet is in the file when tcpdump is told to stop. -Z: it would give up being root, who owns dir.
	// -s: nobody looks further into a packet, and with the default of 256 KiB for each the buffer has room for eight of them.
	cmd := ns.Command("tcpdump", "-i", iface, "-Q", "in", "-n", "-s", "256", "-U", "--immediate-mode", "-Z", "root", "-w", file)
	pipe, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &Capture{file: file, cmd: cmd, stderr: new(bytes.Buffer), ended: make(chan struct{})}
	listening := make(chan struct{})
	go func() {
		defer close(c.ended)
		for lines := bufio.NewScanner(pipe); lines.Scan(); {
			fmt.Fprintln(c.stderr, lines.Text())
			if strings.Contains(lines.Text(), "listening on") {
				close(listening)
			}
		}
	}()
	select {
	case <-listening:
		return c, nil
	case <-c.ended:
		return nil, fmt.Errorf("tcpdump on %s: %w: %s", iface, cmd.Wait(), c.stderr)
	case <-time.After(startTimeout):
		return nil, errors.Join(fmt.Errorf("tcpdump on %s does not start", iface), cmd.Process.Kill())
	}
}

// Stop ends the capture and returns its packets, in order. It fails if the kernel dropped any.
func (c *Capture) Stop() ([]Packet, error) {
	if err := c.cmd.Process.Signal(os.Interrupt); err != nil {
		return nil, fmt.Errorf("stop tcpdump: %w: %s", err, c.stderr)
	}
	<-c.ended
	if err := c.cmd.Wait(); err != nil {
		return nil, fmt.Errorf("tcpdump: %w: %s", err, c.stderr)
	}
	if !strings.Contains(c.stderr.String(), "\n0 packets dropped by kernel") {
		return nil, fmt.Errorf("tcpdump missed packets: %s", c.stderr)
	}
	b, err := os.ReadFile(c.file)
	if err != nil {
		return nil, err
	}
	return readPcap(b)
}
