// Package scenario tests the program as its operators use it, on gateways with a real kernel and a real IKE daemon, and judges by what
// is seen from outside. Its tests need the build tag lab and the lab's Debian system.
package scenario
