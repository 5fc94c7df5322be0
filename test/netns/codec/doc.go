// Package codec tests package xfrm against the running kernel, with ip of iproute2 and github.com/vishvananda/netlink as
// witnesses of what the kernel said.
package codec
