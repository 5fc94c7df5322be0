package schema

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// quotedAtMost is how much of a text a message repeats: enough for any address, not for a pasted page.
const quotedAtMost = 64

// quote shows a text in double quotes on one line, cut where it is long.
func quote(s string) string {
	if utf8.RuneCountInString(s) > quotedAtMost {
		s = string([]rune(s[:min(len(s), 4*quotedAtMost)])[:quotedAtMost]) + "..."
	}
	return strconv.QuoteToGraphic(s)
}

// describe says what a node is, as a message's "what was read".
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		if len(n.Content) == 0 {
			return "{}"
		}
		return "a mapping"
	case yaml.SequenceNode:
		if len(n.Content) == 0 {
			return "[]"
		}
		return "a list"
	case yaml.AliasNode:
		return quote("*" + n.Value)
	}
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		if n.Value == "" {
			return "nothing"
		}
		if kind := classify(n); kind == "number" || kind == "boolean" {
			return n.Value
		}
	}
	return quote(n.Value)
}

// list joins words for a message: a, b or c.
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
