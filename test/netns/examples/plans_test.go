//go:build !lab

// The lab's machine has the plans elsewhere; what is tested here needs no kernel.

package examples

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/schema"
)

const dir = "../../../examples/plans"

func TestNoPlanIsForgotten(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	if !slices.Equal(files, Plans) {
		t.Errorf("the lab runs\n%v\nand there are\n%v", Plans, files)
	}
}

func TestPlansAreValid(t *testing.T) {
	for _, p := range Plans {
		doc, err := schema.LoadFile(filepath.Join(dir, p), schema.FileOptions{AllowInsecure: true})
		if err != nil {
			t.Error(err)
			continue
		}
		if doc.Metadata.Name+".yaml" != p {
			t.Errorf("%s is named %q: the file's name is what people look for in reports", p, doc.Metadata.Name)
		}
	}
}

func TestREADMEHasEveryPlan(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range Plans {
		if !strings.Contains(string(readme), "["+p+"]("+p+")") {
			t.Errorf("no link to %s", p)
		}
	}
}
