// Package schema reads plan files strictly: whatever YAML could silently read as something else is refused, with the
// place, what was read there and what to write instead.
package schema
