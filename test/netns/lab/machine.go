package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/lab/wire"
)

const (
	// bootLimit is ten times what a boot takes on a busy machine.
	bootLimit = 60 * time.Second
	// silenceLimit is how long a guest may say nothing at all; it says that it is alive once a second.
	silenceLimit = 60 * time.Second
	// panicGrace is for the rest of the kernel's last words.
	panicGrace = 2 * time.Second
	// timeoutGrace is for a guest that ends the job itself at its timeout, with a dump of its goroutines, before the host does.
	timeoutGrace = 15 * time.Second
)

// A MachineError says that a machine ended without a result.
type MachineError struct {
	Reason  string
	Booted  bool   // the guest had come up
	Console string // the end of what its kernel printed
	QEMU    string // what QEMU printed
	Err     error  // the context's cause, if that is the reason
}

func (e *MachineError) Error() string { return "virtual machine: " + e.Reason }
func (e *MachineError) Unwrap() error { return e.Err }

// Transcript is the console's and QEMU's text under a heading each, for people.
func (e *MachineError) Transcript() string {
	var b strings.Builder
	for _, part := range []struct{ title, text string }{{"console", e.Console}, {"qemu", e.QEMU}} {
		text := strings.TrimSpace(part.text)
		if text == "" {
			text = "(empty)"
		}
		fmt.Fprintf(&b, "---- %s ----\n%s\n", part.title, text)
	}
	b.WriteString("---- end ----\n")
	return b.String()
}

// A machine is one boot.
type machine struct {
	qemu    *process
	console *console
	frames  chan frame
	closing []*os.File
}

type frame struct {
	kind    wire.Kind
	payload []byte
	err     error
}

// boot starts QEMU. The caller calls stop.
func (im Images) boot(spec Spec) (_ *machine, err error) {
	if spec.Disk.Host != "" && !spec.System {
		return nil, errors.New("a disk needs the Debian system: the small machine has no driver for it")
	}
	initrd, err := im.writeInitrd(spec.job(), spec.Ship)
	if err != nil {
		return nil, err
	}
	defer initrd.Close()
	consoleR, consoleW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer consoleW.Close()
	portR, portW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer portW.Close()
	m := &machine{console: newConsole(), frames: make(chan frame), closing: []*os.File{consoleR, portR}}
	if m.qemu, err = startQEMU(qemuArgs(im, spec, false), false, initrd, consoleW, portW); err != nil {
		consoleR.Close()
		portR.Close()
		return nil, err
	}
	go m.console.collect(consoleR)
	go m.readFrames(portR)
	return m, nil
}

func (m *machine) readFrames(r io.Reader) {
	defer close(m.frames)
	for {
		kind, payload, err := wire.Read(r)
		m.frames <- frame{kind, payload, err}
		if err != nil {
			return
		}
	}
}

// stop ends QEMU and lets go of everything.
func (m *machine) stop() {
	m.qemu.stop()
	// The reader may be waiting to hand over a frame that nobody wants any more.
	go func() {
		for range m.frames {
		}
	}()
	for _, f := range m.closing {
		f.Close()
	}
}

// follow passes on what the guest sends until it has a result.
func (m *machine) follow(ctx context.Context, spec Spec) (wire.Result, error) {
	booted := false
	failed := func(err error, format string, args ...any) (wire.Result, error) {
		m.qemu.stop()
		<-m.console.done
		return wire.Result{}, &MachineError{
			Reason: fmt.Sprintf(format, args...), Booted: booted, Err: err,
			Console: m.console.String(), QEMU: m.qemu.stderr.String(),
		}
	}
	files := receiver{allowed: spec.Return}
	defer files.close()
	quiet := time.NewTimer(bootLimit)
	defer quiet.Stop()
	var limit <-chan time.Time
	dead := m.console.dead
	var lastWords <-chan time.Time
	for {
		select {
		case f := <-m.frames:
			if f.err != nil {
				if !errors.Is(f.err, io.EOF) && !errors.Is(f.err, io.ErrUnexpectedEOF) {
					return failed(f.err, "%v", f.err)
				}
				<-m.qemu.done
				return failed(nil, "ended without a result (%v)", m.qemu.cmd.ProcessState)
			}
			quiet.Reset(silenceLimit)
			switch f.kind {
			case wire.Ready:
				booted = true
				if spec.Timeout > 0 {
					t := time.NewTimer(spec.Timeout + timeoutGrace)
					defer t.Stop()
					limit = t.C
				}
			case wire.Exit:
				result, err := files.finish(f.payload)
				if err == nil && result.TimedOut {
					return failed(nil, "the command was still running after %v", spec.Timeout)
				}
				return result, err
			default:
				if err := m.pass(f, spec, &files); err != nil {
					return wire.Result{}, err
				}
			}
		case <-dead:
			dead = nil
			lastWords = time.After(panicGrace)
		case <-lastWords:
			return failed(nil, "its kernel panicked")
		case <-quiet.C:
			if !booted {
				return failed(nil, "did not come up in %v", bootLimit)
			}
			return failed(nil, "hangs: no sign of life for %v", silenceLimit)
		case <-limit:
			return failed(nil, "hangs: still running %v after the timeout of %v", timeoutGrace, spec.Timeout)
		case <-ctx.Done():
			return failed(context.Cause(ctx), "%v", context.Cause(ctx))
		}
	}
}

// pass writes one frame of output or of a file to where it belongs.
func (m *machine) pass(f frame, spec Spec, files *receiver) error {
	switch f.kind {
	case wire.Stdout:
		_, err := spec.Stdout.Write(f.payload)
		return err
	case wire.Stderr:
		_, err := spec.Stderr.Write(f.payload)
		return err
	case wire.File:
		return files.open(f.payload)
	case wire.Data:
		return files.write(f.payload)
	}
	return nil
}
