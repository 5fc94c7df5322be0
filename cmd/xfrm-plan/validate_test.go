package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestValidateSaysSoIfNobodyHearsIt: a script that writes the answer to a full disk must not take it for a yes.
func TestValidateSaysSoIfNobodyHearsIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.yaml")
	plan := "apiVersion: xfrm-plan/v1\nkind: Renumbering\nmetadata: {name: x}\nrenumber:\n  - {from: 192.0.2.1, to: 198.51.100.1}\nike: {follow: none}\n"
	if err := os.WriteFile(path, []byte(plan), 0o600); err != nil {
		t.Fatal(err)
	}
	full := writerFunc(func([]byte) (int, error) { return 0, errors.New("no space left on device") })
	for _, args := range [][]string{{"validate", path}, {"validate", "-o", "json", path}, {"version"}} {
		var said strings.Builder
		p := &program{in: strings.NewReader(""), out: full, err: &said}
		if got := p.run(t.Context(), args); got != exitUnexpected || !strings.Contains(said.String(), "no space left") {
			t.Errorf("%v: exit status %d and %q, want %d and the reason", args, got, said.String(), exitUnexpected)
		}
	}
}
