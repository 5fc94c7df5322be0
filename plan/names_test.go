package plan

import (
	"strings"
	"testing"
)

func TestNamesAreUnique(t *testing.T) {
	long := strings.Repeat("192.0.2.1-", 3)
	given := []string{"", "a", long, "a", long + "1", long, "a", ""}
	want := []string{"", "a", long, "a (2)", long + "1", long + " (2)", "a (3)", " (2)"}
	x := newNames(len(given))
	for i, s := range given {
		if got := x.unique(s); got != want[i] {
			t.Errorf("name %d, %q, became %q, want %q", i, s, got, want[i])
		}
	}
}

// TestChainsDoNotDependOnTheHash: keys that all hash alike are found as any.
func TestChainsDoNotDependOnTheHash(t *testing.T) {
	keys := []alike{3, 1, 3, 2, 3, 1}
	c := newChains(len(keys), func(i int32) alike { return keys[i] })
	for i := range keys {
		c.add(int32(i))
	}
	for k, want := range map[alike][]int32{1: {5, 1}, 2: {3}, 3: {4, 2, 0}, 4: nil} {
		var got []int32
		c.each(k, func(i int32) { got = append(got, i) })
		last, found := c.last(k)
		if len(got) != len(want) || found != (len(want) > 0) || found && last != want[0] {
			t.Errorf("key %d: %v, the last is %d (%v); want %v", k, got, last, found, want)
			continue
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("key %d: %v, want %v", k, got, want)
			}
		}
	}
}

type alike int

func (alike) hash() mixed { return 42 }
