package schema

import (
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// cursor finds the bytes that nodes begin at. It only moves forward, so that all nodes of a file, in order, take one
// pass over it however long its lines are.
type cursor struct {
	data         []byte
	offset       int
	line, column int
}

func newCursor(data []byte) *cursor { return &cursor{data: data, line: 1, column: 1} }

// at is the byte that n begins with, or 0 if that is before an earlier node or beyond the end.
func (c *cursor) at(n *yaml.Node) byte {
	for c.offset < len(c.data) && (c.line < n.Line || c.line == n.Line && c.column < n.Column) {
		r, size := utf8.DecodeRune(c.data[c.offset:])
		c.offset += size
		c.column++
		if r == '\n' {
			c.line, c.column = c.line+1, 1
		}
	}
	if c.offset == len(c.data) || c.line != n.Line || c.column != n.Column {
		return 0
	}
	return c.data[c.offset]
}
