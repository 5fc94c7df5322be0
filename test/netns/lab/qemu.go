package lab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/xfrm-plan/xfrm-plan/test/netns/guest"
	"github.com/xfrm-plan/xfrm-plan/test/netns/lab/wire"
)

// QEMU gets its files as descriptors, in this order after stderr, and opens them by these names.
const (
	initrdFD  = "/proc/self/fd/3"
	consoleFD = "/proc/self/fd/4"
	portFD    = "/proc/self/fd/5"
)

// kernelArgs are the guest kernel's parameters.
var kernelArgs = []string{
	"console=ttyS0", "quiet",
	"rdinit=" + guest.Path,
	// An oops ends the machine like a panic, and with -no-reboot either one ends QEMU.
	"panic=-1", "oops=panic",
	// Nothing secret is in there, and mitigations cost an emulated processor dearly.
	"mitigations=off",
	// Random numbers at once: the emulated processor has RDRAND, fed by the host.
	"random.trust_cpu=on",
	// Self-tests that boot faster without: timers and clocks of an emulator jitter when the host is busy.
	"no_timer_check", "tsc=reliable",
}

// labels makes SELinux the security module, which security contexts of SAs and policies need. No policy of SELinux's is ever loaded,
// so that every context is taken and everything is allowed.
var labels = []string{"security=selinux", "selinux=1"}

// cmdline is the kernel's command line. A machine that measures goes without what it doesn't need.
func cmdline(spec Spec) []string {
	if spec.Counted {
		return kernelArgs
	}
	return append(slices.Clone(kernelArgs), labels...)
}

// qemuArgs is the command line for a machine with images im.
func qemuArgs(im Images, spec Spec, shell bool) []string {
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-machine", "q35,usb=off,smbus=off,sata=off", "-accel", "tcg,thread=" + threads(spec), "-cpu", "max",
		"-smp", strconv.Itoa(max(spec.CPUs, 1)),
		"-m", strconv.Itoa(spec.memory()),
		"-kernel", im.file(kernelFile),
		"-initrd", initrdFD,
		"-append", strings.Join(cmdline(spec), " "),
	}
	if spec.Counted {
		args = append(args, "-icount", "shift=0") // 2^0 ns
	}
	if spec.System {
		args = append(args,
			// Writes go to a temporary file that QEMU has already unlinked, and need not survive anything.
			"-drive", "if=none,id=system,format=raw,snapshot=on,cache=unsafe,file="+strings.ReplaceAll(im.file(systemFile), ",", ",,"),
			"-device", "virtio-blk-pci,drive=system")
	}
	if spec.Disk.Host != "" {
		args = append(args,
			// A disk with a write cache, so that the guest has to flush what is to last.
			"-drive", "if=none,id=disk,format=raw,cache=writeback,file="+strings.ReplaceAll(spec.Disk.Host, ",", ",,"),
			"-device", "virtio-blk-pci,drive=disk")
	}
	if shell {
		return append(args, "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console")
	}
	return append(args,
		"-chardev", "file,id=console,path="+consoleFD, "-serial", "chardev:console",
		"-device", "virtio-serial-pci,max_ports=2",
		"-chardev", "file,id=lab,path="+portFD, "-device", "virtserialport,chardev=lab,name="+wire.Port)
}

// threads is how QEMU deals out the emulated processors to threads of the host.
func threads(spec Spec) string {
	if spec.Parallel {
		return "multi"
	}
	return "single"
}

// A process is a running QEMU.
type process struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	done   chan struct{} // closed when QEMU is gone
}

// startQEMU starts QEMU so that it cannot outlive this program. With terminal it shares this program's standard input and output;
// otherwise it has none.
func startQEMU(args []string, terminal bool, files ...*os.File) (*process, error) {
	name, err := find("qemu-system-x86_64")
	if err != nil {
		return nil, fmt.Errorf("%w: run 'lab prepare' once (make lab)", err)
	}
	p := &process{cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.cmd.Stderr = &p.stderr
	p.cmd.ExtraFiles = files
	// A group of its own: an interrupt from the terminal is for the lab, which still has the console's text to show.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: !terminal, Pdeathsig: syscall.SIGKILL}
	if terminal {
		p.cmd.Stdin, p.cmd.Stdout = os.Stdin, os.Stdout
	}
	started := make(chan error)
	go func() {
		// The kernel sends Pdeathsig when the thread that forked ends, so that thread has to stay until QEMU is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
			close(p.done)
		}
	}()
	return p, <-started
}

// stop kills QEMU and waits until it is gone.
func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	<-p.done
}
