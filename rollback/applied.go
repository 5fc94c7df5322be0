package rollback

import "slices"

// Applied returns the latest run of this boot in the network namespace that has applied the plan file of that digest
// and has not been undone since, or nothing.
func (d *StateDir) Applied(digest string, cookie uint64) (string, error) {
	here, err := d.Here(cookie)
	if err != nil {
		return "", err
	}
	for _, run := range slices.Backward(here) {
		h, err := d.readHeader(run)
		if err != nil || h.Digest != digest {
			continue // Unfinished has its say about journals that can't be read
		}
		if p, err := d.ReadJournal(run); err == nil && p.Done() != 0 {
			return run, nil
		}
	}
	return "", nil
}
