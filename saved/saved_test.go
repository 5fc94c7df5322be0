package saved

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/review"
)

func example() *Plan {
	return &Plan{
		Created: time.Date(2026, 12, 1, 1, 0, 0, 0, time.UTC), Source: "plan.yaml", Document: []byte("kind: Renumbering\n"),
		Targets: []Target{{NetNS: "wan", Fingerprint: plan.Fingerprint{"SA": "digest"}, Review: &review.Review{Plan: "isp-swap"}}},
	}
}

func save(t *testing.T, p *Plan) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "saved.plan")
	if err := p.Save(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSavedPlanReadsBack(t *testing.T) {
	path := save(t, example())
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	want := example()
	if string(got.Document) != string(want.Document) || got.Source != want.Source || !got.Created.Equal(want.Created) ||
		len(got.Targets) != 1 || got.Targets[0].NetNS != "wan" || got.Targets[0].Fingerprint["SA"] != "digest" ||
		got.Targets[0].Review.Plan != "isp-swap" || len(got.Digest) != 64 {
		t.Errorf("got %+v", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v; want -rw-------", info.Mode(), err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("beside the file there is something: %v, %v", left, err)
	}
}

func TestParseRefuses(t *testing.T) {
	whole, err := json.Marshal(example())
	if err != nil {
		t.Fatal(err)
	}
	made := strings.Replace(string(whole), `"kind":"","version":0`, `"kind":"xfrm-plan/saved","version":2`, 1)
	if _, err := Parse([]byte(made)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, old, new, want string }{
		{"a plan file", made, "apiVersion: xfrm-plan/v1\n", "not a saved plan"},
		{"another version", `"version":2`, `"version":1`, "version 1 and this program knows version 2"},
		{"an unknown key", `"source"`, `"sauce"`, "damaged"},
		{"half of it", made, made[:len(made)/2], "damaged"},
		{"two of it", made, made + made, "something follows it"},
		{"no targets", made, `{"kind":"xfrm-plan/saved","version":2,"targets":[]}`, "for no network namespace"},
		{"no review", made, `{"kind":"xfrm-plan/saved","version":2,"targets":[{"netns":"wan"}]}`, "no review"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := Parse([]byte(strings.Replace(made, tc.old, tc.new, 1))); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want one with %q", err, tc.want)
			}
		})
	}
}

// TestSaveReplacesNothingElse: of what is there already only a saved plan makes room, and an empty file.
func TestSaveReplacesNothingElse(t *testing.T) {
	for _, tc := range []struct {
		name string
		make func(path string) error
		want string // empty if it is replaced
	}{
		{"nothing", func(string) error { return nil }, ""},
		{"a saved plan", func(path string) error { return example().Save(path) }, ""},
		{"an empty file", func(path string) error { return os.WriteFile(path, nil, 0o600) }, ""},
		{"a plan file", func(path string) error { return os.WriteFile(path, []byte("apiVersion: xfrm-plan/v1\n"), 0o600) }, "isn't a saved plan; name another file"},
		{"a directory", func(path string) error { return os.Mkdir(path, 0o700) }, "this is a directory"},
		{"a pipe", func(path string) error { return syscall.Mkfifo(path, 0o600) }, "this is a pipe"},
		{"a link", func(path string) error { return os.Symlink("/dev/null", path) }, "this is a symbolic link"},
		{"a link to nothing", func(path string) error { return os.Symlink("nowhere", path) }, "this is a symbolic link"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			if err := tc.make(path); err != nil {
				t.Fatal(err)
			}
			before, _ := os.Lstat(path)
			err := example().Save(path)
			after, aerr := os.Lstat(path)
			switch {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want == "":
				if data, err := os.ReadFile(path); err != nil || !Is(data) {
					t.Errorf("it isn't there: %v", err)
				}
			case err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path):
				t.Errorf("got error %v, want one with the path and %q", err, tc.want)
			case aerr != nil || !os.SameFile(before, after):
				t.Errorf("what was there has gone: %v", aerr)
			}
		})
	}
}

// TestCanSaveSaysWhatToDo does no more than ask: the devices are the machine's own.
func TestCanSaveSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"-":                "goes to a file; name one",
		"/dev/stdout":      "goes to a file; name one",
		"/dev/null":        "this is a device",
		"/dev/full":        "this is a device",
		dir + "/none/file": "there is no directory " + dir + "/none; make it first",
		dir + "/file/file": dir + "/file is not a directory",
	} {
		if err := CanSave(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "can't be saved to "+path) {
			t.Errorf("%s: got error %v, want one with %q", path, err, want)
		}
	}
}
