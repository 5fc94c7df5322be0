package schema

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
)

func write(t *testing.T, mode fs.FileMode, data string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plan.yaml")
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // the umask does not count
		t.Fatal(err)
	}
	return path
}

func TestLoadFileReadsAPlan(t *testing.T) {
	path := write(t, 0o644, header+oneMap)
	link := filepath.Join(t.TempDir(), "link.yaml")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, link} {
		if _, err := LoadFile(p, FileOptions{}); err != nil {
			t.Errorf("LoadFile(%s) = %v", p, err)
		}
	}
	if _, err := LoadFile("-", FileOptions{Stdin: strings.NewReader(header + oneMap)}); err != nil {
		t.Errorf("LoadFile(-) = %v", err)
	}
}

func TestLoadFileRefusesWhatOthersCanChange(t *testing.T) {
	paths := map[string]string{
		"writable by the group": write(t, 0o664, header+oneMap),
		"writable by everybody": write(t, 0o646, header+oneMap),
	}
	if os.Geteuid() == 0 {
		other := write(t, 0o600, header+oneMap)
		if err := os.Chown(other, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		paths["owned by another user"] = other
	}
	for name, path := range paths {
		t.Run(name, func(t *testing.T) {
			_, err := LoadFile(path, FileOptions{})
			var f *FileError
			if !errors.Is(err, ErrInsecure) || !errors.As(err, &f) || f.Hint == "" {
				t.Errorf("LoadFile = %v, want ErrInsecure with a hint", err)
			}
			if _, err := LoadFile(path, FileOptions{AllowInsecure: true}); err != nil {
				t.Errorf("with AllowInsecure: %v", err)
			}
		})
	}
}

// TestLoadFileRefusesWhatIsNoFile would hang on the FIFO if it were opened in the ordinary way.
func TestLoadFileRefusesWhatIsNoFile(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{t.TempDir(), fifo, "/dev/null"} {
		if _, err := LoadFile(path, FileOptions{AllowInsecure: true}); !errors.Is(err, ErrNotRegular) {
			t.Errorf("LoadFile(%s) = %v, want ErrNotRegular", path, err)
		}
	}
}

func TestLoadFileTellsUnreadableFromInvalid(t *testing.T) {
	var unreadable *FileError
	var invalid *Error
	_, err := LoadFile(filepath.Join(t.TempDir(), "none.yaml"), FileOptions{})
	if !errors.As(err, &unreadable) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v, want a *FileError", err)
	}
	_, err = LoadFile("-", FileOptions{Stdin: iotest.ErrReader(io.ErrUnexpectedEOF)})
	if !errors.As(err, &unreadable) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a broken pipe: %v, want a *FileError", err)
	}
	_, err = LoadFile(write(t, 0o600, "hello\n"), FileOptions{})
	if !errors.As(err, &invalid) {
		t.Errorf("a bad plan: %v, want an *Error", err)
	}
}

// endless never ends; only the limit stops reading it.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	for i := range p {
		p[i] = '\n'
	}
	return len(p), nil
}

func TestLoadFileStopsReadingAtTheLimit(t *testing.T) {
	in := &endless{}
	_, err := LoadFile("-", FileOptions{Stdin: in})
	var e *Error
	if !errors.As(err, &e) || e.Errors[0].Slug != fileTooBig {
		t.Errorf("LoadFile = %v, want %s", err, fileTooBig)
	}
	if in.read > MaxSize+1 {
		t.Errorf("read %d bytes", in.read)
	}
}
