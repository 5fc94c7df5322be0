package plan

import "fmt"

// names makes the groups' names unique: journals and reports tell groups by them.
type names struct {
	given []name
	count []int32 // by the first of a name
	find  *chains[name]
}

type name string

func (k name) hash() mixed {
	h := unmixed.word(uint64(len(k)))
	for ; len(k) >= 8; k = k[8:] {
		h = h.word(uint64(k[0]) | uint64(k[1])<<8 | uint64(k[2])<<16 | uint64(k[3])<<24 |
			uint64(k[4])<<32 | uint64(k[5])<<40 | uint64(k[6])<<48 | uint64(k[7])<<56)
	}
	var rest uint64
	for i := range len(k) {
		rest = rest<<8 | uint64(k[i])
	}
	return h.word(rest)
}

func newNames(n int) *names {
	x := &names{given: make([]name, 0, n), count: make([]int32, n)}
	x.find = newChains(n, func(i int32) name { return x.given[i] })
	return x
}

// unique returns the name, numbered from its second time on.
func (x *names) unique(s string) string {
	x.given = append(x.given, name(s))
	first, _ := x.find.first(int32(len(x.given) - 1))
	x.count[first]++
	if n := x.count[first]; n > 1 {
		return fmt.Sprintf("%s (%d)", s, n)
	}
	return s
}
