// Package review shows a computed plan to people and to machines before it is applied.
package review
