package xfrm

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// Family is an address family: AF_INET or AF_INET6, or 0 (AF_UNSPEC) in selectors that match every family.
type Family uint16

// The families that XFRM knows.
const (
	FamilyUnspec Family = unix.AF_UNSPEC
	FamilyIPv4   Family = unix.AF_INET
	FamilyIPv6   Family = unix.AF_INET6
)

// String gives IPv4, IPv6 or any.
func (f Family) String() string {
	switch f {
	case FamilyIPv4:
		return "IPv4"
	case FamilyIPv6:
		return "IPv6"
	}
	return "any"
}

// Bits is the length of an address of the family, and so of a single host's prefix.
func (f Family) Bits() int {
	switch f {
	case FamilyIPv4:
		return 32
	case FamilyIPv6:
		return 128
	}
	return 0
}

// Address is xfrm_address_t: 16 bytes in network order, an IPv4 address in the first four. Its family stands elsewhere
// in the struct that it is part of.
type Address [16]byte

// AddressFrom returns a's wire form. An invalid a gives the zero Address.
func AddressFrom(a netip.Addr) Address {
	var x Address
	switch {
	case a.Is4():
		b := a.As4()
		copy(x[:], b[:])
	case a.Is6():
		x = a.As16()
	}
	return x
}

// IP returns the address as one of family f, or the invalid netip.Addr if f is neither IPv4 nor IPv6.
func (a Address) IP(f Family) netip.Addr {
	switch f {
	case FamilyIPv4:
		return netip.AddrFrom4([4]byte(a[:4]))
	case FamilyIPv6:
		return netip.AddrFrom16(a)
	}
	return netip.Addr{}
}

// IsAny reports whether the address is the wildcard, all zeros.
func (a Address) IsAny() bool { return a == Address{} }

// FamilyOf returns the family of a.
func FamilyOf(a netip.Addr) Family {
	switch {
	case a.Is4():
		return FamilyIPv4
	case a.Is6():
		return FamilyIPv6
	}
	return FamilyUnspec
}
