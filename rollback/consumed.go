package rollback

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ConsumedBy returns the run that has applied the saved plan of that digest, or nothing.
func (d *StateDir) ConsumedBy(digest string) (run string, err error) {
	b, err := os.ReadFile(d.consumed(digest))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read whether the saved plan was applied: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// Consume notes that a run applies the saved plan of that digest, before it does.
func (d *StateDir) Consume(digest, run string) error {
	path := d.consumed(digest)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return writeDurably(path, []byte(run+"\n"))
}

func (d *StateDir) consumed(digest string) string { return filepath.Join(d.path, "consumed", digest) }
