package schema

import (
	"bytes"
	"fmt"
)

// The parser needs about 200 bytes for each value, however short its text. What is counted below is hardly ever less
// than the number of values; an ordinary entry of renumber counts as 5 in 33 bytes or more. So a plan of ordinary
// density passes at any size up to the last bound, which 200,000 entries stay below, and a file of two-byte values does
// not.
const (
	valuesAlways  = 60_000
	valuesPer16   = 3 // in 16 bytes
	valuesAtMost  = 1_250_000
	commentWeight = 3 // the parser keeps several copies of a comment
)

// checkDensity bounds the memory that parsing takes, before any is taken.
func (l *loader) checkDensity(data []byte) bool {
	values := countValues(data)
	if values <= min(max(valuesAlways, len(data)/16*valuesPer16), valuesAtMost) {
		return true
	}
	l.add(0, 0, tooManyValues, fmt.Sprintf("about %d in %d bytes", values, len(data)),
		"more values than a plan can have", "split it into several plans, or say more with one entry: whole prefixes, or an ifId")
	return false
}

// countValues estimates the number of values from the characters that separate them, taken for what they are most
// often: it does not know what is in quotes.
func countValues(data []byte) int {
	values := 0
	var last byte // the last character that is not a space
	pair := false // there is a colon since the last comma or bracket
	dash := false // an entry of a list has just begun: what is in a bracket there is the entry itself
	for i, c := range data {
		switch c {
		case ',':
			values++
			if !pair && last != '}' && last != ']' {
				values++ // in {a, b} each stands for a key and a value
			}
			pair = false
		case '[', '{':
			if !dash {
				values++
			}
			pair = false
		case '\n', '&', '*':
			values++
		case '#':
			values += commentWeight
		case ':', '-', '?':
			if separates(data, i) {
				values++
				pair = pair || c == ':'
			}
		}
		if c != ' ' && c != '\n' {
			last = c
			dash = c == '-' && separates(data, i)
		}
	}
	return values
}

// separates says whether the indicator at i stands for itself: before a space or bracket, or after a quote.
func separates(data []byte, i int) bool {
	if i+1 == len(data) || bytes.IndexByte([]byte(" \t\r\n,[]{}\"'"), data[i+1]) >= 0 {
		return true
	}
	return i > 0 && (data[i-1] == '"' || data[i-1] == '\'')
}
