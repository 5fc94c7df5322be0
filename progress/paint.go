package progress

// Paint colours text, or doesn't: colour only repeats what words say.
type Paint bool

// Red is for what needs somebody.
func (p Paint) Red(s string) string { return p.sgr("1;31", s) }

// Yellow is for what was not done.
func (p Paint) Yellow(s string) string { return p.sgr("33", s) }

// Green is for what was done.
func (p Paint) Green(s string) string { return p.sgr("32", s) }

func (p Paint) sgr(code, s string) string {
	if !p || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
