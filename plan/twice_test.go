package plan

import (
	"net/netip"
	"testing"
)

func TestMeetsItself(t *testing.T) {
	for _, tc := range []struct {
		name  string
		rules [][2]string
		want  bool
	}{
		{"apart", [][2]string{{"192.0.2.0/28", "198.51.100.0/28"}}, false},
		{"a chain of hosts", [][2]string{{"192.0.2.1/32", "192.0.2.2/32"}, {"192.0.2.2/32", "192.0.2.3/32"}}, true},
		{"a to inside a from", [][2]string{{"192.0.2.0/24", "198.51.100.0/24"}, {"203.0.113.1/32", "192.0.2.7/32"}}, true},
		{"a from inside a to", [][2]string{{"192.0.2.0/24", "198.51.100.0/24"}, {"198.51.100.7/32", "203.0.113.1/32"}}, true},
		{"a swap", [][2]string{{"192.0.2.1/32", "192.0.2.2/32"}, {"192.0.2.2/32", "192.0.2.1/32"}}, true},
		{"across families", [][2]string{{"192.0.2.1/32", "2001:db8::1/128"}, {"2001:db8::/64", "2001:db8:1::/64"}}, true},
		{"the same bytes in the other family", [][2]string{{"192.0.2.1/32", "2001:db8::1/128"}, {"2001:db8:2::/64", "2001:db8:1::/64"}}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := new(Document)
			for _, r := range tc.rules {
				d.Renumber = append(d.Renumber, Renumber{From: netip.MustParsePrefix(r[0]), To: netip.MustParsePrefix(r[1])})
			}
			if got := d.MeetsItself(); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
