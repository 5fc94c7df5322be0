//go:build lab

package bench

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// rawDump reads SAD and SPD and does nothing with them: what the kernel takes to tell them and the system calls to hear it, with a
// buffer as large as the program's. Nobody who reads these tables is faster. It returns how many of each there are.
func rawDump() (sas, policies int, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_XFRM)
	if err != nil {
		return 0, 0, err
	}
	defer unix.Close(fd)
	buf := make([]byte, 64<<10)
	if sas, err = dumpRaw(fd, xfrm.MsgGetSA, buf); err != nil {
		return 0, 0, fmt.Errorf("dump the SAD: %w", err)
	}
	if policies, err = dumpRaw(fd, xfrm.MsgGetPolicy, buf); err != nil {
		return 0, 0, fmt.Errorf("dump the SPD: %w", err)
	}
	return sas, policies, nil
}

func dumpRaw(fd int, typ uint16, buf []byte) (n int, err error) {
	ne := binary.NativeEndian
	req := make([]byte, unix.NLMSG_HDRLEN)
	ne.PutUint32(req, unix.NLMSG_HDRLEN)
	ne.PutUint16(req[4:], typ)
	ne.PutUint16(req[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	if err := unix.Sendto(fd, req, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, err
	}
	for {
		size, _, err := unix.Recvfrom(fd, buf, 0)
		if err != nil {
			return n, err
		}
		for b := buf[:size]; len(b) >= unix.NLMSG_HDRLEN; n++ {
			switch ne.Uint16(b[4:]) {
			case unix.NLMSG_DONE:
				return n, nil
			case unix.NLMSG_ERROR:
				return n, fmt.Errorf("the kernel answered with an error")
			}
			b = b[min(len(b), int(ne.Uint32(b)+3)&^3):]
		}
	}
}
