package rollback

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
)

// Entry is a record of a journal for people.
type Entry struct {
	Offset int    `json:"offset"`
	Text   string `json:"text"` // in lines
}

// Entries returns the records of a run's journal, and as the last one where and how it breaks off, if it does. A journal
// that was set aside is read too.
func (d *StateDir) Entries(run string) ([]Entry, error) {
	b, err := d.read(run, journalName)
	if errors.Is(err, fs.ErrNotExist) {
		b, err = d.read(run, asideName)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, d.without(run)
	}
	if err != nil {
		return nil, fmt.Errorf("read the journal of run %s: %w", run, err)
	}
	var all []Entry
	var sum uint32
	for at := 0; at < len(b); {
		payload, _, next, err := nextFrame(b[at:], sum)
		if err != nil {
			return append(all, Entry{at, fmt.Sprintf("%v: %d bytes are left", err, len(b)-at)}), nil
		}
		var text strings.Builder
		if err := printRecord(&text, payload); err != nil {
			return append(all, Entry{at, err.Error()}), nil
		}
		all = append(all, Entry{at, strings.TrimSuffix(text.String(), "\n")})
		at, sum = at+frameHeader+len(payload), next
	}
	return all, nil
}

// PrintJournal writes the journal of a run for people: every record with its offset, and where and how it breaks off.
func (d *StateDir) PrintJournal(w io.Writer, run string) error {
	all, err := d.Entries(run)
	if err != nil {
		return err
	}
	const indent = "\n          "
	for _, e := range all {
		if _, err := fmt.Fprintf(w, "%8d  %s\n", e.Offset, strings.ReplaceAll(e.Text, "\n", indent)); err != nil {
			return err
		}
	}
	return nil
}

func printRecord(w io.Writer, payload []byte) error {
	p := &Past{Outcomes: map[string]executor.Outcome{}, byName: map[string]int{}}
	if len(payload) == 0 {
		return errDamaged
	}
	if err := p.record(payload[0], payload[1:]); err != nil {
		return err
	}
	switch payload[0] {
	case kindHeader:
		h := &p.Header
		fmt.Fprintf(w, "run %s of plan %s (sha256 %s), begun %s\n", h.Run, h.Plan, h.Digest, h.Started.Format(time.RFC3339))
		fmt.Fprintf(w, "boot %s, network namespace %s (cookie %d), format %d\n", h.BootID, netnsName(h.NetNS), h.Cookie, h.Version)
	case kindIntent:
		printTransaction(w, &p.Transactions[0])
	case kindSettled:
		for group, outcome := range p.Outcomes {
			fmt.Fprintf(w, "settled: %s is %s\n", group, outcome)
		}
	case kindResumed:
		fmt.Fprintf(w, "resumed at %s, to bring every group to %s\n", p.Resumed[0].At.Format(time.RFC3339), p.Resumed[0].Towards)
	case kindAwaiting:
		fmt.Fprintf(w, "awaiting confirmation until %v after the machine was started\n", time.Duration(p.Until).Round(time.Second))
	case kindDaemon:
		for group, n := range p.Daemon {
			fmt.Fprintf(w, "IKE daemon (%s): %s, %s\n", n.Config.Driver, group, n.Step)
			for i := range n.Moves {
				fmt.Fprintf(w, "%v-%v => %v-%v", n.Moves[i].OldLocal, n.Moves[i].OldRemote, n.Moves[i].Local, n.Moves[i].Remote)
				for j := range n.Moves[i].Old {
					fmt.Fprintf(w, ", in the place of %v", &n.Moves[i].Old[j])
				}
				fmt.Fprintln(w)
			}
		}
	case kindEnd:
		if p.EndedBecause != "" {
			fmt.Fprintf(w, "end: %s\n", p.EndedBecause)
		} else {
			fmt.Fprintln(w, "end")
		}
	}
	return nil
}

func netnsName(name string) string {
	if name == "" {
		return "that apply ran in"
	}
	return name
}

func printTransaction(w io.Writer, t *executor.Transaction) {
	fmt.Fprintf(w, "intent: %s\n", t.Name)
	for i := range t.Moves {
		m := &t.Moves[i]
		fmt.Fprintf(w, "SA %v from %v: to %v from %v\n", m.There.ID, m.Back.NewSrc.IP(m.Back.NewFamily),
			m.There.Target().DstIP(), m.There.NewSrc.IP(m.There.NewFamily))
	}
	for i := range t.Policies {
		pc := &t.Policies[i]
		fmt.Fprintf(w, "policy %v %v (index %d)", pc.Old.Dir, pc.Old.Sel, pc.Old.Index)
		if pc.New == nil {
			fmt.Fprint(w, ": stays\n")
			continue
		}
		fmt.Fprintln(w)
		for j := range pc.Old.Templates {
			fmt.Fprintf(w, "  - %v\n", pc.Old.Templates[j])
		}
		for j := range pc.New.Templates {
			fmt.Fprintf(w, "  + %v\n", pc.New.Templates[j])
		}
	}
}
