package schema

import (
	"fmt"
	"regexp"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/xfrm-plan/xfrm-plan/plan"
)

var (
	timeForm    = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[-+]\d\d:\d\d)$`)
	timeNoZone  = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(:\d\d)?$`)
	timeLoose   = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)[Tt ]+(\d\d:\d\d)(:\d\d)? ?([Zz]|UTC|[-+]\d\d:?\d\d)$`)
	dateAlone   = regexp.MustCompile(`^\d{4}-\d\d-\d\d$`)
	timeExample = "2026-12-01T01:00:00Z"
)

var windowFields = fields[plan.Window]{
	"notBefore": func(l *loader, n *yaml.Node, w *plan.Window) { w.NotBefore = l.time(n) },
	"notAfter":  func(l *loader, n *yaml.Node, w *plan.Window) { w.NotAfter = l.time(n) },
}

// time is a time in RFC 3339, as strict as the RFC's grammar in upper case; time.Parse alone takes more.
func (l *loader) time(n *yaml.Node) time.Time {
	v := n.Value
	if timeForm.MatchString(v) {
		t, err := time.Parse(time.RFC3339Nano, v)
		if err == nil && t.Year() > 0 {
			return t
		}
		l.refuse(n, badTime, "no such time", "check day, hour and minute; write for example "+timeExample)
		return time.Time{}
	}
	hint := "write for example " + timeExample
	if m := timeNoZone.FindStringSubmatch(v); m != nil {
		if m[3] == "" {
			m[3] = ":00"
		}
		plain := m[1] + "T" + m[2] + m[3]
		l.refuse(n, timeZone, "a time without a zone", fmt.Sprintf("write %sZ for UTC, or with an offset: %s+01:00", plain, plain))
		return time.Time{}
	}
	if m := timeLoose.FindStringSubmatch(v); m != nil {
		offset := m[4]
		switch {
		case offset == "z" || offset == "UTC":
			offset = "Z"
		case len(offset) == 5:
			offset = offset[:3] + ":" + offset[3:]
		}
		if m[3] == "" {
			m[3] = ":00"
		}
		hint = "write " + m[1] + "T" + m[2] + m[3] + offset
	} else if dateAlone.MatchString(v) {
		hint = "write the time too: " + v + "T01:00:00Z"
	}
	l.refuse(n, badTime, "not a time in RFC 3339", hint)
	return time.Time{}
}

func (l *loader) checkWindow(n *yaml.Node, w plan.Window) {
	end := l.good(n, "notAfter")
	if end == nil || w.NotBefore.IsZero() || w.NotAfter.IsZero() || w.NotAfter.After(w.NotBefore) {
		return
	}
	begin := child(n, "notBefore")
	if w.NotAfter.Equal(w.NotBefore) {
		l.refuse(end, windowEmpty, "the window is empty", "write a time later than notBefore, "+begin.Value)
		return
	}
	l.refuse(end, windowEmpty, "the window ends before it begins", "write a time later than notBefore, "+begin.Value+", or swap the two")
}

// duration is a Go duration from atLeast to atMost.
func (l *loader) duration(n *yaml.Node, atLeast, atMost time.Duration) time.Duration {
	v := n.Value
	d, err := time.ParseDuration(v)
	switch {
	case wholeNumber.MatchString(v):
		l.refuse(n, badDuration, "a duration without a unit", "write "+v+"s for seconds or "+v+"m for minutes")
	case err != nil:
		hint := "write for example 30s, 10m or 1h30m"
		if m := looseDuration.FindStringSubmatch(v); m != nil {
			hint = "write " + m[1] + looseUnits[m[2][0]]
			if m[2][0] == 'd' {
				hint = "write it in hours: 24h for a day"
			}
		}
		l.refuse(n, badDuration, "not a duration", hint)
	case d < atLeast || d > atMost:
		l.refuse(n, outOfRange, "a duration out of range", fmt.Sprintf("write %s to %s", short(atLeast), short(atMost)))
	default:
		return d
	}
	return 0
}

var (
	looseDuration = regexp.MustCompile(`^(\d{1,9}) ?(s|m|h|d|sec|secs|second|seconds|min|mins|minute|minutes|hour|hours|day|days)$`)
	looseUnits    = map[byte]string{'s': "s", 'm': "m", 'h': "h", 'd': "h"}
)

// short writes a duration without the zero units that Duration.String has: 10m, not 10m0s.
func short(d time.Duration) string {
	switch {
	case d != 0 && d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d != 0 && d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}
