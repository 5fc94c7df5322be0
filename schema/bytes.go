package schema

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// checkBytes refuses what must not reach the parser or a reviewer's eye. It reports whether parsing makes sense: it does
// in spite of hidden characters that the parser takes for text.
func (l *loader) checkBytes(data []byte) bool {
	if utf16(data) {
		l.add(1, 1, notUTF8, "", "the file is UTF-16", "save it as UTF-8 without a byte order mark")
		return false
	}
	line, column, text := 1, 1, true
	for i := 0; i < len(data) && !l.full(); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			l.add(line, column, notUTF8, fmt.Sprintf("the byte 0x%02x", data[i]), "the file is not UTF-8",
				"save it as UTF-8")
			text = false
		case r == '\uFEFF' && i == 0:
			l.add(line, column, byteOrderMark, codePoint(r), "the file begins with a byte order mark",
				"save it as UTF-8 without one")
			text = false
		case r == '\r' && i+1 < len(data) && data[i+1] == '\n':
			// A Windows line ending; the line feed follows.
		case control(r):
			l.add(line, column, controlCharacter, codePoint(r), "a control character", "remove it")
			text = false
		case hidden(r):
			l.add(line, column, hiddenCharacter, codePoint(r),
				"a character that is invisible or turns the direction of text", "remove it")
			l.hidden[line] = true
			text = text && !confusing(r)
		}
		if r == '\n' {
			line, column = line+1, 0
		}
		column++
		i += size
	}
	return text && !l.full() && l.checkDirectives(data) && l.checkDensity(data)
}

// utf16 recognises the two byte order marks and ASCII text in UTF-16 without one.
func utf16(data []byte) bool {
	if len(data) < 2 {
		return false
	}
	return data[0] == 0xff && data[1] == 0xfe || data[0] == 0xfe && data[1] == 0xff ||
		(data[0] == 0) != (data[1] == 0)
}

// control says whether r is a control character other than tab and line feed.
func control(r rune) bool { return r != '\t' && r != '\n' && unicode.IsControl(r) }

// hidden says whether r can make a text read differently from what it is: format characters (bidirectional controls,
// zero-width characters, tags), the line separators that YAML 1.1 breaks lines at, and characters that are no characters.
func hidden(r rune) bool {
	switch {
	case unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co):
		return true
	case r >= 0xFDD0 && r <= 0xFDEF, r&0xFFFE == 0xFFFE:
		return true
	case r >= 0xFE00 && r <= 0xFE0F, r >= 0xE0100 && r <= 0xE01EF: // variation selectors
		return true
	case r == 0x115F, r == 0x1160, r == 0x3164, r == 0xFFA0, r == 0x034F: // fillers without a glyph
		return true
	}
	return false
}

// confusing says whether the parser takes a hidden character for other than text: it breaks lines there, or refuses it.
func confusing(r rune) bool {
	return unicode.In(r, unicode.Zl, unicode.Zp) || r == '\uFEFF' || r == '\uFFFE' || r == '\uFFFF'
}

func codePoint(r rune) string { return fmt.Sprintf("U+%04X", r) }

// checkDirectives refuses %YAML and %TAG: the parser looks each %TAG up in a list of all before it, which takes
// quadratic time, and a plan needs neither.
func (l *loader) checkDirectives(data []byte) bool {
	clean := true
	eachLine(data, func(number int, line []byte) {
		if bytes.HasPrefix(line, []byte("%")) {
			l.add(number, 1, directive, quote(string(line)), "directives are not part of a plan", "remove the line")
			clean = false
		}
	})
	return clean
}

// eachLine calls f with each line, numbered from 1, without its line ending.
func eachLine(data []byte, f func(number int, line []byte)) {
	number := 0
	for line := range bytes.Lines(data) {
		number++
		f(number, bytes.TrimRight(line, "\r\n"))
	}
}
