package kernel

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Env is the variable that the lab sets in its machines, to [Small] or [System].
const Env = "XFRM_PLAN_LAB"

// The values of [Env].
const (
	Small  = "small"  // the test binary alone on the kernel
	System = "system" // a Debian system with ip, swanctl, nft and tcpdump
)

// Main is the TestMain of every package that needs the real kernel; m is its *testing.M.
// It exits with status 1, before any test has run, unless this is the lab and its kernel is new enough.
func Main(m interface{ Run() int }) {
	if err := check(os.Getenv(Env), uname); err != nil {
		fmt.Fprintf(os.Stderr, "%v\nThese tests need the lab's virtual machine. To run them all: make test. To run one package, see test/netns/README.md.\n", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func check(env string, release func() (string, error)) error {
	if env != Small && env != System {
		return fmt.Errorf("%s is %q: not in the lab", Env, env)
	}
	s, err := release()
	if err != nil {
		return fmt.Errorf("uname: %w", err)
	}
	r, err := ParseRelease(s)
	if err != nil {
		return err
	}
	if !r.AtLeast(Required) {
		return fmt.Errorf("kernel %s: older than %v, the first release with XFRM_MSG_MIGRATE_STATE", s, Required)
	}
	return nil
}

func uname() (string, error) {
	var u unix.Utsname
	err := unix.Uname(&u)
	return unix.ByteSliceToString(u.Release[:]), err
}
