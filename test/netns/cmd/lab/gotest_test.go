//go:build labhost

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func goTest(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("go", append([]string{"test", "-buildvcs=false", "-count=1", "-exec", labBinary + " exec"}, args...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestGoTestRunsOneTestWithCoverage(t *testing.T) {
	t.Parallel()
	profile := filepath.Join(t.TempDir(), "cover.out")
	out, err := goTest(t, "-tags", "lab", "-json", "-run", "TestLoopbackIsUp", "-coverpkg", "../../kernel", "-coverprofile", profile, "../../smoke")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(out, `"Action":"pass"`) || !strings.Contains(out, `"Test":"TestLoopbackIsUp"`) {
		t.Errorf("no event of the test:\n%s", out)
	}
	if strings.Contains(out, "TestKernelKnowsMigrateState") {
		t.Errorf("-run did not select:\n%s", out)
	}
	b, err := os.ReadFile(profile)
	if err != nil || !strings.Contains(string(b), "kernel/main.go") {
		t.Errorf("coverage profile: %v\n%s", err, b)
	}
}

// TestKernelTestsFailOutsideTheLab runs the smoke tests on this machine, where they must not pass, whatever its kernel.
func TestKernelTestsFailOutsideTheLab(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "test", "-buildvcs=false", "-count=1", "-tags", "lab", "../../smoke").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "not in the lab") {
		t.Errorf("%v, want a failure that explains itself:\n%s", err, out)
	}
}
