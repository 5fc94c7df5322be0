package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// Run runs a command in a machine of its own and returns its exit code. A machine that ends without a result is a [MachineError].
// One that ends before its guest has come up is started once more, and log says so: emulated boots die now and then, and nothing of
// the command has run yet.
func (c Cache) Run(ctx context.Context, log io.Writer, spec Spec) (int, error) {
	code, err := c.runOnce(ctx, spec)
	var failed *MachineError
	if errors.As(err, &failed) && !failed.Booted && ctx.Err() == nil {
		fmt.Fprintf(log, "lab: boot failed (%s), trying once more; the first attempt's text:\n%s", failed.Reason, failed.Transcript())
		return c.runOnce(ctx, spec)
	}
	return code, err
}

func (c Cache) runOnce(ctx context.Context, spec Spec) (int, error) {
	m, err := c.bootLocked(spec)
	if err != nil {
		return 0, err
	}
	defer m.stop()
	result, err := m.follow(ctx, spec)
	return result.Code, err
}

// bootLocked boots with the cache locked. The lock is let go while QEMU may still be opening the images: should they be replaced in
// that instant, the boot fails and is tried again.
func (c Cache) bootLocked(spec Spec) (*machine, error) {
	unlock, err := c.lock(false)
	if err != nil {
		return nil, err
	}
	defer unlock()
	im, err := c.Find()
	if err != nil {
		return nil, err
	}
	return im.boot(spec)
}

// Shell runs a command on the system machine's serial console, with this program's standard input and output as the terminal.
func (c Cache) Shell(ctx context.Context, spec Spec) error {
	im, err := c.Find()
	if err != nil {
		return err
	}
	job := spec.job()
	job.Shell = true
	initrd, err := im.writeInitrd(job, spec.Ship)
	if err != nil {
		return err
	}
	defer initrd.Close()
	q, err := startQEMU(qemuArgs(im, spec, true), true, initrd)
	if err != nil {
		return err
	}
	defer q.stop()
	select {
	case <-q.done:
		if !q.cmd.ProcessState.Success() {
			fmt.Fprint(os.Stderr, q.stderr.String())
			return fmt.Errorf("qemu: %v", q.cmd.ProcessState)
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
