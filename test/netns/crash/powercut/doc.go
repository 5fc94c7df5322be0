// Package powercut takes the power from a gateway in the middle of a run and looks at what its disk still knows. Its tests need the
// build tag labhost: they run on the host and start the lab's machines themselves.
package powercut
