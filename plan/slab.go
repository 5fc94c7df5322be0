package plan

// slab hands out values that are allocated many at a time. What it has handed out stays where it is.
type slab[T any] struct{ free []T }

// slabSize is a compromise: a plan for one tunnel doesn't take a megabyte, one for 50,000 few allocations.
const slabSize = 128

func (s *slab[T]) next() *T {
	if len(s.free) == 0 {
		s.free = make([]T, slabSize)
	}
	v := &s.free[0]
	s.free = s.free[1:]
	return v
}

// clone hands out a copy of all.
func (s *slab[T]) clone(all []T) []T {
	if len(s.free) < len(all) {
		s.free = make([]T, max(slabSize, len(all)))
	}
	n := copy(s.free, all)
	v := s.free[:n:n]
	s.free = s.free[n:]
	return v
}
