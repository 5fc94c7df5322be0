package schema

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// The kinds of scalar that a plan has. A scalar is classified by how it is written, never by what the parser makes of
// it, since the versions of YAML differ there.
const (
	kindText    = "text"
	kindNumber  = "number"
	kindBoolean = "boolean"
	kindNone    = "nothing"
)

var wholeNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// classify says what a scalar is once spelling has found nothing wrong with it.
func classify(n *yaml.Node) string {
	switch {
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return kindText
	case wholeNumber.MatchString(n.Value):
		return kindNumber
	case n.Value == "true", n.Value == "false":
		return kindBoolean
	case n.Value == "", n.Value == "~", strings.EqualFold(n.Value, "null"):
		return kindNone
	}
	return kindText
}

// The ways to write a scalar without quotes that some version of YAML takes for other than text. Sources: YAML 1.1's
// type repository (bool, int, float, null) and YAML 1.2.2, 10.3.2 (core schema).
var (
	otherNumber  = regexp.MustCompile(`^[-+]?(0[0-9_]+|0x[0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+|[0-9][0-9_]*)$`)
	hexNumber    = regexp.MustCompile(`^0[xX][0-9a-fA-F]+$`)
	realNumber   = regexp.MustCompile(`^[-+]?(\.[0-9][0-9_]*|[0-9][0-9_]*\.[0-9_]*|[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+|\.[0-9_]+[eE][-+]?[0-9]+)$`)
	notANumber   = regexp.MustCompile(`^([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$`)
	base60       = regexp.MustCompile(`^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$`)
	otherBoolean = regexp.MustCompile(`^(?i:y|yes|n|no|on|off|true|false)$`)
)

// spelling refuses a plain scalar that could silently be read as something else. It reports whether the scalar is fine.
func (l *loader) spelling(n *yaml.Node, key string) bool {
	v := n.Value
	switch kind := classify(n); {
	case kind == kindNone:
		l.refuse(n, noValue, "no value", "write one, or leave it out")
	case kind == kindBoolean:
		return true
	case kind == kindNumber:
		if _, err := strconv.ParseInt(v, 10, 64); err != nil {
			l.refuse(n, numberTooBig, "a number beyond 64 bits", "write the number that is meant; if it is text, put it in quotes")
			return false
		}
		return true
	case notANumber.MatchString(v):
		l.refuse(n, notFinite, "not a finite number", "write a whole number")
	case hexNumber.MatchString(v):
		hint := "write it in quotes where hex is taken, as for spi and mark: " + strconv.Quote(strings.ToLower(v))
		if d, err := strconv.ParseUint(v[2:], 16, 64); err == nil && key != "spi" {
			hint += ", or in decimal: " + strconv.FormatUint(d, 10)
		}
		if key == "spi" {
			hint = "put it in quotes: " + strconv.Quote(strings.ToLower(v))
		}
		l.refuse(n, numberSpelling, "hex without quotes is a number to some YAML readers and text to others", hint)
	case otherNumber.MatchString(v):
		hint := "write it in decimal without leading zeros, sign or underscores; if it is text, put it in quotes"
		if key == "spi" {
			hint = spiHint
		}
		l.refuse(n, numberSpelling, "YAML readers disagree on this number", hint)
	case realNumber.MatchString(v):
		hint := "write a whole number; if it is text, put it in quotes"
		if key == "spi" {
			hint = spiHint
		}
		l.refuse(n, fraction, "a plan has whole numbers only", hint)
	case base60.MatchString(v):
		hint := "if it is text, put it in quotes: " + strconv.Quote(v) + "; a duration is written like 10m30s"
		if _, err := netip.ParseAddr(v); err == nil {
			hint = "put it in quotes: " + strconv.Quote(v)
		}
		l.refuse(n, sexagesimal, "some YAML readers take this for a number to the base of 60", hint)
	case otherBoolean.MatchString(v):
		hint := "write true or false"
		if b := strings.ToLower(v); b == "true" || b == "false" {
			hint = "write " + b
		}
		l.refuse(n, booleanSpelling, "some YAML readers take this for a boolean", hint+"; if it is text, put it in quotes")
	case n.Tag != "!!str" && n.Tag != "!!timestamp":
		// Whatever else the parser has an opinion on.
		l.refuse(n, numberSpelling, "YAML readers disagree on this value", "put it in quotes: "+strconv.Quote(v))
	default:
		return true
	}
	return false
}
