// Package cpio writes archives in the "newc" format, the one that the kernel unpacks into its initramfs.
//
// The format is described in the kernel's Documentation/driver-api/early-userspace/buffer-format.rst. The kernel accepts several
// archives one after another, which is how a job is added to a cached base.
package cpio

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// File type bits of c_mode, from the kernel's include/uapi/linux/stat.h.
const (
	typeDir  = 0o040000
	typeReg  = 0o100000
	typeLink = 0o120000
)

// A Writer appends entries to an archive. Errors stick: check the one from Close.
// Parent directories are made as needed, since the kernel does not make them.
type Writer struct {
	w    io.Writer
	err  error
	off  int64
	ino  uint32
	dirs map[string]bool
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: w, dirs: map[string]bool{".": true, "/": true}}
}

// Dir adds a directory and its parents, all with mode 0755.
func (w *Writer) Dir(name string) {
	name = clean(name)
	if w.dirs[name] {
		return
	}
	w.dirs[name] = true
	w.parents(name)
	w.header(name, typeDir|0o755, 0)
}

// Bytes adds a regular file.
func (w *Writer) Bytes(name string, perm fs.FileMode, data []byte) {
	name = clean(name)
	w.parents(name)
	w.header(name, typeReg|uint32(perm.Perm()), int64(len(data)))
	w.write(data)
	w.pad()
}

// Symlink adds a symbolic link.
func (w *Writer) Symlink(name, target string) {
	name = clean(name)
	w.parents(name)
	w.header(name, typeLink|0o777, int64(len(target)))
	w.write([]byte(target))
	w.pad()
}

// File adds the host's file at src, following a symbolic link at src itself.
func (w *Writer) File(name, src string) {
	if w.err != nil {
		return
	}
	f, err := os.Open(src)
	if err != nil {
		w.err = err
		return
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		w.err = err
		return
	}
	if !fi.Mode().IsRegular() {
		w.err = fmt.Errorf("%s: not a regular file", src)
		return
	}
	name = clean(name)
	w.parents(name)
	w.header(name, typeReg|uint32(fi.Mode().Perm()), fi.Size())
	if w.err != nil {
		return
	}
	n, err := io.CopyN(w.w, f, fi.Size())
	w.off += n
	if err != nil {
		w.err = fmt.Errorf("%s: %w", src, err)
	}
	w.pad()
}

// Tree adds the host's file or directory at src under name, links as links.
func (w *Writer) Tree(name, src string) {
	if w.err != nil {
		return
	}
	// A link at the top is followed: whoever names it means what it points to.
	real, err := filepath.EvalSymlinks(src)
	if err != nil {
		w.err = err
		return
	}
	err = filepath.WalkDir(real, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(real, p)
		if err != nil {
			return err
		}
		dst := path.Join(name, rel)
		switch d.Type() {
		case 0:
			w.File(dst, p)
		case fs.ModeDir:
			w.Dir(dst)
		case fs.ModeSymlink:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			w.Symlink(dst, target)
		}
		// Sockets, pipes and devices mean nothing in another machine and are left out.
		return w.err
	})
	if w.err == nil {
		w.err = err
	}
}

// Close ends the archive and returns the first error. It does not close the underlying writer.
func (w *Writer) Close() error {
	w.header("TRAILER!!!", 0, 0)
	return w.err
}

// parents adds the directories above a cleaned name.
func (w *Writer) parents(name string) {
	if dir := path.Dir(name); !w.dirs[dir] {
		w.Dir(dir)
	}
}

// header writes struct cpio_newc_header: a magic, 13 fields of 8 hex digits, the name with its NUL, padding to 4 bytes.
func (w *Writer) header(name string, mode uint32, size int64) {
	// c_filesize has 8 hex digits, and the kernel reads it into a 32-bit value.
	if size > 1<<32-1 && w.err == nil {
		w.err = fmt.Errorf("%s: %d bytes do not fit into a cpio archive", name, size)
	}
	w.ino++
	w.write(fmt.Appendf(nil, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		w.ino, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name)+1, 0, name))
	w.pad()
}

func (w *Writer) pad() {
	w.write(make([]byte, -w.off&3))
}

func (w *Writer) write(b []byte) {
	if w.err != nil {
		return
	}
	n, err := w.w.Write(b)
	w.off += int64(n)
	w.err = err
}

// clean makes a name relative to the archive's root, as find(1) would print it.
func clean(name string) string {
	return path.Clean(strings.TrimLeft(path.Clean("/"+name), "/"))
}
