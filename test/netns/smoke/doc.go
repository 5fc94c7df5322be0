// Package smoke tests that the lab's machines are what the other kernel tests take them for. Its tests need the build tag lab.
package smoke
