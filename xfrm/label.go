package xfrm

import "strings"

// A label is struct xfrm_user_sec_ctx and the security context behind it, as the kernel has stored it. SELinux stores one
// NUL behind the context that it was sent, whether that ended with one or not (selinux_xfrm_alloc_user): a label that goes
// back as it was read would come out longer each time.

// sizeofSecCtx is the size of struct xfrm_user_sec_ctx without the context.
const sizeofSecCtx = 8

// toStore returns what to send for the kernel to store the label.
func toStore(label string) string {
	context, ended := strings.CutSuffix(label, "\x00")
	if !ended || len(context) < sizeofSecCtx {
		return label
	}
	b := []byte(context)
	ne.PutUint16(b, ne.Uint16(b)-1)         // len
	ne.PutUint16(b[6:], ne.Uint16(b[6:])-1) // ctx_len
	return string(b)
}
