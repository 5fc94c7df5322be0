// Package conform holds the kernel in memory against the running one. Its tests need the build tag lab.
package conform
