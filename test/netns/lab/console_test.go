package lab

import (
	"strings"
	"testing"
)

func TestConsoleSeesAPanicThatIsCutByReads(t *testing.T) {
	c := newConsole()
	c.add([]byte("[    1.0] Kernel pan"))
	select {
	case <-c.dead:
		t.Fatal("dead too early")
	default:
	}
	c.add([]byte("ic - not syncing: test\r\n"))
	c.add([]byte("Kernel panic - not syncing: again\r\n"))
	select {
	case <-c.dead:
	default:
		t.Fatal("the panic was not seen")
	}
	if strings.Contains(c.String(), "\r") {
		t.Error("carriage returns of the serial line are kept")
	}
}

func TestConsoleKeepsTheEnd(t *testing.T) {
	c := newConsole()
	c.add([]byte(strings.Repeat("a", consoleKeep)))
	c.add([]byte("the end"))
	if s := c.String(); len(s) != consoleKeep || !strings.HasSuffix(s, "the end") {
		t.Errorf("%d bytes, ending in %q", len(s), s[len(s)-10:])
	}
}
