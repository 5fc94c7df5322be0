package rollback_test

// reliability is docs/reliability.md with the table of the matrix.
func reliability(table string) string {
	return `# What has been tried to break it

This file is written by ` + "`go test ./rollback -run TestFaultMatrix -update`" + `.

A run is a sequence of exchanges with the kernel and of writes and syncs of the journal. The fault matrix counts them, then runs the whole again once for each
fault at each of these points: before a datagram is sent, when the kernel has acted on it and nothing was read yet, after each answer, and before, within and after
each write and sync. The kernel is the one in memory (xfrm/xfrmtest), which is held against a running one by its own tests. What comes out is
judged by an oracle that shares no code with the engine. It looks at SAD, SPD and the path of packets after every message that the kernel handled:

- no selector is ever without protection, outbound, inbound or forward;
- no temporary policy is left after recovery, unless the group is reported as blocked, and then its traffic is blocked;
- every SA that the kernel had is there exactly once, unless the fault itself took it away;
- no sequence number goes back;
- no byte of a key is in the journal, the report, events or errors;
- the report says what a fresh look at the kernel says: each group all old, all new, or blocked;
- recovering twice changes no more than recovering once.

The faults: kill -9, SIGTERM, a second runner, a reboot, the network namespace deleted and made anew; ENOBUFS, lost acknowledgements; -EEXIST with the old SA kept,
with both gone, with only the new one there; -ESRCH; a policy request refused, or refused and yet done; any request acknowledged and not done; the SPD flushed, a policy rewritten, an SA deleted by
somebody else; a dump interrupted by a change; CLOCK_REALTIME set a year back or on; ENOSPC, EIO, short writes. "Then a crash in the recovery" takes each of them and kills, interrupts or deafens the recovery at each of its own points.
"To be confirmed" is a run with ` + "`--confirm-within`" + `; then come the points of ` + "`confirm`" + ` and those of the watchdog's undo. What is thinned
with 100 tunnels, [soak.md](soak.md) has whole.

` + table + reliabilityOnTheKernel
}

const reliabilityOnTheKernel = `
## On the real kernel

The same in the lab's machines (test/netns), where ` + "`ip xfrm`" + ` and listeners of their own look on:

- test/netns/crash kills apply at random instants under traffic and recovers, back or forward: SAs and policies are as before, with their indexes, no counter has gone back, traffic passes again, and captures show none in the clear.
- test/netns/scenario has systemd as process 1, in a container, and an ` + "`apply --confirm-within`" + ` in a session whose every process is killed. The watchdog is a unit of its own; it is killed
  too, comes back, and undoes the run at its time: ` + "`ip xfrm`" + ` shows what was there before, the system's journal and ` + "`wall`" + ` tell of it. A confirmed run it leaves alone.
- test/netns/crash/powercut takes the power from the machine in the middle of a run, QEMU being killed from outside, and starts it anew with the same disk, an ext4 file
  system that has kept no more than what was flushed. Every SA that the kernel had announced as moved by then has its intent in the journal on the disk. In the new boot ` + "`status --journal`" + `
  reads it, and ` + "`recover`" + ` says that nothing is left to undo and changes nothing in the kernel. Without the journal's sync it fails: the disk then knows of no run. ` + "`-args -cuts N`" + ` cuts more often.
`
