package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxDepth is well beyond the deepest plan (overrides[].set.mark.value is 5 deep) and keeps every recursion small.
const maxDepth = 32

// walk refuses, over the whole tree, what YAML can do and a plan has no use for. It marks what it refuses as bad.
func (l *loader) walk(root *yaml.Node, data []byte) {
	w := walker{loader: l, source: newCursor(data)}
	w.node(root, "", 1)
}

type walker struct {
	*loader
	source *cursor
	seen   []shaped // reused from mapping to mapping
}

// node checks n and all below it; key is the key that n is the value of, for hints.
func (w *walker) node(n *yaml.Node, key string, depth int) {
	if w.full() {
		return
	}
	if depth > maxDepth {
		w.refuse(n, tooDeep, fmt.Sprintf("nested deeper than %d levels", maxDepth), "write a plan as in xfrm-plan schema")
		return
	}
	if !w.plain(n) {
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		if w.keys(n); w.bad[n] {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if w.source.at(k) == '!' && !w.bad[k] {
				w.refuse(k, tag, `tags are not part of a plan: "!"`, "remove the tag")
			}
			if !w.bad[k] {
				w.node(n.Content[i+1], k.Value, depth+1)
			}
		}
	case yaml.SequenceNode:
		for _, entry := range n.Content {
			w.node(entry, key, depth+1)
		}
	case yaml.ScalarNode:
		if w.characters(n) && n.Style == 0 {
			w.spelling(n, key)
		}
	}
}

// plain refuses aliases, anchors and tags. It reports whether n has none.
func (w *walker) plain(n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		w.refuse(n, alias, "aliases are not part of a plan", "write the value itself")
	case n.Anchor != "":
		w.refuse(n, anchor, "anchors are not part of a plan: &"+quote(n.Anchor), "write the value itself, without &"+n.Anchor)
	case n.Style&yaml.TaggedStyle != 0:
		w.refuse(n, tag, "tags are not part of a plan: "+quote(n.Tag), "remove the tag")
	case w.source.at(n) == '!':
		// The tag ! alone leaves no trace in the node.
		w.refuse(n, tag, `tags are not part of a plan: "!"`, "remove the tag")
	default:
		return true
	}
	return false
}

// characters refuses what checkBytes refuses, written as an escape, and passes over values that it has refused.
func (w *walker) characters(n *yaml.Node) bool {
	for _, r := range n.Value {
		switch {
		case control(r):
			w.refuse(n, controlCharacter, "a control character, "+codePoint(r), "remove it")
			return false
		case hidden(r) && (n.Style&yaml.DoubleQuotedStyle == 0 || w.hidden[n.Line]):
			w.bad[n] = true
			return false
		case hidden(r), r == utf8.RuneError:
			w.refuse(n, hiddenCharacter, "a character that cannot be seen or turns the direction of text, "+codePoint(r), "remove it")
			return false
		}
	}
	return true
}

// gluedKey is key and value in one, for want of a space.
var gluedKey = regexp.MustCompile(`^[A-Za-z]+:\S`)

// maxKeys is well beyond the keys of a plan in any one place, for comparing each with each.
const maxKeys = 128

// shaped is a key with its shape.
type shaped struct {
	shape string
	key   *yaml.Node
}

// keys refuses keys of a mapping that are no text, or that are there twice or nearly.
func (w *walker) keys(n *yaml.Node) {
	if len(n.Content)/2 > maxKeys {
		w.refuse(n, tooManyValues, fmt.Sprintf("a mapping of %d keys", len(n.Content)/2), "write a plan as in xfrm-plan schema")
		return
	}
	seen := w.seen[:0]
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		switch {
		case k.Kind == yaml.AliasNode:
			w.refuse(k, alias, "aliases are not part of a plan", "write the key itself")
			continue
		case k.Kind != yaml.ScalarNode:
			w.refuse(k, keyNotText, "a key that is not text", "write a key as in xfrm-plan schema")
			continue
		case k.Value == "<<":
			w.refuse(k, merge, "merges are not part of a plan", "write the keys themselves")
			continue
		case k.Anchor != "":
			w.refuse(k, anchor, "anchors are not part of a plan: &"+quote(k.Anchor), "write the key without &"+k.Anchor)
			continue
		case k.Style&yaml.TaggedStyle != 0:
			w.refuse(k, tag, "tags are not part of a plan: "+quote(k.Tag), "remove the tag")
			continue
		case !w.characters(k):
			continue
		case k.Style == 0 && gluedKey.MatchString(k.Value):
			name, value, _ := strings.Cut(k.Value, ":")
			w.refuse(k, unknownKey, "no space after the colon", "write "+name+": "+value)
			continue
		case k.Style == 0 && k.Tag != "!!str":
			w.refuse(k, keyNotText, "a key that YAML does not read as text", "write a key as in xfrm-plan schema")
			continue
		}
		shape := fold(k.Value)
		at := slices.IndexFunc(seen, func(s shaped) bool { return s.shape == shape })
		if at < 0 {
			seen = append(seen, shaped{shape, k})
			continue
		}
		if first := seen[at].key; first.Value == k.Value {
			w.refuse(k, duplicateKey, "a key that is there already", fmt.Sprintf("keep one; the first is on line %d", first.Line))
		} else {
			w.refuse(k, lookalikeKey, "a key that looks like "+quote(first.Value)+" on line "+fmt.Sprint(first.Line),
				"keep the one that is spelt right"+foreign(k.Value))
		}
	}
	w.seen = seen
}
