package executor

import (
	"encoding/json"
	"strconv"
	"time"
)

// AppendJSON appends the event as encoding/json writes it, without the brace at its end, so that a view can add to it.
// By the generic way the events of a tunnel would cost a tenth of all that is done for it.
func (e *Event) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	text := func(name, v string) {
		if v != "" {
			b = append(append(b, name...), ':')
			b = append(appendString(b, v), ',')
		}
	}
	number := func(name string, v int64) {
		if v != 0 {
			b = append(append(b, name...), ':')
			b = append(strconv.AppendInt(b, v, 10), ',')
		}
	}
	moment := func(name string, t time.Time) {
		b = append(append(b, name...), `:"`...)
		b = append(t.AppendFormat(b, time.RFC3339Nano), `",`...)
	}
	text(`"run"`, e.Run)
	moment(`"time"`, e.Time)
	b = append(appendString(append(b, `"event":`...), string(e.Kind)), ',')
	text(`"wave"`, e.Wave)
	text(`"group"`, e.Group)
	text(`"text"`, e.Text)
	number(`"spanNanoseconds"`, int64(e.Span))
	if !e.Since.IsZero() {
		moment(`"since"`, e.Since)
	}
	number(`"done"`, int64(e.Done))
	number(`"total"`, int64(e.Total))
	number(`"sasVerified"`, int64(e.SAs))
	number(`"policiesVerified"`, int64(e.Policies))
	if len(e.Answers) != 0 {
		answers, _ := json.Marshal(e.Answers) // they are strings, which can be encoded
		b = append(append(append(b, `"answers":`...), answers...), ',')
	}
	return b[:len(b)-1] // the last comma
}

// appendString leaves all but the plainest strings to encoding/json.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // a string can be encoded
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
