package kernel

import "testing"

func TestParseRelease(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want Release
		ok   bool
	}{
		{"7.3.4+deb13-cloud-amd64", Release{7, 3}, true},
		{"7.2-rc1", Release{7, 2}, true},
		{"7.10", Release{7, 10}, true},
		{"10.0.0", Release{10, 0}, true},
		{"7", Release{}, false},
		{"7.", Release{}, false},
		{"next.1", Release{}, false},
		{"", Release{}, false},
	} {
		got, err := ParseRelease(tt.in)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("ParseRelease(%q) = %v, %v; want %v, ok %v", tt.in, got, err, tt.want, tt.ok)
		}
	}
}

func TestAtLeastComparesNumbersNotText(t *testing.T) {
	for _, tt := range []struct {
		r    Release
		want bool
	}{
		{Release{6, 18}, false}, {Release{7, 1}, false}, {Release{7, 2}, true}, {Release{7, 10}, true}, {Release{10, 0}, true},
	} {
		if got := tt.r.AtLeast(Required); got != tt.want {
			t.Errorf("%v at least %v: %v, want %v", tt.r, Required, got, tt.want)
		}
	}
}
