//go:build lab

package codec

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// A process that reads the SAs of a namespace must not keep a key. These tests look for one in the output and in the
// memory of such a process: a child, since NLDEBUG is read when a process starts, whose own child makes the key up and
// passes it on masked, so that the reader never holds it in any other way than from the kernel.
const (
	readerArg  = "canary-reader"
	installArg = "canary-install"
	mask       = 0xa5
)

func TestKeysStayInTheKernel(t *testing.T) {
	n := newNetNS(t)
	reader := exec.Command("/proc/self/exe", readerArg, n.name)
	reader.Env = append(os.Environ(), "NLDEBUG=level=2")
	out, err := reader.CombinedOutput()
	if err != nil {
		t.Fatalf("reader: %v: ...%s", err, out[max(0, len(out)-300):]) // the verdict; before it stand whole buffers
	}
	first, rest, _ := strings.Cut(string(out), "\n")
	key := unmask(t, first)
	if !strings.Contains(rest, "HasAlgorithm:true") {
		t.Fatal("the reader printed no SA")
	}
	for _, form := range []string{
		string(key), hex.EncodeToString(key), fmt.Sprintf("%v", key)[1:40], fmt.Sprintf("%#v", key)[7:60], fmt.Sprintf("%q", key)[1:20],
	} {
		if strings.Contains(rest, form) {
			t.Errorf("the key stands in the output as %q", form)
		}
	}
}

func unmask(t *testing.T, s string) []byte {
	t.Helper()
	key, err := hex.DecodeString(s)
	if err != nil || len(key) != 36 {
		t.Fatalf("masked key %q: %v", s, err)
	}
	for i := range key {
		key[i] ^= mask
	}
	return key
}

// canaryInstall is the child that has the key in plain: it adds an SA and prints the key masked.
func canaryInstall(namespace string) int {
	key := make([]byte, 36)
	rand.Read(key)
	add := fmt.Sprintf("xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 mode tunnel aead rfc4106(gcm(aes)) 0x%x 128", key)
	if out, err := exec.Command("ip", append([]string{"-n", namespace}, strings.Fields(add)...)...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %s\n", err, out)
		return 1
	}
	for i := range key {
		key[i] ^= mask
	}
	fmt.Printf("%x", key)
	return 0
}

// canaryReader has every SA and notification go through its hands, prints them in all forms, and searches its memory.
func canaryReader(namespace string) int {
	if err := readCanary(namespace); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func readCanary(namespace string) error {
	ns, err := os.Open("/run/netns/" + namespace)
	if err != nil {
		return err
	}
	conn, err := xfrm.Dial(xfrm.NetNS(ns.Fd()))
	if err != nil {
		return err
	}
	monitor, err := xfrm.DialMonitor(xfrm.NetNS(ns.Fd()), xfrm.GroupSA, xfrm.GroupExpire, xfrm.GroupMigrate)
	if err != nil {
		return err
	}
	out, err := exec.Command("/proc/self/exe", installArg, namespace).Output()
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", out)
	masked, err := hex.DecodeString(string(out))
	if err != nil {
		return err
	}

	var seen []any
	sas, err := conn.SAs()
	if err != nil || len(sas) != 1 {
		return fmt.Errorf("%d SAs: %w", len(sas), err)
	}
	statuses, errs := conn.Statuses(xfrm.GetSAStatus(sas[0].ID, sas[0].Mark))
	m := migrationOf(&sas[0], "192.0.2.9", "203.0.113.9")
	seen = append(seen, sas, statuses, errs, conn, monitor, m, conn.Do(m.Request()))
	if out, err := exec.Command("ip", "-n", namespace, "xfrm", "state", "deleteall").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	for range 3 { // NEWSA, MIGRATE_STATE, DELSA
		e, err := monitor.Next(time.Now().Add(5 * time.Second))
		if err != nil {
			return err
		}
		seen = append(seen, e, e.SA)
	}
	for _, v := range seen {
		j, _ := json.Marshal(v)
		fmt.Printf("%v\n%+v\n%#v\n%s\n", v, v, v, j)
	}
	return searchMemory(masked)
}

// plain is the key of TestSearchFindsWhatIsThere. A local variable may be on a stack, whose growth leaves copies behind.
var plain [36]byte

func TestSearchFindsWhatIsThere(t *testing.T) {
	rand.Read(plain[:])
	masked := make([]byte, len(plain))
	for i := range masked {
		masked[i] = plain[i] ^ mask
	}
	if err := searchMemory(masked); err == nil {
		t.Error("a key in plain was not found")
	}
	clear(plain[:])
	if err := searchMemory(masked); err != nil {
		t.Errorf("after it was cleared: %v", err)
	}
}
