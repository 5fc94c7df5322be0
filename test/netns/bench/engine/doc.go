// Package engine measures on the real kernel what moving N Child SAs costs: xfrm-plan apply as it is built, the floor below it, and
// the ways that were there before it.
//
//	make bench-engine                              # measure, and write docs/benchmarks.md and docs/engine.svg
//	make bench-engine BENCH='-n=10,100,1000'       # less of it
//
// It runs in a machine whose clock counts instructions: a busy host makes it slow, not wrong.
//
// To see where apply's time goes, build it with profiled/overlay.json and profile one run:
//
//	go build -overlay test/netns/bench/engine/profiled/overlay.json -o bin/xfrm-plan-profiled ./cmd/xfrm-plan
//	go test -count=1 -tags lab -exec "$PWD/bin/lab exec -system -counted -mem 4096 -with $PWD/bin/xfrm-plan-profiled:/usr/bin/xfrm-plan" \
//		./test/netns/bench/engine -args -n=4000 -profile=testdata/cpu.prof
//	go tool pprof -top -cum bin/xfrm-plan-profiled test/netns/bench/engine/testdata/cpu.prof
package engine
