package guest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/test/netns/lab/wire"
)

// quitGrace is how long a job that was told to quit may take to print its goroutines; the emulator is slow at it.
const quitGrace = 5 * time.Second

// runJob runs the job to its end, ends what it left running, and sends its output and its files.
func runJob(job wire.Job, out *wire.Writer) wire.Result {
	failed := func(err error) wire.Result { return wire.Result{Code: 126, Error: err.Error()} }
	for _, dir := range append([]string{job.Dir}, job.MakeDirs...) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return failed(err)
		}
	}
	before, err := snapshot(job.Return)
	if err != nil {
		return failed(err)
	}
	var copies sync.WaitGroup
	pipe := func(kind wire.Kind) (*os.File, error) {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		copies.Go(func() {
			_, _ = io.Copy(out.Stream(kind), r)
			r.Close()
		})
		return w, nil
	}
	stdout, err := pipe(wire.Stdout)
	if err != nil {
		return failed(err)
	}
	stderr := stdout
	if !job.MergeOutput {
		if stderr, err = pipe(wire.Stderr); err != nil {
			return failed(err)
		}
	}
	pid, err := start(job, nil, stdout, stderr)
	stdout.Close()
	stderr.Close()
	if err != nil {
		copies.Wait()
		return wire.Result{Code: 127, Error: err.Error()}
	}
	status, timedOut := wait(pid, job.Timeout)
	// Whatever the job left behind holds its pipes open and may still write its files.
	_ = unix.Kill(-1, unix.SIGKILL)
	reapAll()
	copies.Wait()
	if err := sendChanges(job.Return, before, out); err != nil {
		return failed(err)
	}
	code := status.ExitStatus()
	if status.Signaled() {
		code = 128 + int(status.Signal())
	}
	return wire.Result{Code: code, TimedOut: timedOut}
}

// start starts the job in a process group of its own. It does not use exec.Cmd.Wait, which would race with reaping orphans.
func start(job wire.Job, stdin, stdout, stderr *os.File) (int, error) {
	name, err := lookPath(job.Args[0], job.Env, job.Dir)
	if err != nil {
		return 0, err
	}
	cmd := exec.Cmd{
		Path: name, Args: job.Args, Dir: job.Dir, Env: job.Env,
		Stdout: stdout, Stderr: stderr,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	if stdin != nil {
		cmd.Stdin = stdin
		// A shell on a terminal needs it as its controlling one, for job control and ^C.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	return cmd.Process.Pid, nil
}

// lookPath is exec.LookPath with the job's PATH instead of init's.
func lookPath(name string, env []string, dir string) (string, error) {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		return name, nil
	}
	for _, kv := range env {
		if list, ok := strings.CutPrefix(kv, "PATH="); ok {
			for _, d := range filepath.SplitList(list) {
				p := filepath.Join(d, name)
				if fi, err := os.Stat(p); err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
					return p, nil
				}
			}
		}
	}
	return "", fmt.Errorf("%s: not found in the guest's PATH", name)
}

// wait reaps children until pid ends. At the timeout it asks for a goroutine dump, then kills.
func wait(pid int, timeout time.Duration) (status unix.WaitStatus, timedOut bool) {
	if timeout > 0 {
		fired := make(chan struct{})
		t := time.AfterFunc(timeout, func() {
			close(fired)
			dumpBlockedTasks()
			_ = unix.Kill(-pid, unix.SIGQUIT)
			time.Sleep(quitGrace)
			_ = unix.Kill(-pid, unix.SIGKILL)
		})
		defer func() {
			if !t.Stop() {
				<-fired
				timedOut = true
			}
		}()
	}
	for {
		var ws unix.WaitStatus
		got, err := unix.Wait4(-1, &ws, 0, nil)
		if err == nil && got == pid {
			return ws, false
		}
		if err == unix.ECHILD {
			return ws, false
		}
	}
}

// reapAll waits for the killed to be gone, with a bound: a task stuck in the kernel must not keep the result back.
func reapAll() {
	for range 200 {
		for {
			pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
			if err == unix.ECHILD {
				return
			}
			if pid <= 0 {
				break
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// dumpBlockedTasks makes the kernel print to the console what uninterruptible tasks wait for.
func dumpBlockedTasks() {
	_ = os.WriteFile("/proc/sysrq-trigger", []byte("w"), 0)
}

// shell runs the job on the serial console until it ends.
func shell(job wire.Job) error {
	tty, err := os.OpenFile("/dev/ttyS0", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	pid, err := start(job, tty, tty, tty)
	if err != nil {
		return err
	}
	wait(pid, 0)
	return nil
}
