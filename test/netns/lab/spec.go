package lab

import (
	"io"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/kernel"
	"github.com/xfrm-plan/xfrm-plan/test/netns/lab/wire"
)

// A Spec is a command to run in a machine of its own.
type Spec struct {
	Args   []string // the command, as the guest finds it
	Dir    string   // its working directory
	Env    []string // added to the guest's environment
	System bool     // run in the Debian system rather than in the small machine
	Ship   []Ship   // files to bring along

	// Disk is a file of the host's with an ext4 file system, mounted in the guest at its path there; the zero Disk is none.
	// It keeps what the guest has written to it, and promises no more than what the guest has synced. Needs System.
	Disk Ship

	MakeDirs []string // directories to make in the guest
	Return   []string // files and directories, the same on both sides: what the command changes there comes back

	MemoryMiB int // 0 is the kind's default
	CPUs      int // 0 is 1

	// Counted makes the machine's clock count instructions, a nanosecond each. What is measured in there is then the
	// same each time, whatever else the host does.
	Counted bool

	// Parallel emulates each processor by a thread of its own, for measurements of what is done side by side. A kernel that
	// patches its own code at boot has been seen to trip over that: then the machine has to be started again.
	Parallel bool

	// Timeout ends the command. 0 is none: the machine is then ended only if its kernel stops.
	Timeout time.Duration

	Stdout, Stderr io.Writer
	MergeOutput    bool // Stdout and Stderr are one file, so only Stdout is written to, in the order of the guest's writes
}

// A Ship is a file or directory of the host and its path in the guest.
type Ship struct{ Host, Guest string }

// Memory is mostly the unpacked initramfs with the test binary in it; charon and pluto need little.
const (
	smallMiB  = 512
	systemMiB = 1024
)

func (s Spec) memory() int {
	switch {
	case s.MemoryMiB > 0:
		return s.MemoryMiB
	case s.System:
		return systemMiB
	}
	return smallMiB
}

func (s Spec) job() wire.Job {
	kind := kernel.Small
	if s.System {
		kind = kernel.System
	}
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "USER=root", "LANG=C.UTF-8", "TMPDIR=/tmp",
		kernel.Env + "=" + kind,
	}
	dir := s.Dir
	if dir == "" {
		dir = "/root"
	}
	return wire.Job{
		Args: s.Args, Dir: dir, Env: append(env, s.Env...),
		System: s.System, MergeOutput: s.MergeOutput, Timeout: s.Timeout, Disk: s.Disk.Guest,
		MakeDirs: append([]string{"/root"}, s.MakeDirs...), Return: s.Return,
	}
}
