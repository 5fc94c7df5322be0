// Package recorded keeps inventories of real kernels as readable JSON, for tests. There are no keys in it, nor anything
// that passes with time.
package recorded
