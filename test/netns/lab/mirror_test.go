package lab

import (
	"os"
	"path/filepath"
	"testing"
)

func TestHostMirror(t *testing.T) {
	const debian = "ID=debian\nVERSION_CODENAME=bookworm\n"
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"one stanza among others", map[string]string{
			"etc/os-release": debian,
			"etc/apt/sources.list.d/a-vendor.sources":  "Types: deb\nURIs: https://vendor.example/repo\nSuites: nodistro\nComponents: main\n",
			"etc/apt/sources.list.d/b-debian.sources":  "Types: deb\n# http://snapshot.example/old\nURIs: http://near.example/debian\nSuites: bookworm bookworm-updates\n",
			"etc/apt/sources.list.d/c-another.sources": "Types: deb\nURIs: http://far.example/debian\nSuites: bookworm\n",
		}, "http://near.example/debian"},
		{"one-line format with options", map[string]string{
			"etc/os-release":       debian,
			"etc/apt/sources.list": "# deb http://off.example bookworm main\ndeb http://sec.example bookworm-security main\ndeb [arch=amd64 signed-by=/k] https://near.example/debian bookworm main\n",
		}, "https://near.example/debian"},
		{"only what apt alone can resolve", map[string]string{
			"etc/os-release":                         debian,
			"etc/apt/sources.list.d/debian.sources":  "Types: deb\nURIs: mirror+file:///etc/apt/mirrors/debian.list\nSuites: bookworm\n",
			"etc/apt/sources.list.d/disabled.backup": "deb http://backup.example/debian bookworm main\n",
		}, ""},
		{"disabled stanza", map[string]string{
			"etc/os-release":                        debian,
			"etc/apt/sources.list.d/debian.sources": "Types: deb\nEnabled: no\nURIs: http://near.example/debian\nSuites: bookworm\n",
		}, ""},
		{"another distribution", map[string]string{
			"etc/os-release":       "ID=ubuntu\nVERSION_CODENAME=noble\n",
			"etc/apt/sources.list": "deb http://near.example/ubuntu noble main\n",
		}, ""},
		{"nothing", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			for name, text := range tt.files {
				p := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got := hostMirror(root); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
