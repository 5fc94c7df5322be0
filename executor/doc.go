// Package executor runs a computed plan: for each group a transaction under block policies, groups side by side,
// waves one after the other.
package executor
