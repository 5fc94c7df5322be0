package plan

// components finds the strongly connected components of a graph in which node i has edges to after[i]: sets of nodes
// that wait for each other, each sorted by discovery. A component comes after all that it waits for, and otherwise they
// come in the order of the nodes (Tarjan, 1972).
func components(after [][]int) [][]int {
	t := &tarjan{after: after, index: make([]int, len(after)), low: make([]int, len(after)), open: make([]bool, len(after))}
	for i := range after {
		if t.index[i] == 0 {
			t.visit(i)
		}
	}
	return t.found
}

type tarjan struct {
	after      [][]int
	index, low []int // from 1; 0 is not seen yet
	open       []bool
	stack      []int
	n          int
	found      [][]int
}

func (t *tarjan) visit(i int) {
	t.n++
	t.index[i], t.low[i] = t.n, t.n
	t.stack = append(t.stack, i)
	t.open[i] = true
	for _, j := range t.after[i] {
		switch {
		case t.index[j] == 0:
			t.visit(j)
			t.low[i] = min(t.low[i], t.low[j])
		case t.open[j]:
			t.low[i] = min(t.low[i], t.index[j])
		}
	}
	if t.low[i] != t.index[i] {
		return
	}
	for k := len(t.stack) - 1; ; k-- {
		t.open[t.stack[k]] = false
		if t.stack[k] == i {
			t.found = append(t.found, append([]int(nil), t.stack[k:]...))
			t.stack = t.stack[:k]
			return
		}
	}
}
