package lab

import (
	"path/filepath"
	"strings"
	"time"
)

// A testRun is what a test binary's arguments say about files and time.
type testRun struct {
	makeDirs []string
	returned []string
	timeout  time.Duration // -test.timeout; 0 is none
	timed    bool          // -test.timeout was given
}

// outputFlags are the flags of testing(1) that name a file that the test writes, relative to -test.outputdir.
var outputFlags = map[string]bool{
	"blockprofile": true, "coverprofile": true, "cpuprofile": true, "memprofile": true, "mutexprofile": true, "trace": true,
	"testlogfile": true,
}

// outputDirFlags are those that name a directory.
var outputDirFlags = map[string]bool{"fuzzcachedir": true, "gocoverdir": true}

// readTestFlags reads the arguments of a test binary that runs in dir.
func readTestFlags(args []string, dir string) (testRun, error) {
	var run testRun
	var files []string
	outputDir := dir
	for i := 0; i < len(args) && args[i] != "--"; i++ {
		flag, ok := strings.CutPrefix(args[i], "-")
		if !ok {
			continue
		}
		name, value, given := strings.Cut(strings.TrimPrefix(flag, "-"), "=")
		name, ok = strings.CutPrefix(name, "test.")
		takes := ok && (outputFlags[name] || outputDirFlags[name] || name == "outputdir" || name == "timeout")
		if !takes {
			continue
		}
		if !given {
			if i++; i == len(args) {
				break // the test binary itself complains
			}
			value = args[i]
		}
		switch {
		case value == "":
		case name == "timeout":
			d, err := time.ParseDuration(value)
			if err != nil {
				return run, err
			}
			run.timeout, run.timed = d, true
		case name == "outputdir":
			outputDir = under(dir, value)
			run.makeDirs = append(run.makeDirs, outputDir)
		case outputDirFlags[name]:
			run.makeDirs = append(run.makeDirs, under(dir, value))
			run.returned = append(run.returned, under(dir, value))
		default:
			files = append(files, value)
		}
	}
	for _, f := range files {
		f = under(outputDir, f)
		run.makeDirs = append(run.makeDirs, filepath.Dir(f))
		run.returned = append(run.returned, f)
	}
	return run, nil
}

// under makes a path absolute from dir.
func under(dir, p string) string {
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	return filepath.Join(dir, p)
}
