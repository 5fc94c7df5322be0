package xfrm

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Error is the kernel's refusal of a request.
type Error struct {
	Op     string // the message's name, such as "MIGRATE_STATE"
	Errno  unix.Errno
	Reason string // the extended ACK's text, empty if the kernel gave none
}

// Error formats as "MIGRATE_STATE: file exists: New SA tuple already occupied".
func (e *Error) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("%s: %v", e.Op, e.Errno)
	}
	return fmt.Sprintf("%s: %v: %s", e.Op, e.Errno, e.Reason)
}

// Unwrap gives the errno, so that errors.Is(err, unix.ESRCH) holds.
func (e *Error) Unwrap() error { return e.Errno }

var (
	// ErrOutcomeUnknown means that a request was sent and its answer was lost: the kernel may or may not have done it.
	// Read back before doing anything else.
	ErrOutcomeUnknown = errors.New("the kernel's answer was lost")

	// ErrNotSent means that the kernel never saw the request.
	ErrNotSent = errors.New("not sent")

	// ErrOverrun means that notifications were lost: what is known of the SAD and SPD is stale.
	ErrOverrun = errors.New("notifications were lost")

	// ErrNotSupported means that the kernel does not have XFRM_MSG_MIGRATE_STATE.
	ErrNotSupported = errors.New("this kernel does not have XFRM_MSG_MIGRATE_STATE, which Linux has since 7.2 with CONFIG_XFRM_MIGRATE=y")

	// ErrNoXFRM means that the kernel has no XFRM netlink at all.
	ErrNoXFRM = errors.New("this kernel has no XFRM netlink (CONFIG_XFRM_USER): `modprobe xfrm_user` may help")

	// ErrNotPermitted means that the process lacks CAP_NET_ADMIN in the user namespace that owns the network namespace.
	ErrNotPermitted = errors.New("XFRM needs CAP_NET_ADMIN: run as root or grant the capability")
)

var msgNames = map[uint16]string{
	MsgNewSA: "NEWSA", MsgDelSA: "DELSA", MsgGetSA: "GETSA",
	MsgNewPolicy: "NEWPOLICY", MsgDelPolicy: "DELPOLICY", MsgGetPolicy: "GETPOLICY", MsgUpdPolicy: "UPDPOLICY",
	MsgUpdSA: "UPDSA", MsgAllocSPI: "ALLOCSPI", MsgFlushSA: "FLUSHSA", MsgFlushPolicy: "FLUSHPOLICY",
	MsgGetAE: "GETAE", MsgMigrate: "MIGRATE", MsgGetSADInfo: "GETSADINFO", MsgGetSPDInfo: "GETSPDINFO",
	MsgNewSPDInfo: "NEWSPDINFO", MsgMigrateState: "MIGRATE_STATE",
}

func msgName(typ uint16) string {
	if n, ok := msgNames[typ]; ok {
		return n
	}
	return fmt.Sprintf("message %#x", typ)
}
