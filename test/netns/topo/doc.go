// Package topo sets up two IPsec gateways in network namespaces and watches them from outside: with ip, tcpdump, ping and sockets of
// its own, never with the packages that the scenarios test. The scenario tests and the demo share it.
package topo
