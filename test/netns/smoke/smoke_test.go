//go:build lab

package smoke

import (
	"encoding/binary"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/test/netns/kernel"
)

func TestMain(m *testing.M) { kernel.Main(m) }

// TestKernelKnowsMigrateState sends a migration of an SA that cannot exist: protocol 0. The kernel that has the message answers ESRCH,
// one that was built without it ENOPROTOOPT, and an older one EINVAL.
func TestKernelKnowsMigrateState(t *testing.T) {
	const (
		xfrmMsgMigrateState = 0x29
		// sizeof(struct xfrm_user_migrate_state) of include/uapi/linux/xfrm.h: 132 bytes and padding to 4.
		size = 132
		// Offsets in it: id.spi, id.family, new_family.
		offSPI, offFamily, offNewFamily = 16, 20, 128
	)
	body := make([]byte, size)
	binary.BigEndian.PutUint32(body[offSPI:], 0x7fffffff)
	binary.NativeEndian.PutUint16(body[offFamily:], unix.AF_INET)
	binary.NativeEndian.PutUint16(body[offNewFamily:], unix.AF_INET)
	if got := xfrm(t, xfrmMsgMigrateState, body); got != unix.ESRCH {
		t.Errorf("XFRM_MSG_MIGRATE_STATE for no SA: %v, want %v", got, unix.ESRCH)
	}
}

// xfrm sends one request to the XFRM netlink family and returns what its acknowledgement says.
func xfrm(t *testing.T, typ uint16, body []byte) unix.Errno {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_XFRM)
	if err != nil {
		t.Fatalf("socket: %v", err)
	}
	defer unix.Close(fd)
	// struct nlmsghdr: length, type, flags, sequence number, port.
	msg := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	msg = binary.NativeEndian.AppendUint16(msg, typ)
	msg = binary.NativeEndian.AppendUint16(msg, unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	msg = binary.NativeEndian.AppendUint64(msg, 1)
	msg = append(msg, body...)
	if err := unix.Sendto(fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		t.Fatalf("send: %v", err)
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	if n < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		t.Fatalf("answer of %d bytes is no acknowledgement: %x", n, answer[:n])
	}
	return unix.Errno(-int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:])))
}

func TestLoopbackIsUp(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if lo.Flags&net.FlagUp == 0 {
		t.Errorf("lo is %v", lo.Flags)
	}
}

// TestClockIsTheHosts compares with the time at which the test binary was linked or shipped: a machine without a clock starts in 1970.
func TestClockIsTheHosts(t *testing.T) {
	if now := time.Now(); now.Year() < 2026 {
		t.Errorf("the clock says %v", now)
	}
}

func TestRandomNumbersDoNotBlock(t *testing.T) {
	buf := make([]byte, 32)
	if n, err := unix.Getrandom(buf, unix.GRND_NONBLOCK); n != len(buf) || err != nil {
		t.Errorf("getrandom: %d, %v", n, err)
	}
}

func TestRunsInThePackageDirectory(t *testing.T) {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(dir) != "smoke" {
		t.Errorf("working directory %s", dir)
	}
	if b, err := os.ReadFile("testdata/shipped.txt"); err != nil || string(b) != "testdata is there\n" {
		t.Errorf("testdata/shipped.txt: %q, %v", b, err)
	}
}

// TestKernelLoadsModulesOnDemand asks for something that neither machine has loaded beforehand.
func TestKernelLoadsModulesOnDemand(t *testing.T) {
	if _, err := os.Stat("/sys/module/af_key"); err == nil {
		t.Error("af_key is loaded already: the test needs another module")
	}
	fd, err := unix.Socket(unix.AF_KEY, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 2 /* PF_KEY_V2 */)
	if err != nil {
		t.Fatalf("socket(AF_KEY): %v", err)
	}
	unix.Close(fd)
}

func TestSystemHasTheReferenceTools(t *testing.T) {
	if os.Getenv(kernel.Env) != kernel.System {
		t.Skip("the small machine has no programs; run with -system")
	}
	for _, args := range [][]string{
		{"ip", "-V"}, {"swanctl", "--help"}, {"nft", "--version"}, {"tcpdump", "--version"},
		{"/usr/libexec/ipsec/pluto", "--version"}, {"iperf3", "--version"}, {"ping", "-c1", "127.0.0.1"}, {"sysctl", "net.core.xfrm_acq_expires"},
	} {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
	}
}
