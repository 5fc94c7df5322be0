package rollback

// BreakFiles puts wrap around the files of journals.
func (d *StateDir) BreakFiles(wrap func(File) File) { d.wrap = wrap }

// Reboot makes the state directory see another boot.
func (d *StateDir) Reboot(id string) { d.boot = func() (string, error) { return id, nil } }
