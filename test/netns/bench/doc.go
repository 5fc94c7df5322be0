// Package bench measures the program's parts on the real kernel, and keeps the figures in docs/benchmarks.md. Its benchmarks need the
// build tag lab; `make bench` runs them.
package bench
