package examples

// Plans are the files of examples/plans, in alphabetical order. The lab's test has a situation for each of them.
var Plans = []string{
	"dual-stack-isp-change.yaml",
	"host-to-host.yaml",
	"hub-in-waves.yaml",
	"ipv4-to-ipv6-outer.yaml",
	"nat-removal-peer.yaml",
	"nat-removal.yaml",
	"one-branch-of-a-hub.yaml",
	"route-based.yaml",
}
