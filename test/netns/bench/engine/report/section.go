package main

import (
	"bytes"
	"fmt"

	"github.com/xfrm-plan/xfrm-plan/test/netns/bench/engine/result"
	"github.com/xfrm-plan/xfrm-plan/test/section"
)

// engine is the section of docs/benchmarks.md.
func engine(m measured) section.Section {
	w := new(bytes.Buffer)
	b := m.ways
	fmt.Fprintf(w, `## The engine

What it costs to move N dual-stack Child SAs of a gateway, two SAs and six policies each, every one with a peer of its own. `+"`make bench-engine`"+` measures and writes
this section.

![Cost of one Child SA against N](engine.svg)

Linux %s on QEMU's emulation of an x86-64 processor (%q, %d CPU, %d MiB), %s. The machine's clock counts instructions, a
nanosecond each (`+"`lab exec -counted`"+`): the figures do not depend on what else the host does, and all of one table are of one boot. They are to be compared with each other,
not with those of a real gateway. An instruction takes as long whether or not its memory is in a cache, which flatters what walks long lists, as *in place* and
*ip -batch* make the kernel do. Syncing costs nearly nothing here, as the machine's disk promises nothing.

- *floor*: the messages that a transaction can't do without, encoded beforehand and sent by a bare loop, phase by phase, with one acknowledgement for
  each phase. It journals, reads and checks nothing. Where bins of the SPD are small, up to 64 policies, it replaces policies in place, as apply does.
- *plain floor*: the same loop as a first version had it, and apply was measured by: an acknowledgement for each message, and the messages for large bins
  everywhere.
- *apply*: `+"`xfrm-plan apply --yes --output json`"+`, the whole process from start to end with its journal on disk. Its interruptions are those of its report.
- *in place*: policies deleted by selector and updated in place around MIGRATE_STATE, one request at a time, as strongSwan 6.1 does it for MOBIKE.
- *legacy*: XFRM_MSG_MIGRATE for each policy, six calls in a datagram. Nothing is blocked meanwhile, nothing else can be changed, and the SAs are
  found by addresses and reqid alone.
- *ip -batch*: SAs deleted and added anew with their keys, from sequence number zero (with AES-GCM: never do this), policies updated. Nothing is
  blocked meanwhile. What a single tunnel sees can't be told from outside; one comes after the other, so that it is about the cost of one.

Interruption: from the first request for a Child SA to the last acknowledgement. Peak memory: the resident set of the process; the other ways are part of the
benchmark. *(k moved)*: stopped when its time was up; the cost of one is that of those k among N.
`, b.Kernel, b.Processor, b.CPUs, b.MemoryMiB, b.Date)
	for _, kind := range []result.Kind{result.PolicyBased, result.IfID} {
		waysTable(w, b, kind)
	}
	targets(w, b)
	phasesTable(w, b)
	parallelTable(w, m.parallel)
	return section.Section{Name: "engine", Text: w.String()}
}
