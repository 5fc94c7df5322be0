// Package inventory holds lab tests that record what real set-ups look like in the kernel, for package plan's goldens,
// and that apply computed plans to such set-ups.
package inventory
