// Package conformance says what XFRM netlink does, in tests that run on the kernel in memory and on a running one alike.
package conformance
