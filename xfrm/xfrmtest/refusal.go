package xfrmtest

import "golang.org/x/sys/unix"

// refusal is how the kernel says no: an errno and the words of the extended ACK.
type refusal struct {
	errno  unix.Errno
	reason string
	attr   int // offset of the attribute at fault within the message, 0 if none is named
}

func refuse(errno unix.Errno, reason string) *refusal { return &refusal{errno: errno, reason: reason} }

func invalid(reason string) *refusal { return refuse(unix.EINVAL, reason) }

// warned marks a request that was done with a word of warning in its ACK.
func warned(reason string) *refusal { return refuse(0, reason) }

// quiet is errno EINTR: done, and no ACK even if one was asked for (a dump that was started).
var quiet = refuse(unix.EINTR, "")

// ack builds NLMSG_ERROR for the request with header hdr: struct nlmsgerr with the request's header alone
// (NETLINK_CAP_ACK), then the extended ACK (NETLINK_EXT_ACK).
func ack(hdr []byte, r *refusal, port uint32) []byte {
	const attrMsg, attrOffs = 1, 2 // NLMSGERR_ATTR_*
	var errno int32
	var tlvs []byte
	if r != nil {
		errno = -int32(r.errno)
		if r.reason != "" {
			tlvs = appendAttr(tlvs, attrMsg, append([]byte(r.reason), 0))
		}
		if r.attr != 0 && errno != 0 {
			tlvs = appendAttr32(tlvs, attrOffs, uint32(r.attr))
		}
	}
	payload := ne.AppendUint32(nil, uint32(errno))
	payload = append(payload, hdr[:sizeofHeader]...)
	flags := uint16(unix.NLM_F_CAPPED)
	if len(tlvs) != 0 {
		flags |= unix.NLM_F_ACK_TLVS
	}
	return appendMessage(nil, unix.NLMSG_ERROR, flags, ne.Uint32(hdr[8:]), port, append(payload, tlvs...))
}
