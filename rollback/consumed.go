package rollback

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const consumedDir = "consumed"

// ConsumedBy returns the run that has applied the saved plan of that digest, or nothing.
func (d *StateDir) ConsumedBy(digest string) (run string, err error) {
	f, err := d.open(filepath.Join(consumedDir, digest), unix.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read whether the saved plan was applied: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 256))
	return strings.TrimSpace(string(b)), err
}

// Consume notes that a run applies the saved plan of that digest, before it does.
func (d *StateDir) Consume(digest, run string) error {
	if err := d.mkdir(consumedDir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.replaceFile(consumedDir, digest, []byte(run+"\n"))
}
