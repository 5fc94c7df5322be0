// Package xfrmtest is a Linux kernel's XFRM in memory, for tests: SAs, policies, notifications, the path of a packet,
// and the faults that a real kernel shows only once in a blue moon.
//
// It speaks netlink bytes through xfrm.Socket, follows net/xfrm of Linux 7.3 function by function, and is held against
// a running kernel by package conformance. It is also the only place of the project that can write a key (see NewSA).
package xfrmtest
