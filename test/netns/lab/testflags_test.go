package lab

import (
	"slices"
	"testing"
	"time"
)

func TestReadTestFlags(t *testing.T) {
	for _, tt := range []struct {
		name     string
		args     []string
		makeDirs []string
		returned []string
		timeout  time.Duration
		timed    bool
	}{
		{name: "none", args: []string{"-test.v", "-test.run=X", "other"}},
		{
			name:    "as go test passes them",
			args:    []string{"-test.paniconexit0", "-test.testlogfile=/tmp/b1/testlog.txt", "-test.timeout=10m0s", "-test.coverprofile=/tmp/b1/_cover_.out", "-test.gocoverdir=/tmp/b1/gocoverdir"},
			timeout: 10 * time.Minute, timed: true,
			makeDirs: []string{"/tmp/b1/gocoverdir", "/tmp/b1", "/tmp/b1"},
			returned: []string{"/tmp/b1/gocoverdir", "/tmp/b1/testlog.txt", "/tmp/b1/_cover_.out"},
		},
		{
			name:     "relative to outputdir, whichever comes first",
			args:     []string{"--test.cpuprofile=cpu.out", "-test.outputdir", "prof"},
			makeDirs: []string{"/pkg/prof", "/pkg/prof"},
			returned: []string{"/pkg/prof/cpu.out"},
		},
		{
			name: "relative to the package",
			args: []string{"-test.trace", "t.out"}, makeDirs: []string{"/pkg"}, returned: []string{"/pkg/t.out"},
		},
		{name: "no limit", args: []string{"-test.timeout=0"}, timed: true},
		{name: "after the end of flags", args: []string{"--", "-test.trace=t.out"}},
		{name: "not the testing package's", args: []string{"-trace=t.out", "-timeout=3s"}},
		{name: "value missing", args: []string{"-test.trace"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readTestFlags(tt.args, "/pkg")
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.makeDirs, tt.makeDirs) || !slices.Equal(got.returned, tt.returned) {
				t.Errorf("got dirs %q files %q\nwant dirs %q files %q", got.makeDirs, got.returned, tt.makeDirs, tt.returned)
			}
			if got.timeout != tt.timeout || got.timed != tt.timed {
				t.Errorf("got timeout %v %v, want %v %v", got.timeout, got.timed, tt.timeout, tt.timed)
			}
		})
	}
}
