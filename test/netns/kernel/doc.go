// Package kernel keeps tests of the real kernel from passing on the wrong machine: they run in the lab's virtual machine, on a kernel
// that has XFRM_MSG_MIGRATE_STATE, or they fail and say how to run them.
package kernel
