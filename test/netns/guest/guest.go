// Package guest is process 1 inside the lab's virtual machines, and their /sbin/modprobe.
//
// It lives in the lab's own binary rather than in one of its own: the host puts a copy of itself into the initramfs as /init, so the
// two halves of the protocol can never be of different versions and nothing has to be built when a test starts.
package guest

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Path is where the host puts its binary in the initramfs; modprobePath is where the kernel looks for modprobe (CONFIG_MODPROBE_PATH).
const (
	Path         = "/init"
	ModprobePath = "/sbin/modprobe"
)

// Main takes over and does not return if this process is a guest's init or its modprobe; otherwise it does nothing.
func Main() {
	switch {
	case os.Getpid() == 1 && os.Args[0] == Path:
		err := run()
		// Console text is what the host shows when no result has come.
		fmt.Println("lab guest:", err)
		powerOff()
	case filepath.Clean(os.Args[0]) == ModprobePath:
		if err := modprobe(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "modprobe:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

func powerOff() {
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	// Returning from process 1 would be a panic, which looks like another fault.
	select {}
}
