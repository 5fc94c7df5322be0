package rollback

// BreakFiles puts wrap around the files of journals.
func (d *StateDir) BreakFiles(wrap func(File) File) { d.wrap = wrap }

// Reboot makes the state directory see another boot.
func (d *StateDir) Reboot(id string) { d.boot = func() (string, error) { return id, nil } }

// Parse is what ReadJournal does with a file's bytes.
func Parse(b []byte) (*Past, error) { return parse(b) }

// WithVersion returns a journal of another format, whole as far as frames go.
func WithVersion(v int) []byte {
	payload, err := jsonPayload(kindHeader, Header{Version: v})
	if err != nil {
		panic(err) // a Header is made of strings and numbers
	}
	b, _ := appendFrame(nil, 0, payload)
	return b
}
