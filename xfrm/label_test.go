package xfrm

import "testing"

// TestLabelGoesBackWithoutTheNULThatTheKernelAdds: a policy with a security context that was rewritten as it was read came out of the
// kernel with one NUL more, so that it was not recognised as what had been written.
func TestLabelGoesBackWithoutTheNULThatTheKernelAdds(t *testing.T) {
	for _, tt := range []struct{ name, stored, want string }{
		{"none", "", ""},
		{"one NUL", "\x0b\x00\x08\x00\x01\x01\x03\x00ab\x00", "\x0a\x00\x08\x00\x01\x01\x02\x00ab"},
		{"two NULs", "\x0c\x00\x08\x00\x01\x01\x04\x00ab\x00\x00", "\x0b\x00\x08\x00\x01\x01\x03\x00ab\x00"},
		{"none behind it", "\x0a\x00\x08\x00\x01\x01\x02\x00ab", "\x0a\x00\x08\x00\x01\x01\x02\x00ab"},
		{"a header that ends with one", "\x08\x00\x08\x00\x01\x01\x00\x00", "\x08\x00\x08\x00\x01\x01\x00\x00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := toStore(tt.stored); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			p := Policy{Label: tt.stored}
			q, err := DecodePolicy(p.AppendTo(nil))
			if err != nil || q.Label != tt.stored {
				t.Errorf("AppendTo and DecodePolicy make %q of it, %v: they keep it as it is", q.Label, err)
			}
		})
	}
}
