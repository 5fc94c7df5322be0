package host

import "testing"

func TestOpenRefusesNamesThatArePaths(t *testing.T) {
	for _, name := range []string{"../../etc", "a/b", ".", ".."} {
		if ns, err := Open(name); err == nil {
			ns.Close()
			t.Errorf("Open(%q) succeeded", name)
		}
	}
}
