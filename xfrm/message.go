package xfrm

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Request is one netlink message to the kernel: its type (Msg...) and payload.
type Request struct {
	Type    uint16
	Payload []byte
}

// Message is one netlink message from the kernel. Payload aliases the buffer it was read into.
type Message struct {
	Type    uint16
	Flags   uint16
	Seq     uint32
	Payload []byte
}

const sizeofHeader = 16 // struct nlmsghdr

// appendMessage appends r as a netlink message. The kernel fills in the port.
func appendMessage(b []byte, r Request, flags uint16, seq uint32) []byte {
	n := sizeofHeader + len(r.Payload)
	b = ne.AppendUint32(b, uint32(n))
	b = ne.AppendUint16(b, r.Type)
	b = ne.AppendUint16(b, flags)
	b = ne.AppendUint32(b, seq)
	b = ne.AppendUint32(b, 0)
	b = append(b, r.Payload...)
	return append(b, make([]byte, align4(n)-n)...)
}

// EachMessage calls f for each netlink message of a datagram. Payloads alias b.
func EachMessage(b []byte, f func(Message) error) error {
	for len(b) >= sizeofHeader {
		n := int(ne.Uint32(b))
		if n < sizeofHeader || n > len(b) {
			return fmt.Errorf("netlink message says it has %d bytes, %d are left: %w", n, len(b), errShort)
		}
		m := Message{ne.Uint16(b[4:]), ne.Uint16(b[6:]), ne.Uint32(b[8:]), b[sizeofHeader:n]}
		if err := f(m); err != nil {
			return err
		}
		b = b[min(align4(n), len(b)):]
	}
	return nil
}

// Attributes of the extended ACK: enum nlmsgerr_attrs.
const nlmsgErrAttrMsg = 1

// decodeAck decodes the payload of a NLMSG_ERROR message: struct nlmsgerr and, with NLM_F_ACK_TLVS, attributes. errno
// is 0 for a plain ACK. The only error is a message too short to hold errno: damaged attributes cost the reason, not the
// outcome.
func decodeAck(m Message) (errno unix.Errno, reason string, err error) {
	if len(m.Payload) < 4+sizeofHeader {
		return 0, "", shortOf("nlmsgerr", len(m.Payload), 4+sizeofHeader)
	}
	errno = unix.Errno(-int32(ne.Uint32(m.Payload)))
	if m.Flags&unix.NLM_F_ACK_TLVS == 0 {
		return errno, "", nil
	}
	tlvs := m.Payload[4+sizeofHeader:]
	if m.Flags&unix.NLM_F_CAPPED == 0 && errno != 0 {
		n := align4(int(ne.Uint32(m.Payload[4:])) - sizeofHeader) // the request's payload was echoed
		if n < 0 || n > len(tlvs) {
			return errno, "", nil
		}
		tlvs = tlvs[n:]
	}
	_ = eachAttr(tlvs, func(typ uint16, p []byte) error {
		if typ == nlmsgErrAttrMsg {
			reason = unix.ByteSliceToString(p)
		}
		return nil
	})
	return errno, reason, nil
}
