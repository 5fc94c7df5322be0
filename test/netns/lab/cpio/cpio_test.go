package cpio

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// list reads an archive back by the letter of the format and prints one line an entry.
func list(t *testing.T, b []byte) []string {
	t.Helper()
	var out []string
	r := bytes.NewReader(b)
	align := func() {
		off := r.Size() - int64(r.Len())
		r.Seek(-off&3, io.SeekCurrent)
	}
	for {
		h := make([]byte, 110)
		if _, err := io.ReadFull(r, h); err != nil {
			t.Fatalf("header after %d entries: %v", len(out), err)
		}
		if string(h[:6]) != "070701" {
			t.Fatalf("magic %q after %d entries", h[:6], len(out))
		}
		field := func(i int) int64 {
			n, err := strconv.ParseInt(string(h[6+8*i:14+8*i]), 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		name := make([]byte, field(11))
		io.ReadFull(r, name)
		align()
		data := make([]byte, field(6))
		io.ReadFull(r, data)
		align()
		if string(name) == "TRAILER!!!\x00" {
			return out
		}
		out = append(out, fmt.Sprintf("%o %s %q", field(1), strings.TrimSuffix(string(name), "\x00"), data))
	}
}

func TestWriterMakesParentsOnce(t *testing.T) {
	var buf bytes.Buffer
	w := NewWriter(&buf)
	w.Bytes("/a/b/one", 0o644, []byte("1"))
	w.Bytes("a/b/../b/two", 0o755, []byte("four"))
	w.Dir("a")
	w.Symlink("sbin/modprobe", "/init")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`40755 a ""`,
		`40755 a/b ""`,
		`100644 a/b/one "1"`,
		`100755 a/b/two "four"`,
		`40755 sbin ""`,
		`120777 sbin/modprobe "/init"`,
	}
	if got := list(t, buf.Bytes()); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if buf.Len()%4 != 0 {
		t.Errorf("archive of %d bytes: another one appended to it would not be aligned", buf.Len())
	}
}

func TestTreeKeepsModesAndLinks(t *testing.T) {
	dir := t.TempDir()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(dir, "sub"), 0o700))
	must(os.WriteFile(filepath.Join(dir, "sub", "x"), []byte("x"), 0o640))
	must(os.Symlink("sub/x", filepath.Join(dir, "link")))
	var buf bytes.Buffer
	w := NewWriter(&buf)
	w.Tree("/t", dir)
	must(w.Close())
	want := []string{`40755 t ""`, `120777 t/link "sub/x"`, `40755 t/sub ""`, `100640 t/sub/x "x"`}
	if got := list(t, buf.Bytes()); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestMissingFileIsReportedByClose(t *testing.T) {
	w := NewWriter(io.Discard)
	w.File("x", "/does/not/exist")
	w.Bytes("y", 0o644, nil)
	if err := w.Close(); !os.IsNotExist(err) {
		t.Errorf("Close: %v, want a not-exist error", err)
	}
}
