package plan

import (
	"runtime"
	"sync"
)

// spread does work for the numbers below n, in as many pieces side by side as there are processors. Pieces write to
// different places of a slice, or hold a lock; what comes out doesn't depend on how many there are.
func spread(n int, work func(from, to int)) {
	const least = 256 // of what costs a microsecond each: fewer aren't worth a goroutine
	pieces := max(1, min(runtime.GOMAXPROCS(0), n/least))
	var others sync.WaitGroup
	for i := 1; i < pieces; i++ {
		others.Go(func() { work(i*n/pieces, (i+1)*n/pieces) })
	}
	work(0, n/pieces)
	others.Wait()
}
