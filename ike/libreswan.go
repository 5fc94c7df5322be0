package ike

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// Libreswan is libreswan's pluto, asked by way of its own program, whack, through pluto's control socket. What whack prints is made for people; the
// formats that are read here are those of libreswan 5, and what is not understood is an error, never left out.
type Libreswan struct {
	socket string
	whack  string // the program
	loaded recent[map[string]*plutoConn]
}

// whackPaths are where distributions put whack. It isn't in PATH: `ipsec whack` finds it there, too.
var whackPaths = []string{"/usr/libexec/ipsec/whack", "/usr/lib/ipsec/whack", "/usr/local/libexec/ipsec/whack"}

// NewLibreswan returns the driver for the pluto that listens at the control socket, a path.
func NewLibreswan(socket string) *Libreswan {
	l := &Libreswan{socket: socket, whack: whackPaths[0]}
	for _, path := range whackPaths {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			l.whack = path
			break
		}
	}
	return l
}

// String names the daemon.
func (l *Libreswan) String() string { return "libreswan at " + l.socket }

// mostOutput is what whack may say to one question: a Child SA takes some 500 bytes, a connection 2,500.
const mostOutput = 256 << 20

// ask runs whack and returns its standard output. It does not go through a shell, and takes nothing from standard input.
func (l *Libreswan) ask(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, l.whack, append([]string{"--ctlsocket", l.socket}, args...)...)
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = reapDelay
	out, said := &limited{most: mostOutput}, &tail{most: 4096}
	cmd.Stdout, cmd.Stderr = out, said
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("it did not answer in time: %w", ctx.Err())
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("%w (there is no %s)", ErrAbsent, l.whack)
	case err != nil && saysAbsent(string(said.b)):
		err = ErrAbsent
	case err != nil:
		// What whack has to say about what it was asked goes to standard output.
		if len(said.b) == 0 {
			_, _ = said.Write(out.b.Bytes())
		}
		err = fmt.Errorf("%w%s", err, said.lastLine())
	case out.full:
		err = fmt.Errorf("it has more than %d bytes to tell: %w", mostOutput, errors.ErrUnsupported)
	}
	if err != nil {
		return "", fmt.Errorf("%v, asked to %s: %w", l, strings.TrimPrefix(strings.Join(args, " "), "--"), err)
	}
	return out.b.String(), nil
}

// saysAbsent knows whack's two ways to say that nobody listens at the socket.
func saysAbsent(stderr string) bool {
	return strings.Contains(stderr, "Pluto is not running") || strings.Contains(stderr, "is Pluto running?")
}

// limited keeps what is written to it up to a limit.
type limited struct {
	most int
	full bool
	b    bytes.Buffer
}

func (l *limited) Write(p []byte) (int, error) {
	if l.b.Len()+len(p) > l.most {
		l.full = true
		return len(p), nil
	}
	return l.b.Write(p)
}
