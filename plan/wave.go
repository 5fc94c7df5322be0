package plan

// waves deals out n groups, in their order. The last wave takes what the ones before it left, so that no group is
// forgotten.
func waves(specs []WaveSpec, n int) []Wave {
	if n == 0 {
		return nil
	}
	var all []Wave
	next := 0
	for i, spec := range specs {
		size := spec.Count
		if size == 0 {
			size = (n*spec.Percent + 99) / 100 // a part of a group is a group
		}
		if i == len(specs)-1 {
			size = n
		}
		size = min(size, n-next)
		if size == 0 {
			continue
		}
		w := Wave{Name: spec.Name, Pause: spec.Pause, Groups: make([]int, size)}
		for j := range w.Groups {
			w.Groups[j] = next + j
		}
		next += size
		all = append(all, w)
	}
	if len(all) > 1 {
		all[1].Pause = max(all[0].Pause, all[1].Pause)
	}
	if len(all) > 0 {
		all[0].Pause = 0 // nothing has happened yet that could be waited for
	}
	if len(all) == 0 {
		return waves([]WaveSpec{{Name: "all", Percent: 100}}, n)
	}
	return all
}
