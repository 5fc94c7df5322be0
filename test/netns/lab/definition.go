package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// A definition is all that decides what the cached images contain. A change of any of it makes a cache of its own, so that two
// checkouts with different labs do not rebuild each other's.
type definition struct {
	Format   int      // raise it when the way of building changes without any other field doing so
	Suites   []string // of Debian
	Packages []string // of the system image
	Extra    string   // see libreswanHook
	ImageMiB int      // size of the system's file system; it is sparse

	// ModuleDirs are the parts of the module tree, and OnDemand the modules beside them, that the small machine can load when its
	// kernel asks for one. The whole tree would make every boot a second longer: the initramfs is copied several times.
	ModuleDirs []string
	OnDemand   []string
	// Preload is loaded in the small machine before a job starts: each module that the kernel has to ask for costs a process.
	Preload []string
	// Boot is loaded from the initramfs of the system machine, to reach its disk.
	Boot []string
}

// current is Debian stable with the kernel of its backports: that one has XFRM_MSG_MIGRATE_STATE and is signed by a key that the
// keyring of the stable release before it knows, too.
var current = definition{
	Format: 1,
	Suites: []string{"trixie", "trixie-backports"},
	Packages: []string{
		"linux-image-cloud-amd64/trixie-backports",
		"kmod", "iproute2", "iputils-ping", "iperf3", "nftables", "procps", "tcpdump",
		"charon-systemd", "strongswan-swanctl", "libstrongswan-extra-plugins", "libcharon-extra-plugins",
	},
	Extra:    libreswanHook,
	ImageMiB: 1500,
	ModuleDirs: []string{
		"kernel/arch/x86/crypto", "kernel/crypto", "kernel/lib",
		"kernel/net/ipv4", "kernel/net/ipv6", "kernel/net/key", "kernel/net/sched", "kernel/net/xfrm",
	},
	OnDemand: []string{
		"bridge", "dummy", "ifb", "macvlan", "nf_tables", "nfnetlink_queue", "nft_queue", "tun", "veth", "vrf",
		// Power cuts for a journal, on a disk in memory.
		"brd", "dm-flakey", "dm-log-writes", "loop",
	},
	Preload: []string{
		"xfrm_user", "esp4", "esp6", "xfrm_interface", "veth",
		"aesni-intel", "gcm", "seqiv", "authenc", "echainiv",
	},
	Boot: []string{"virtio_blk"},
}

// libreswanHook adds libreswan's pluto beside strongSwan's charon. Their packages conflict because both are IKE daemons, but they share no
// file, and a scenario starts one or the other. apt satisfies the dependencies and verifies the package, dpkg is told to go ahead.
const libreswanHook = `set -eu
chroot "$1" sh -eu -c '
export DEBIAN_FRONTEND=noninteractive
apt-get --yes --no-install-recommends satisfy "$(apt-cache show libreswan | sed -n "s/^Depends: //p")"
cd /var/cache/apt/archives
apt-get -o APT::Sandbox::User=root download libreswan
dpkg --force-conflicts --install libreswan_*.deb
rm libreswan_*.deb
'`

// hash is short enough for a folder's name and long enough for the few definitions that one machine ever sees.
func (d definition) hash() string {
	b, err := json.Marshal(d)
	if err != nil {
		panic(err) // strings and numbers only
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:5])
}
