package schema

import (
	"fmt"
	"regexp"
	"strconv"

	"gopkg.in/yaml.v3"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

var (
	hexForm = regexp.MustCompile(`^0x[0-9a-fA-F]{1,8}$`)
	bareHex = regexp.MustCompile(`^[0-9a-fA-F]{1,8}$`)
)

// spiHint is for a text that is no SPI by any stretch.
const spiHint = "write it as ip xfrm state shows it, in quotes: \"0xc6f8e81d\""

// spi is an SPI as hex in quotes. Those up to 255, which IANA reserves, are an SA's as any other to the kernel.
func (l *loader) spi(n *yaml.Node) *xfrm.SPI {
	if !hexForm.MatchString(n.Value) {
		hint := spiHint
		if bareHex.MatchString(n.Value) {
			hint = "write it as hex with 0x, in quotes: " + strconv.Quote("0x"+n.Value)
		}
		l.refuse(n, badSPI, "not an SPI in hex", hint)
		return nil
	}
	v, _ := strconv.ParseUint(n.Value[2:], 16, 32)
	spi := xfrm.SPI(v)
	if spi == 0 {
		l.refuse(n, reservedSPI, "SPI 0 is never an SA's: RFC 4303 keeps it for local use", "write the SPI as ip xfrm state shows it")
		return nil
	}
	return &spi
}

// defaultMask is what ip xfrm takes for a mark without a mask: every bit counts.
const defaultMask = 0xffffffff

var markFields = fields[xfrm.Mark]{
	"value": func(l *loader, n *yaml.Node, m *xfrm.Mark) { m.Value = l.hexOrNumber(n) },
	"mask":  func(l *loader, n *yaml.Node, m *xfrm.Mark) { m.Mask = l.hexOrNumber(n) },
}

// mark is a value and a mask.
func (l *loader) mark(n *yaml.Node) *xfrm.Mark {
	m := xfrm.Mark{Mask: defaultMask}
	decode(l, n, markFields, &m)
	value := l.good(n, "value")
	mask := child(n, "mask")
	if value == nil || mask != nil && l.bad[mask] {
		return nil
	}
	if m.Value&^m.Mask != 0 {
		l.refuse(value, markOutsideMask, fmt.Sprintf("the value %#x has bits outside the mask %#x", m.Value, m.Mask),
			"write a mask with all bits of the value, or a value within the mask")
		return nil
	}
	return &m
}

// hexOrNumber is a number of 32 bits, in decimal or as hex in quotes.
func (l *loader) hexOrNumber(n *yaml.Node) uint32 {
	if classify(n) == kindNumber {
		return uint32(whole(n))
	}
	if !hexForm.MatchString(n.Value) {
		l.refuse(n, badHex, "not a hex number of 32 bits", "write up to 8 hex digits in quotes, such as \"0xff\", or a plain number")
		return 0
	}
	v, _ := strconv.ParseUint(n.Value[2:], 16, 32)
	return uint32(v)
}
