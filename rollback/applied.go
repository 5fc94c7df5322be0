package rollback

// Applied returns the latest run of this boot in the network namespace that has applied the plan file of that digest
// and has not been undone since, or nothing.
func (d *StateDir) Applied(digest string, cookie uint64) (string, error) {
	boot, err := BootID()
	if err != nil {
		return "", err
	}
	runs, err := d.Runs()
	if err != nil {
		return "", err
	}
	last, begun := "", Header{}
	for _, run := range runs {
		p, err := d.ReadJournal(run)
		if err != nil {
			continue // Unfinished has its say about journals that can't be read
		}
		if h := p.Header; h.Digest == digest && h.Cookie == cookie && h.BootID == boot && p.Done() != 0 && !h.Before(&begun) {
			last, begun = run, h
		}
	}
	return last, nil
}
