// Package plan computes from a plan document and an inventory of the kernel what has to be done to which SA and policy.
//
// It is pure: no netlink, no files, no clock. The same document and inventory give the same plan, byte for byte.
package plan
