//go:build lab

package scenario

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// A container has systemd as its process 1, in namespaces of its own for processes and mounts. Files and network namespaces are the
// machine's; /run is not, so that nobody outside takes the machine for one that systemd has booted.
type container struct{ cmd *exec.Cmd }

// units are the container's only ones: what a transient unit wants to come after, and systemd's journal as Debian has it. All of the
// system's would be half a minute of a boot.
var units = map[string]string{
	"container.target": "[Unit]\nDefaultDependencies=no\nRequires=systemd-journald.service\n",
	"sysinit.target":   "[Unit]\nDefaultDependencies=no\n",
	"basic.target":     "[Unit]\nDefaultDependencies=no\n",
	"shutdown.target":  "[Unit]\nDefaultDependencies=no\n",
}

var systemUnits = []string{"systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket"}

// becomeSystemd is what the container's first process does before it is systemd. Network namespaces by name come along as they are.
const becomeSystemd = `set -e
mount --make-rprivate /
mount -t proc proc /proc
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --rbind /run/netns "$1/netns"
mount -t tmpfs run /run
mkdir /run/netns
mount --rbind "$1/netns" /run/netns
exec env -i PATH="$PATH" container=lab SYSTEMD_UNIT_PATH="/run/systemd/transient:$1/units" /usr/lib/systemd/systemd --system --unit=container.target`

// contain boots a container.
func contain(t *testing.T) *container {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"netns", "units"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range units {
		if err := os.WriteFile(filepath.Join(dir, "units", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range systemUnits {
		if err := os.Symlink("/usr/lib/systemd/system/"+name, filepath.Join(dir, "units", name)); err != nil {
			t.Fatal(err)
		}
	}
	console, err := os.Create(filepath.Join(dir, "console"))
	if err != nil {
		t.Fatal(err)
	}
	defer console.Close()
	c := &container{exec.Command("sh", "-c", becomeSystemd, "sh", dir)}
	c.cmd.Stdout, c.cmd.Stderr = console, console
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // all that is in it ends with its process 1
		c.cmd.Process.Kill()
		c.cmd.Wait()
	})
	said := ""
	if err := topo.Until(30*time.Second, func() (bool, error) {
		if _, err := os.Stat(c.path("/run/systemd/private")); err != nil {
			return false, nil
		}
		said, _ = c.run("systemctl", "is-system-running", "--wait")
		return said == "running", nil
	}); err != nil {
		text, _ := os.ReadFile(console.Name())
		t.Fatalf("systemd is %q: %v\n%s", said, err, text)
	}
	return c
}

// path is one of the container's files, seen from outside.
func (c *container) path(in string) string {
	return filepath.Join("/proc", strconv.Itoa(c.cmd.Process.Pid), "root", in)
}

// command is a command in the container, started by a process that is there and in none of its units.
func (c *container) command(args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--target", strconv.Itoa(c.cmd.Process.Pid), "--pid", "--mount", "--"}, args...)...)
}

func (c *container) run(args ...string) (string, error) {
	out, err := c.command(args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// must runs a command, which has to succeed.
func (c *container) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.run(args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// show is what `systemctl show` says of a unit, which need not be there.
func (c *container) show(t *testing.T, unit string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for line := range strings.Lines(c.must(t, "systemctl", "show", unit)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		all[name] = value
	}
	return all
}

// story is what the journal has of a unit, by systemd and by the unit itself.
func (c *container) story(unit string) string {
	text, _ := c.run("journalctl", "--no-pager", "--output=cat", "--unit="+unit)
	return text
}

// session is a command in a scope, as what is started in an ssh session.
func (c *container) session(scope string, args ...string) *exec.Cmd {
	return c.command(append([]string{"systemd-run", "--quiet", "--scope", "--unit=" + scope, "--"}, args...)...)
}
