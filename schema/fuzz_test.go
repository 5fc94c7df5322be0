package schema

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/xfrm-plan/xfrm-plan/plan"
)

// FuzzLoad holds that Load answers, in time and in little memory, with a document or with problems that each have all their parts.
func FuzzLoad(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	plans, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range append(seeds, plans...) {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		begin := time.Now()
		var doc *plan.Document
		var err error
		used := growth(t, func() { doc, err = Load("plan.yaml", data) })
		if used > mostMemory*int64(max(1, len(data)>>20)) && !raceDetector() {
			t.Errorf("took %d MiB for %d bytes", used>>20, len(data))
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("took %v for %d bytes", took, len(data))
		}
		if err == nil {
			if len(doc.Targets) == 0 || len(doc.Waves) == 0 || len(doc.Renumber) == 0 || doc.Metadata.Name == "" || doc.Digest == "" {
				t.Errorf("incomplete document: %+v", doc)
			}
			// What loads is valid by the published schema too: the decoder may be stricter, never laxer.
			l := newLoader("plan.yaml")
			v := validation{loader: l, skipped: map[*yaml.Node]int{}}
			if e := check(v.value(l.parse(data))); e != nil {
				t.Errorf("loads, but is not valid by the schema: %v", e)
			}
			for _, r := range doc.Renumber {
				if r.From.Masked() != r.From || r.To.Masked() != r.To || !r.From.IsValid() || !r.To.IsValid() {
					t.Errorf("not masked: %+v", r)
				}
			}
			return
		}
		var e *Error
		if !errors.As(err, &e) || len(e.Errors) == 0 || doc != nil {
			t.Fatalf("Load = %v, %#v", doc, err)
		}
		for _, p := range e.Errors {
			checkProblem(t, p)
		}
		_ = err.Error()
	})
}
