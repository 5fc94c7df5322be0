package lab

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// keyring is what the packages of the images are verified with.
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// hostPackages are what the lab uses on the host, each with a path or command that shows that it is there.
var hostPackages = []struct{ name, shows string }{
	{"qemu-system-x86", "qemu-system-x86_64"},
	{"mmdebstrap", "mmdebstrap"},
	{"e2fsprogs", "mke2fs"},
	{"xz-utils", "xz"},
	{"zstd", "zstd"},
	{"debian-archive-keyring", keyring},
}

// installMissing installs the host packages that are not there, and does nothing, not even ask apt, when all are.
func installMissing(ctx context.Context, log io.Writer) error {
	var missing []string
	for _, p := range hostPackages {
		if _, err := os.Stat(p.shows); err == nil {
			continue
		}
		if _, err := find(p.shows); err != nil {
			missing = append(missing, p.name)
		}
	}
	if missing == nil {
		return nil
	}
	if _, err := find("apt-get"); err != nil {
		return fmt.Errorf("the lab needs %s, and there is no apt-get here: install the like by hand", strings.Join(missing, ", "))
	}
	fmt.Fprintf(log, "lab: installing %s\n", strings.Join(missing, ", "))
	install := append([]string{"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", "--no-install-recommends"}, missing...)
	// The lists of a fresh machine may be missing or name versions that are gone; refreshing them costs less than telling the two apart.
	for _, args := range [][]string{{"apt-get", "update"}, install} {
		if err := asRoot(ctx, log, args...); err != nil {
			return fmt.Errorf("install %s: %w", strings.Join(missing, ", "), err)
		}
	}
	return nil
}

// find looks a command up in PATH and in the folders for administrators, which a user's PATH leaves out on Debian.
func find(command string) (string, error) {
	if p, err := exec.LookPath(command); err == nil {
		return p, nil
	}
	for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
		if fi, err := os.Stat(dir + command); err == nil && fi.Mode()&0o111 != 0 {
			return dir + command, nil
		}
	}
	return "", fmt.Errorf("%s: not found", command)
}

// asRoot runs a command, through sudo if need be, with all its output in log.
func asRoot(ctx context.Context, log io.Writer, args ...string) error {
	if os.Geteuid() != 0 {
		args = append([]string{"sudo"}, args...)
	}
	return command(ctx, log, args...)
}

// command runs a command with all its output in log. When ctx ends, the command and all that it started are interrupted, so that
// mmdebstrap can clean up, and killed if they do not go.
func command(ctx context.Context, log io.Writer, args ...string) error {
	name, err := find(args[0])
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, name, args[1:]...)
	if os.Geteuid() == 0 {
		// mmdebstrap alone would leave its workers behind. Not for sudo: in a group of its own it could not ask for a password on the
		// terminal, and it passes signals on.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	}
	signal := func(sig syscall.Signal) error {
		target := cmd.Process.Pid
		if cmd.SysProcAttr != nil {
			target = -target
		}
		return syscall.Kill(target, sig)
	}
	cmd.Cancel = func() error { return signal(syscall.SIGINT) }
	cmd.WaitDelay = stopGrace
	defer func() {
		if ctx.Err() != nil && cmd.Process != nil && cmd.SysProcAttr != nil {
			_ = signal(syscall.SIGKILL)
		}
	}()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return nil
}
