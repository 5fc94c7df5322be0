package lab

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/lab/wire"
)

func TestReceiverWritesOnlyWhatWasAskedFor(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		path string
		ok   bool
	}{
		{dir + "/testdata/a/new", true},
		{dir + "/cover.out", true},
		{dir + "/testdata-not", false},
		{dir + "/testdata/../outside", false},
		{"/etc/lab-test", false},
	} {
		r := receiver{allowed: []string{filepath.Join(dir, "testdata"), filepath.Join(dir, "cover.out")}}
		b, err := json.Marshal(wire.FileHeader{Path: tt.path, Mode: 0o644})
		if err != nil {
			t.Fatal(err)
		}
		err = r.open(b)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v, want ok %v", tt.path, err, tt.ok)
		}
		if err == nil {
			r.write([]byte("text"))
			r.close()
			if got, err := os.ReadFile(tt.path); string(got) != "text" {
				t.Errorf("%s: %q, %v", tt.path, got, err)
			}
		}
	}
}
