// Package examples runs every plan of examples/plans in the situation that it is for, on real SAs and with traffic, and judges by what
// `ip xfrm`, ping and captures say. Its tests need the build tag lab and the lab's Debian system, but for those that see to it that no
// plan is forgotten.
package examples
