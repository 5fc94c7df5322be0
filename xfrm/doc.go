// Package xfrm speaks XFRM netlink, the interface through which Linux keeps its security associations and policies.
//
// The codec mirrors the structs of <linux/xfrm.h> field by field. Keys are never decoded: nothing in this package can
// hold one, and the buffers that a kernel's answer was read into are cleared after use.
package xfrm
