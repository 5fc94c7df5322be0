package modules

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// testIndex is cut from a real module directory: esp4 needs xfrm_algo through both of its other needs.
func testIndex(t *testing.T) *Index {
	t.Helper()
	dir := t.TempDir()
	for file, text := range map[string]string{
		"modules.dep": `kernel/net/ipv4/esp4.ko.xz: kernel/net/xfrm/xfrm_esp.ko.xz kernel/crypto/authenc.ko.xz kernel/net/xfrm/xfrm_algo.ko.xz
kernel/net/xfrm/xfrm_esp.ko.xz: kernel/net/xfrm/xfrm_algo.ko.xz
kernel/crypto/authenc.ko.xz:
kernel/net/xfrm/xfrm_algo.ko.xz:
kernel/drivers/char/hw_random/virtio-rng.ko.xz:
kernel/crypto/aes_a.ko.xz:
kernel/crypto/aes_b.ko.xz:
`,
		"modules.alias": `# Aliases extracted from modules themselves.
alias xfrm-type-2-50 esp4
alias crypto-aes aes_a
alias crypto-aes aes_b
alias virtio:d00000004v* virtio_rng
`,
		"modules.builtin": "kernel/fs/ext4/ext4.ko\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	x, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestResolve(t *testing.T) {
	x := testIndex(t)
	for _, tt := range []struct {
		in   string
		want []string
		fail bool
	}{
		{in: "esp4", want: []string{"esp4"}},
		{in: "virtio-rng", want: []string{"virtio_rng"}},
		{in: "xfrm-type-2-50", want: []string{"esp4"}},
		{in: "crypto-aes", want: []string{"aes_a", "aes_b"}},
		{in: "virtio:d00000004v00001AF4", want: []string{"virtio_rng"}},
		{in: "ext4", want: nil},
		{in: "xfrm-type-2-51", fail: true},
	} {
		got, err := x.Resolve(tt.in)
		if !slices.Equal(got, tt.want) || (err != nil) != tt.fail {
			t.Errorf("Resolve(%q) = %q, %v; want %q, error %v", tt.in, got, err, tt.want, tt.fail)
		}
	}
}

func TestOrderLoadsNeedsFirstAndOnce(t *testing.T) {
	got, err := testIndex(t).Order("esp4", "ext4", "xfrm_esp")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"kernel/net/xfrm/xfrm_algo.ko.xz",
		"kernel/crypto/authenc.ko.xz",
		"kernel/net/xfrm/xfrm_esp.ko.xz",
		"kernel/net/ipv4/esp4.ko.xz",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestOrderNamesTheMissingModule(t *testing.T) {
	if _, err := testIndex(t).Order("iptfs"); err == nil {
		t.Error("no error for a module that the kernel does not have")
	}
}

func TestBelow(t *testing.T) {
	got := testIndex(t).Below("kernel/net/xfrm", "kernel/drivers")
	if want := []string{"virtio_rng", "xfrm_algo", "xfrm_esp"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
