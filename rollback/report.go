package rollback

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/xfrm-plan/xfrm-plan/executor"
)

const (
	reportName    = "report.json"
	newReportName = reportName + newSuffix
)

// WriteReport writes a run's report beside its journal, so that a crash leaves the whole of it or none.
func (d *StateDir) WriteReport(r *executor.Report) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := checkRun(r.Run); err != nil {
		return err
	}
	if err := d.replaceFile(runPath(r.Run), reportName, append(b, '\n')); err != nil {
		return fmt.Errorf("write the report of run %s: %w", r.Run, err)
	}
	return nil
}

// ReadReport reads a run's report, or returns nil if the run has not come to its end.
func (d *StateDir) ReadReport(run string) (*executor.Report, error) {
	b, err := d.read(run, reportName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the report: %w", err)
	}
	r := new(executor.Report)
	return r, json.Unmarshal(b, r)
}
