// Package crash kills and stops the program in the middle of its work on the real kernel, while tunnels carry traffic, and looks at what
// was on the wire and at what `xfrm-plan recover` makes of the rest. Its tests need the build tag lab and the lab's Debian system.
package crash
