package result

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSpreadOf(t *testing.T) {
	upTo := func(n int) (all []time.Duration) {
		for i := n; i > 0; i-- {
			all = append(all, time.Duration(i))
		}
		return all
	}
	for _, tt := range []struct {
		name    string
		samples []time.Duration
		want    *Spread
	}{
		{"none", nil, nil},
		{"one", upTo(1), &Spread{1, 1, 1}},
		{"of ten the 99th percentile is the largest", upTo(10), &Spread{5, 10, 10}},
		{"a thousand", upTo(1000), &Spread{500, 990, 1000}},
	} {
		if diff := cmp.Diff(tt.want, SpreadOf(tt.samples)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
