package schema

import (
	"fmt"
	"strings"
	"unicode"
)

// homoglyphs are letters of other scripts that look like Latin ones in common fonts (a choice from Unicode's
// confusables.txt: Cyrillic, Greek, Armenian; full-width forms are computed).
var homoglyphs = map[rune]rune{
	'а': 'a', 'в': 'b', 'с': 'c', 'ԁ': 'd', 'е': 'e', 'ё': 'e', 'һ': 'h', 'і': 'i', 'ї': 'i', 'ј': 'j', 'к': 'k', 'ӏ': 'l', 'м': 'm',
	'н': 'h', 'п': 'n', 'о': 'o', 'р': 'p', 'ԛ': 'q', 'г': 'r', 'ѕ': 's', 'т': 't', 'у': 'y', 'ѵ': 'v', 'ԝ': 'w', 'х': 'x',
	'α': 'a', 'β': 'b', 'ϲ': 'c', 'ε': 'e', 'η': 'n', 'ι': 'i', 'κ': 'k', 'ν': 'v', 'ο': 'o', 'ρ': 'p', 'τ': 't', 'υ': 'u', 'χ': 'x',
	'ա': 'w', 'օ': 'o', 'ո': 'n', 'ս': 'u', 'ց': 'g', 'հ': 'h',
	'ı': 'i', 'ɑ': 'a', 'ɡ': 'g',
}

// fold maps a key to its shape: keys of one shape are taken for each other by a tired reader.
func fold(key string) string {
	if !strings.ContainsFunc(key, func(r rune) bool { return r < 'a' || r > 'z' }) {
		return key // as most are
	}
	var b strings.Builder
	for _, r := range key {
		r = unicode.ToLower(r)
		if r >= '！' && r <= '～' { // full-width forms of ASCII
			r = unicode.ToLower(r - '！' + '!')
		}
		if latin, ok := homoglyphs[r]; ok {
			r = latin
		}
		switch {
		case r == '_', r == '-', unicode.IsSpace(r), unicode.Is(unicode.Mn, r):
		case r == '0':
			b.WriteByte('o')
		case r == '1':
			b.WriteByte('l')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// foreign names the first letter of a key that is not ASCII, as an addition to a hint.
func foreign(key string) string {
	for _, r := range key {
		if r > unicode.MaxASCII {
			return fmt.Sprintf(" (%q is %s, not a letter of the Latin alphabet)", r, codePoint(r))
		}
	}
	return ""
}

// nearest is the candidate that key was probably meant to be, or "".
func nearest(key string, candidates []string) string {
	best, bestDistance := "", 1+len(key)/3
	if len(key) > 40 {
		return "" // no key is nearly as long, and comparing takes time
	}
	shape := fold(key)
	for _, c := range candidates {
		other := fold(c)
		if shape == other {
			return c
		}
		if d := distance(shape, other); d < bestDistance || d == bestDistance && best == "" {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete, replace or swap with the next to get from a to b.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	before, row, next := make([]int, len(t)+1), make([]int, len(t)+1), make([]int, len(t)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(s); i++ {
		next[0] = i
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(t)]
}
