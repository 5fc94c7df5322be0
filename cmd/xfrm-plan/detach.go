package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// watchdogStart is how long a watchdog may take to come to its post: it opens two files and a socket.
const watchdogStart = 10 * time.Second

// detach starts the program once more where nothing of ours can end it, and waits until it is watching. It is in our
// network namespace. Where systemd runs it is a unit, because with KillUserProcesses= the end of an ssh session takes
// every process of the session along, whatever it has detached itself from.
func detach(unit string, args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if underSystemd() {
		return startUnit(unit, append([]string{self}, args...))
	}
	return startSession(self, args)
}

// startSession starts a watchdog in a session of its own, which neither the terminal's hang-up nor ours reaches.
func startSession(self string, args []string) error {
	cmd := exec.Command(self, args...)
	cmd.Dir = "/" // no mount is kept busy
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var said strings.Builder
	cmd.Stderr = nil // what it has to say stands in the journal and the report
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the watchdog: %w", err)
	}
	ready := make(chan error, 1)
	go func() {
		line, err := bufio.NewReader(io.TeeReader(out, &said)).ReadString('\n')
		if err == nil && strings.TrimSpace(line) != watching {
			err = fmt.Errorf("it said %q", line)
		}
		ready <- err
	}()
	select {
	case err = <-ready:
	case <-time.After(watchdogStart):
		err = errors.New("it did not come to its post in time")
	}
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return fmt.Errorf("start the watchdog: %w", err)
	}
	return cmd.Process.Release()
}

// announceTime is how long a terminal that takes nothing may keep us: the lock is held meanwhile.
const announceTime = 5 * time.Second

// announce tells everybody who is logged in, and the system's journal where a unit's standard error goes there. That
// nobody can be told is no reason to do anything else.
func announce(text string) {
	fmt.Fprintln(os.Stderr, text)
	ctx, cancel := context.WithTimeout(context.Background(), announceTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "wall", text)
	cmd.WaitDelay = time.Second
	_ = cmd.Run()
}
