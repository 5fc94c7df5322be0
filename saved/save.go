package saved

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Save writes the plan to a file that is either whole or as it was before. What CanSave refuses stays as it is.
func (p *Plan) Save(path string) (err error) {
	if err := CanSave(path); err != nil {
		return err
	}
	p.Kind, p.Version = kind, version
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return notSaved(path, err)
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	err = json.NewEncoder(f).Encode(p)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return notSaved(path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return notSaved(path, err)
	}
	return nil
}

// CanSave refuses to put a saved plan in the place of anything but an older one, or of an empty file, as mktemp makes
// them.
func CanSave(path string) error {
	dir := filepath.Dir(path)
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return refused(path, "there is no directory "+dir, "make it first")
	case err != nil:
		return notSaved(path, err)
	case !info.IsDir():
		return refused(path, dir+" is not a directory", "name a file in one")
	}
	info, err := os.Lstat(path) // a link would be replaced, not what it points to
	switch {
	case path == "-", path == "/dev/stdout":
		return refused(path, "a saved plan goes to a file", "name one, and have `xfrm-plan show` print it")
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return notSaved(path, err)
	case !info.Mode().IsRegular():
		return refused(path, "this is "+whatIs(info.Mode()), "name a file that isn't there yet")
	}
	switch old, err := isSaved(path); {
	case err != nil:
		return notSaved(path, err)
	case !old && info.Size() != 0:
		return refused(path, "it is there already and isn't a saved plan", "name another file, or remove it first")
	}
	return nil
}

func refused(path, reason, hint string) error {
	return fmt.Errorf("the plan can't be saved to %s: %s; %s", path, reason, hint)
}

// notSaved leaves out the system's call and the name of the temporary file.
func notSaved(path string, err error) error {
	var ofPath *fs.PathError
	var ofLink *os.LinkError
	switch {
	case errors.As(err, &ofPath):
		err = ofPath.Err
	case errors.As(err, &ofLink):
		err = ofLink.Err
	}
	return fmt.Errorf("the plan can't be saved to %s: %w", path, err)
}

func whatIs(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "a directory"
	case m&fs.ModeSymlink != 0:
		return "a symbolic link"
	case m&fs.ModeNamedPipe != 0:
		return "a pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

// isSaved looks at the head of a file. It waits for nothing, should the file have become a pipe meanwhile.
func isSaved(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, headSize))
	return Is(head), err
}
