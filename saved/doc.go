// Package saved keeps a computed plan in a file: the plan file itself, what was reviewed, and a fingerprint of the SAs
// and policies that it rests on.
package saved
