// Package progress shows on a terminal how far runs are, and never keeps a run waiting for whoever looks on.
package progress
