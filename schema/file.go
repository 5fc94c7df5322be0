package schema

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/xfrm-plan/xfrm-plan/plan"
)

// FileOptions say what LoadFile may read. The zero FileOptions are the strict ones.
type FileOptions struct {
	// AllowInsecure takes a file that others own or can write.
	AllowInsecure bool
	// Stdin is what the path "-" stands for; nil is os.Stdin. Its owner and mode are not looked at.
	Stdin io.Reader
}

// The ways in which a file is refused before its content is read; FileError wraps them, or the system's error.
var (
	ErrInsecure   = errors.New("others could have changed the file")
	ErrNotRegular = errors.New("not a regular file")
)

// FileError is a plan file that could not be read, or that is not safe to read. What is wrong with its content is an
// *Error instead.
type FileError struct {
	Path   string
	Reason string
	Hint   string // what to do about it; may be empty
	Err    error
}

// Error formats as path: reason; hint.
func (e *FileError) Error() string {
	if e.Hint == "" {
		return e.Path + ": " + e.Reason
	}
	return e.Path + ": " + e.Reason + "; " + e.Hint
}

// Unwrap is ErrInsecure, ErrNotRegular or the system's error.
func (e *FileError) Unwrap() error { return e.Err }

// LoadFile reads a plan from a file, or from standard input if path is "-". Symbolic links are followed; all checks
// are of the file that was opened. The error is a *FileError or an *Error.
func LoadFile(path string, options FileOptions) (*plan.Document, error) {
	b, err := ReadFile(path, options, MaxSize)
	if err != nil {
		return nil, err
	}
	if path == "-" {
		path = "<stdin>"
	}
	return Load(path, b)
}

// ReadFile reads a file with the checks of LoadFile and without looking at what is in it: at most limit bytes, and one
// more to tell a file that is too big. The error is a *FileError.
func ReadFile(path string, options FileOptions, limit int64) ([]byte, error) {
	if path == "-" {
		in := options.Stdin
		if in == nil {
			in = os.Stdin
		}
		return read("<stdin>", in, limit)
	}
	// Opening alone can do things to a device, and a FIFO keeps the caller waiting: look before, and once more after.
	before, err := os.Stat(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	if err := regular(path, before); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, unreadable(path, err)
	}
	if err := regular(path, info); err != nil {
		return nil, err
	}
	if !options.AllowInsecure {
		if err := secure(path, info); err != nil {
			return nil, err
		}
	}
	return read(path, f, limit)
}

func read(name string, from io.Reader, limit int64) ([]byte, error) {
	var b bytes.Buffer
	if _, err := b.ReadFrom(io.LimitReader(from, limit+1)); err != nil {
		return nil, unreadable(name, err)
	}
	return b.Bytes(), nil
}

func unreadable(path string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		hint = "check the path"
	case errors.Is(err, fs.ErrPermission):
		hint = "run as a user who may read it"
	}
	cause := err
	var p *fs.PathError
	if errors.As(err, &p) {
		cause = p.Err // the path is in FileError already
	}
	return &FileError{Path: path, Reason: "cannot be read: " + cause.Error(), Hint: hint, Err: err}
}

func regular(path string, info fs.FileInfo) error {
	what := ""
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		what = "a directory"
	case mode&fs.ModeNamedPipe != 0:
		what = "a pipe"
	case mode&fs.ModeSocket != 0:
		what = "a socket"
	default:
		what = "a device"
	}
	hint := "name the plan file"
	if what == "a pipe" {
		hint = "name the plan file, or give - and pipe the plan into standard input"
	}
	return &FileError{Path: path, Reason: "this is " + what + ", not a file", Hint: hint, Err: ErrNotRegular}
}

// secure refuses a file that somebody other than the caller or root could have changed.
func secure(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return &FileError{Path: path, Reason: "its owner is not known", Err: ErrInsecure}
	}
	if uid := os.Geteuid(); stat.Uid != 0 && int(stat.Uid) != uid {
		return &FileError{
			Path: path, Reason: fmt.Sprintf("it belongs to user %d, who could change what this run does", stat.Uid),
			Hint: fmt.Sprintf("chown root %q, after reading it", path), Err: ErrInsecure,
		}
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return &FileError{
			Path: path, Reason: fmt.Sprintf("others than its owner can write it (mode %04o)", mode),
			Hint: fmt.Sprintf("chmod go-w %q, after reading it", path), Err: ErrInsecure,
		}
	}
	return nil
}
