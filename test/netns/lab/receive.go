package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xfrm-plan/xfrm-plan/test/netns/lab/wire"
)

// A receiver writes the files that come back from the guest.
type receiver struct {
	allowed []string // nothing outside of these is written, whatever the guest says
	f       *os.File
}

// open starts a file, ending the one before it.
func (r *receiver) open(payload []byte) error {
	if err := r.close(); err != nil {
		return err
	}
	var h wire.FileHeader
	if err := json.Unmarshal(payload, &h); err != nil {
		return fmt.Errorf("file from the guest: %w", err)
	}
	ok := slices.ContainsFunc(r.allowed, func(dir string) bool {
		return h.Path == dir || strings.HasPrefix(h.Path, strings.TrimSuffix(dir, "/")+"/")
	})
	if !ok || filepath.Clean(h.Path) != h.Path {
		return fmt.Errorf("the guest sent %q, which nobody asked for", h.Path)
	}
	if err := os.MkdirAll(filepath.Dir(h.Path), 0o755); err != nil {
		return err
	}
	var err error
	r.f, err = os.OpenFile(h.Path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, h.Mode.Perm())
	return err
}

func (r *receiver) write(b []byte) error {
	if r.f == nil {
		return fmt.Errorf("the guest sent %d bytes of no file", len(b))
	}
	_, err := r.f.Write(b)
	return err
}

// finish ends the last file and reads the result.
func (r *receiver) finish(payload []byte) (result wire.Result, err error) {
	if err := r.close(); err != nil {
		return result, err
	}
	if err := json.Unmarshal(payload, &result); err != nil {
		return result, fmt.Errorf("result from the guest: %w", err)
	}
	if result.Error != "" {
		return result, fmt.Errorf("in the guest: %s", result.Error)
	}
	return result, nil
}

func (r *receiver) close() error {
	if r.f == nil {
		return nil
	}
	f := r.f
	r.f = nil
	return f.Close()
}
