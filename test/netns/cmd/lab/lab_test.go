//go:build labhost

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// command is the lab with this test binary as payload.
func command(t *testing.T, payload string, flags ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"exec", "-env", payloadEnv + "=" + payload}, flags...)
	// A lab that does not end must not take the whole run's time with it.
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, labBinary, append(args, self)...)
	cmd.Dir = t.TempDir()
	return cmd
}

func outcome(t *testing.T, cmd *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

func TestExitCodeAndOutputPassThrough(t *testing.T) {
	for _, want := range []int{0, 1, 3} {
		t.Run(fmt.Sprint(want), func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := outcome(t, command(t, fmt.Sprintf("exit:%d", want)))
			if code != want || stdout != "out\n" || stderr != "err\n" {
				t.Errorf("exit code %d, stdout %q, stderr %q; want %d, out, err", code, stdout, stderr, want)
			}
		})
	}
}

func TestPanicShowsTheConsole(t *testing.T) {
	t.Parallel()
	_, stderr, code := outcome(t, command(t, "panic"))
	if code != exitLab || !strings.Contains(stderr, "Kernel panic - not syncing: sysrq triggered crash") {
		t.Errorf("exit code %d, want %d and the panic's text; stderr:\n%s", code, exitLab, stderr)
	}
	if strings.Contains(stderr, "trying once more") {
		t.Errorf("a machine whose job had started was tried again:\n%s", stderr)
	}
}

func TestTimeoutShowsTheConsole(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := outcome(t, command(t, "sleep", "-timeout", "2s"))
	if code != exitLab || !strings.Contains(stderr, "payload sleeps") || !strings.Contains(stderr, "still running after 2s") {
		t.Errorf("exit code %d, want %d, the console's text and the reason; stderr:\n%s", code, exitLab, stderr)
	}
	// Both outputs, for the Go runtime of the payload says where it was on its standard error.
	if !strings.Contains(stdout+stderr, "SIGQUIT: quit") {
		t.Errorf("no goroutine dump from the payload:\n%s%s", stdout, stderr)
	}
}

func TestSignalLeavesNoMachine(t *testing.T) {
	for _, tt := range []struct {
		sig  syscall.Signal
		code int
	}{
		{syscall.SIGINT, 130}, {syscall.SIGTERM, 143}, {syscall.SIGKILL, -1},
	} {
		t.Run(tt.sig.String(), func(t *testing.T) {
			t.Parallel()
			cmd := command(t, "sleep")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			// That the line arrives while the payload still runs shows that output is not held back.
			line, err := bufio.NewReader(stdout).ReadString('\n')
			if line != "asleep\n" {
				cmd.Wait()
				t.Fatalf("first line %q, %v; stderr:\n%s", line, err, stderr.String())
			}
			qemu := child(t, cmd.Process.Pid)
			start := time.Now()
			cmd.Process.Signal(tt.sig)
			io.Copy(io.Discard, stdout)
			cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != tt.code {
				t.Errorf("exit code %d, want %d; stderr:\n%s", code, tt.code, stderr.String())
			}
			if tt.sig != syscall.SIGKILL && !strings.Contains(stderr.String(), "payload sleeps") {
				t.Errorf("the console's text is missing; stderr:\n%s", stderr.String())
			}
			for alive(qemu) {
				if time.Since(start) > 5*time.Second {
					t.Fatalf("QEMU, process %d, still runs", qemu)
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
}

// child returns the one child of a process.
func child(t *testing.T, parent int) int {
	t.Helper()
	var pids []int
	// A child is listed with the thread that started it.
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	for _, list := range lists {
		b, _ := os.ReadFile(list)
		for f := range strings.FieldsSeq(string(b)) {
			var pid int
			fmt.Sscan(f, &pid)
			pids = append(pids, pid)
		}
	}
	if len(pids) != 1 {
		t.Fatalf("children of the lab: %v, want QEMU alone", pids)
	}
	return pids[0]
}

// alive is false for a zombie, too: an orphan's is its new parent's to reap.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(state, "Z")
}

func TestChangedTestdataComesBack(t *testing.T) {
	t.Parallel()
	cmd := command(t, "files")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(cmd.Dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(cmd.Dir, "testdata"), 0o755); err != nil {
		t.Fatal(err)
	}
	write("testdata/golden.txt", "old")
	if _, stderr, code := outcome(t, cmd); code != 0 {
		t.Fatalf("exit code %d, stderr:\n%s", code, stderr)
	}
	for name, want := range map[string]string{"testdata/new.txt": "new", "testdata/golden.txt": "changed"} {
		if got, err := os.ReadFile(filepath.Join(cmd.Dir, name)); string(got) != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(cmd.Dir, "elsewhere.txt")); !os.IsNotExist(err) {
		t.Errorf("a file outside of testdata came back (%v)", err)
	}
}

// TestBootIsTriedOnceMore puts a QEMU in the way that dies the first time, as the emulator now and then does.
func TestBootIsTriedOnceMore(t *testing.T) {
	t.Parallel()
	real, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\n[ -e %[1]s/tried ] && exec %[2]s \"$@\"\n: >%[1]s/tried\necho it died >&2\nexit 1\n", dir, real)
	if err := os.WriteFile(filepath.Join(dir, "qemu-system-x86_64"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, "exit:3")
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	_, stderr, code := outcome(t, cmd)
	if code != 3 || !strings.Contains(stderr, "trying once more") || !strings.Contains(stderr, "it died") {
		t.Errorf("exit code %d, want 3 and a line about the second attempt; stderr:\n%s", code, stderr)
	}
}

func TestUnpreparedSaysWhatToDo(t *testing.T) {
	t.Parallel()
	cmd := command(t, "exit:0")
	cmd.Env = append(os.Environ(), "XFRM_PLAN_LAB_CACHE="+t.TempDir())
	_, stderr, code := outcome(t, cmd)
	if code != exitLab || !strings.Contains(stderr, "lab prepare") {
		t.Errorf("exit code %d, want %d and a hint; stderr:\n%s", code, exitLab, stderr)
	}
}
