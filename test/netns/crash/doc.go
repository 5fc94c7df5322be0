// Package crash kills the program in the middle of its work on the real kernel and looks at what `xfrm-plan recover` makes of it. Its
// tests need the build tag lab and the lab's Debian system.
package crash
