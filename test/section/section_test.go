package section

import (
	"strings"
	"testing"
)

func TestSectionReplacesWhatIsBetweenItsMarkers(t *testing.T) {
	const document = `# Benchmarks

<!-- begin compute: made by make bench -->
old figures
<!-- end compute -->
By hand.
<!-- begin floor: made by make bench -->
others
<!-- end floor -->
`
	got, err := Section{"compute", "new figures\n"}.In([]byte(document))
	want := strings.Replace(document, "old figures\n", "\nnew figures\n\n", 1)
	if err != nil || string(got) != want {
		t.Errorf("got %v\n%s\nwant\n%s", err, got, want)
	}
	again, err := Section{"compute", "new figures\n"}.In(got)
	if err != nil || string(again) != want {
		t.Errorf("once more: got %v\n%s", err, again)
	}
}

func TestSectionWithoutPlaceIsAnError(t *testing.T) {
	for name, document := range map[string]string{
		"no markers":    "# Benchmarks\n",
		"no end":        "<!-- begin compute: made by make bench -->\n",
		"end first":     "<!-- end compute -->\n<!-- begin compute: made by make bench -->\n",
		"another's end": "<!-- begin compute: made by make bench -->\n<!-- end floor -->\n",
	} {
		if got, err := (Section{"compute", "x"}).In([]byte(document)); err == nil {
			t.Errorf("%s: got %q, want an error", name, got)
		}
	}
}
