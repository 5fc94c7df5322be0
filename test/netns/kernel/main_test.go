package kernel

import "testing"

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name, env, release string
		ok                 bool
	}{
		{"small machine", Small, "7.3.4+deb13-cloud-amd64", true},
		{"system", System, "7.2.0", true},
		{"not in the lab", "", "7.3.4", false},
		{"old kernel in the lab", Small, "6.18.44", false},
		{"odd release", Small, "next", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := check(tt.env, func() (string, error) { return tt.release, nil })
			if (err == nil) != tt.ok {
				t.Errorf("got %v, want ok %v", err, tt.ok)
			}
		})
	}
}
