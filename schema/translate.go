package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"gopkg.in/yaml.v3"
)

// translate reports a validation error, and those that caused it, in our words.
func (v *validation) translate(root *yaml.Node, e *jsonschema.ValidationError) {
	if v.full() {
		return
	}
	keyword, sub := keywordOf(e)
	n := v.find(root, e.InstanceLocation)
	if keyword == "anyOf" {
		v.alternatives(root, n, sub, e)
		return
	}
	if len(e.Causes) > 0 {
		for _, cause := range e.Causes {
			v.translate(root, cause)
		}
		return
	}
	if v.bad[n] {
		return
	}
	key := keyAt(e.InstanceLocation)
	switch keyword {
	case "type":
		v.wrongType(n, key, sub)
	case "additionalProperties":
		v.unknownKeys(n, sub)
	case "required":
		v.missingKeys(n, sub)
	case "enum", "const":
		v.wrongValue(n, key, sub)
	case "minimum", "maximum":
		v.refuse(n, outOfRange, key+" is out of range", fmt.Sprintf("write %s to %s", number(sub["minimum"]), number(sub["maximum"])))
	case "minItems", "minProperties", "minLength":
		v.refuse(n, empty, key+" is empty", "write for example "+example(sub))
	case "maxLength":
		v.refuse(n, tooLong, key+" is too long", fmt.Sprintf("write at most %s characters", number(sub["maxLength"])))
	case "pattern":
		// The decoder knows better what a text should look like, and says so.
	default:
		v.refuse(n, badValue, key+": "+e.Message, "write for example "+example(sub))
	}
}

// alternatives reports what is wrong with a value that may be a word or a mapping: the problems of the form that it
// has, or that it has neither.
func (v *validation) alternatives(root, n *yaml.Node, sub map[string]any, e *jsonschema.ValidationError) {
	if v.bad[n] {
		return
	}
	if n.Kind == yaml.MappingNode {
		for _, cause := range e.Causes {
			if keyword, _ := keywordOf(cause); keyword != "type" {
				v.translate(root, cause)
			}
		}
		return
	}
	v.wrongValue(n, keyAt(e.InstanceLocation), sub)
}

func (v *validation) wrongValue(n *yaml.Node, key string, sub map[string]any) {
	hint := "write " + list(words(sub))
	if n.Value == "keep" {
		hint = "to keep what the SA has, leave the key out; otherwise " + hint
	} else if near := nearest(n.Value, words(sub)); near != "" && n.Kind == yaml.ScalarNode {
		hint = "write " + near
		if others := without(words(sub), near); len(others) > 0 {
			hint += " (or " + list(others) + ")"
		}
	}
	v.refuse(n, badValue, "not a value that "+key+" takes", hint)
}

var typeNames = map[string]string{
	"object": "a mapping", "array": "a list", "string": "text", "integer": "a whole number", "boolean": "true or false",
}

func (v *validation) wrongType(n *yaml.Node, key string, sub map[string]any) {
	var wanted []string
	text := false
	for _, t := range types(sub) {
		wanted = append(wanted, typeNames[t])
		text = text || t == "string"
	}
	hint := "write for example " + example(sub)
	if kind := classify(n); n.Kind == yaml.ScalarNode && text && (kind == kindNumber || kind == kindBoolean) {
		hint = "put it in quotes: " + strconv.Quote(n.Value)
		switch sub["format"] {
		case "go-duration":
			hint = "write the unit: " + n.Value + "s or " + n.Value + "m"
		case "spi":
			if spi, err := strconv.ParseUint(n.Value, 10, 32); err == nil {
				hint = fmt.Sprintf("write it as hex in quotes: \"0x%08x\"", spi)
			}
		case "ip-prefix":
			hint = "write for example " + example(sub)
		}
	}
	if w := words(sub); len(w) > 0 {
		hint = "write " + list(w)
	}
	if n.Kind == yaml.ScalarNode && kindText == classify(n) && wholeNumber.MatchString(n.Value) && !text {
		hint = "remove the quotes: " + n.Value
	}
	v.refuse(n, wrongType, key+" must be "+list(wanted), hint)
}

// unknownKeys finds the keys itself: the validator names them in a message only.
func (v *validation) unknownKeys(n *yaml.Node, sub map[string]any) {
	known := keys(sub)
	free := slices.DeleteFunc(slices.Clone(known), func(key string) bool { return child(n, key) != nil })
	for i := 0; i+1 < len(n.Content) && !v.full(); i += 2 {
		k := n.Content[i]
		if v.bad[k] || slices.Contains(known, k.Value) {
			continue
		}
		hint := "the keys here are " + strings.Join(known, ", ")
		if near := nearest(k.Value, free); near != "" {
			hint = "did you mean " + near + "?" + foreign(k.Value)
		}
		v.refuse(k, unknownKey, "no key of a plan in this place", hint)
	}
}

// guessedAtMost is more misspelt keys than a mapping has when it was meant as one of a plan; each guess takes time.
const guessedAtMost = 64

// missingKeys leaves out those that a misspelt key was probably meant to be: it is reported as such.
func (v *validation) missingKeys(n *yaml.Node, sub map[string]any) {
	if child(n, "<<") != nil {
		return // the merge was refused, and may have brought them
	}
	known, present, guessed := keys(sub), map[string]bool{}, 0
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i].Value
		if n.Content[i].Kind == yaml.ScalarNode && !slices.Contains(known, k) && guessed < guessedAtMost {
			guessed++
			name, _, _ := strings.Cut(k, ":")
			k = nearest(name, known)
		}
		present[k] = true
	}
	for _, r := range sub["required"].([]any) {
		name := r.(string)
		if present[name] {
			continue
		}
		property, _ := sub["properties"].(map[string]any)[name].(map[string]any)
		hint := "add for example " + name + ": " + example(property)
		if c, ok := property["const"]; ok {
			hint = fmt.Sprintf("add %s: %v", name, c)
		}
		v.add(n.Line, n.Column, missingKey, found(n), "the key "+name+" is missing", hint)
	}
}

// foundAtMost is how many keys still fit on a line.
const foundAtMost = 6

// found says which keys a mapping has, where one is missing.
func found(n *yaml.Node) string {
	var have []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		if have = append(have, strings.Trim(describe(n.Content[i]), `"`)); len(have) == foundAtMost {
			have = append(have, "...")
			break
		}
	}
	if have == nil {
		return "{}"
	}
	return "only " + strings.Join(have, ", ")
}

// find is the node at a JSON pointer as the validator writes it, percent-encoded.
func (v *validation) find(n *yaml.Node, pointer string) *yaml.Node {
	for _, token := range strings.Split(pointer, "/")[1:] {
		switch n.Kind {
		case yaml.MappingNode:
			if child := child(n, unescape(token)); child != nil {
				n = child
			}
		case yaml.SequenceNode:
			if i, err := strconv.Atoi(token); err == nil && v.skipped[n]+i < len(n.Content) {
				n = n.Content[v.skipped[n]+i]
			}
		}
	}
	return n
}
