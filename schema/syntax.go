package schema

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// parse turns data into the node tree of its only document, or reports why it can't and returns nil.
//
// Only nodes are ever decoded: yaml.v3 panics on some input when it decodes into Go types.
func (l *loader) parse(data []byte) *yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	document, err := decodeNode(decoder)
	if errors.Is(err, io.EOF) || err == nil && len(document.Content) == 0 {
		l.add(0, 0, emptyFile, "", "there is no plan in the file", "begin with apiVersion: xfrm-plan/v1")
		return nil
	}
	if err != nil {
		l.syntaxError(data, err)
		return nil
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.Value == "" && root.Style == 0 {
		l.add(0, 0, emptyFile, "", "there is no plan in the file", "begin with apiVersion: xfrm-plan/v1")
		return nil
	}
	second, err := decodeNode(decoder)
	switch {
	case err == nil:
		l.add(second.Line, second.Column, severalDocuments, "", "a second YAML document begins here",
			"write one plan per file, and remove the --- line if this is the same plan")
		return nil
	case !errors.Is(err, io.EOF):
		l.syntaxError(data, err)
		return nil
	}
	return root
}

// decodeNode reads the next document. The recover is the last resort against a panic in the parser.
func decodeNode(decoder *yaml.Decoder) (n *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: the parser gave up: %v", r)
		}
	}()
	n = &yaml.Node{}
	err = decoder.Decode(n)
	return n, err
}

// syntaxHints says in an operator's words what the parser's messages mean.
var syntaxHints = []struct{ parser, message, hint string }{
	{"found character that cannot start any token", "a value cannot begin with this character", "put the value in quotes; indent with spaces, not tabs"},
	{"found a tab character", "a tab where only spaces can be", "indent with spaces"},
	{"mapping values are not allowed", "a colon where none can be", "put a text with a colon in quotes; check that keys line up"},
	{"did not find expected key", "the line does not fit the mapping around it", "check the indentation, and the closing quote or brace before it"},
	{"did not find expected '-' indicator", "the line does not fit the list around it", "begin each entry with a hyphen, all in one column"},
	{"did not find expected ',' or ']'", "a list in brackets is not closed", "check commas, quotes and the closing ]"},
	{"did not find expected ',' or '}'", "a mapping in braces is not closed", "check commas, quotes and the closing }"},
	{"could not find expected ':'", "a key without a colon", "write key: value, with a space after the colon"},
	{"found unexpected end of stream", "a quote is not closed", "add the closing quote"},
	{"found unexpected document indicator", "a quote is not closed", "add the closing quote"},
	{"block sequence entries are not allowed", "a list entry where none can be", "begin the list on a line of its own, or use [ ]"},
	{"found unknown escape character", "an escape that YAML does not know", "write a backslash twice, or use single quotes"},
	{"found invalid Unicode character escape code", "an escape that is no character", "write the character itself"},
	{"exceeded max depth", "nested deeper than a plan can be", "write a plan as in xfrm-plan schema"},
	{"did not find expected <document start>", "something after the end of the plan", "check the indentation of this line"},
	{"did not find expected node content", "a value is missing, or begins with a character that it cannot begin with", "check commas and brackets; put the value in quotes"},
	{"unknown anchor", "an alias without an anchor", "write the value itself, or put the text in quotes"},
}

// colonsFirst is an IPv6 address that begins with colons, where in braces or brackets no value can.
var colonsFirst = regexp.MustCompile(`[\s\[{,](::[0-9A-Fa-f:.]*(?:/[0-9]+)?)`)

// yamlError is the shape of the parser's messages; the line is missing when the problem is on the first.
var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(?s:(.*))$`)

func (l *loader) syntaxError(data []byte, err error) {
	line, text := 1, err.Error()
	if m := yamlError.FindStringSubmatch(text); m != nil {
		text = m[2]
		if m[1] != "" {
			line, _ = strconv.Atoi(m[1])
		}
		// The parser's own errors, unlike its scanner's, count lines from 0.
		if m[1] != "" && (strings.HasPrefix(text, "did not find expected key") || strings.Contains(text, "indicator") ||
			strings.Contains(text, "' or '") || strings.Contains(text, "node content") || strings.Contains(text, "<")) {
			line++
		}
	}
	slug, message, hint := notYAML, "this is not YAML: "+text, "check quotes, braces and indentation"
	for _, h := range syntaxHints {
		if strings.HasPrefix(text, h.parser) {
			message, hint = h.message, h.hint
			break
		}
	}
	switch {
	case strings.HasPrefix(text, "exceeded max depth"):
		slug = tooDeep
	case strings.HasPrefix(text, "unknown anchor"):
		slug = alias
		line = lineOf(data, "*"+between(text, "'", "'"))
	}
	source := lineText(data, line)
	trimmed := strings.TrimLeft(source, " \t")
	column := 1 + utf8.RuneCountInString(source) - utf8.RuneCountInString(trimmed)
	if indent := source[:len(source)-len(trimmed)]; strings.Contains(indent, "\t") {
		message, hint = "a tab in the indentation", "indent with spaces"
		column = 1 + strings.Index(indent, "\t")
	}
	if at := colonsFirst.FindStringSubmatchIndex(source); at != nil && strings.Contains(text, "node content") {
		message, hint = "a value in braces or brackets cannot begin with a colon", "put the IPv6 address in quotes: "+strconv.Quote(source[at[2]:at[3]])
		column = 1 + utf8.RuneCountInString(source[:at[2]])
	}
	l.add(line, column, slug, quote(strings.TrimSpace(source)), message, hint)
}

// lineText is the line with the given number, or the last one that is not blank if the parser counted beyond the end.
func lineText(data []byte, number int) string {
	found := ""
	eachLine(data, func(n int, line []byte) {
		if n == number {
			found = string(line)
		}
	})
	return found
}

// lineOf is the number of the first line that holds s, or 1.
func lineOf(data []byte, s string) int {
	at := bytes.Index(data, []byte(s))
	if at < 0 {
		return 1
	}
	return 1 + bytes.Count(data[:at], []byte("\n"))
}

// between is what stands in s after the first before and before the last after.
func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	if i := strings.LastIndex(s, after); i >= 0 {
		return s[:i]
	}
	return s
}
