package rollback

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/xfrm-plan/xfrm-plan/executor"
)

const reportName = "report.json"

// WriteReport writes a run's report beside its journal, so that a crash leaves the whole of it or none.
func (d *StateDir) WriteReport(r *executor.Report) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return writeDurably(filepath.Join(d.RunDir(r.Run), reportName), append(b, '\n'))
}

// ReadReport reads a run's report, or returns nil if the run has not come to its end.
func (d *StateDir) ReadReport(run string) (*executor.Report, error) {
	b, err := os.ReadFile(filepath.Join(d.RunDir(run), reportName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the report: %w", err)
	}
	r := new(executor.Report)
	return r, json.Unmarshal(b, r)
}

// writeDurably writes a file that is either whole or not there after a power cut.
func writeDurably(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
