package xfrmtest

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Kernel is the XFRM of one network namespace. It is safe for concurrent use. A request is acted on by the time that
// Send returns, as on the real one, which works in the sender's context under a lock of the namespace.
type Kernel struct {
	cookie    uint64
	migration Migration
	cpus      uint32
	privilege atomic.Bool
	rcvbuf    int
	devices   map[int32]bool
	dumpIntr  bool
	now       func() time.Time

	mu       sync.Mutex // guards everything below, the queues of the sockets included
	sad      sad
	spd      spd
	thresh4  [2]uint8
	thresh6  [2]uint8
	acqSeq   uint32
	nextPort uint32
	spiSeed  uint32
	sockets  map[*Socket]struct{}
	changes  uint64   // of SAD and SPD
	log      *Changes // nil: nobody asks
}

// Migration says what a kernel makes of XFRM_MSG_MIGRATE_STATE.
type Migration uint8

// The kinds of kernels.
const (
	MigrationSupported    Migration = iota
	MigrationUnknown                // before Linux 7.2: -EINVAL, even for the unprivileged
	MigrationUnconfigured           // built without CONFIG_XFRM_MIGRATE: -ENOPROTOOPT
)

// Option changes what kind of Kernel New makes.
type Option func(*Kernel)

// WithMigration makes a kernel that does not know, or does not have, MIGRATE_STATE.
func WithMigration(m Migration) Option { return func(k *Kernel) { k.migration = m } }

// WithCookie sets the cookie of the network namespace. Without it each Kernel has another one, as after a reboot.
func WithCookie(c uint64) Option { return func(k *Kernel) { k.cookie = c } }

// WithoutPrivilege makes a kernel that answers everything with EPERM; SetPrivilege changes it later.
func WithoutPrivilege() Option { return func(k *Kernel) { k.privilege.Store(false) } }

// WithReceiveBuffer sets how many bytes of memory a socket's queue may take. The default is what package xfrm asks a
// running kernel for. Count about 1 KiB for each acknowledgement.
func WithReceiveBuffer(bytes int) Option { return func(k *Kernel) { k.rcvbuf = bytes } }

// WithOffloadDevice adds a network device that can take SAs and policies into hardware.
func WithOffloadDevice(ifindex int32) Option { return func(k *Kernel) { k.devices[ifindex] = true } }

// WithCPUs sets the number of CPUs, which the CPU of an SA has to stay below.
func WithCPUs(n uint32) Option { return func(k *Kernel) { k.cpus = n } }

// WithClock sets where times of creation and use come from.
func WithClock(now func() time.Time) Option { return func(k *Kernel) { k.now = now } }

// WithDumpInterrupted makes dumps say NLM_F_DUMP_INTR when the table changed while they were read. Linux up to 7.3
// never says so for XFRM: an SA that moves while a dump runs can be missing from it without a sign.
func WithDumpInterrupted() Option { return func(k *Kernel) { k.dumpIntr = true } }

var cookies atomic.Uint64

// New returns a Kernel with empty tables.
func New(opts ...Option) *Kernel {
	k := &Kernel{
		cookie: 0x1000 + cookies.Add(1), cpus: 8, now: time.Now,
		rcvbuf:  8 << 20, // twice xfrm's 4 MiB: SO_RCVBUF doubles what it is given
		devices: map[int32]bool{}, sockets: map[*Socket]struct{}{},
		// net/xfrm/xfrm_policy.c, xfrm_policy_init
		thresh4: [2]uint8{32, 32}, thresh6: [2]uint8{128, 128},
		spiSeed: 0xc0000000,
	}
	k.privilege.Store(true)
	k.sad.init()
	k.spd.init()
	for _, o := range opts {
		o(k)
	}
	return k
}

// SetPrivilege gives or takes CAP_NET_ADMIN.
func (k *Kernel) SetPrivilege(have bool) { k.privilege.Store(have) }

// Cookie is what every Socket's Cookie returns.
func (k *Kernel) Cookie() uint64 { return k.cookie }

// Socket opens a socket.
func (k *Kernel) Socket() xfrm.Socket { return k.open() }

// Dial opens a Conn.
func (k *Kernel) Dial() *xfrm.Conn { return xfrm.NewConn(k.open()) }

func (k *Kernel) open() *Socket {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.nextPort++
	s := &Socket{k: k, port: k.nextPort, wake: make(chan struct{}, 1), gone: make(chan struct{})}
	k.sockets[s] = struct{}{}
	return s
}

func (k *Kernel) seconds() uint64 { return uint64(k.now().Unix()) }

// changed notes that SAD or SPD are not what they were. Counters of an SA don't count.
func (k *Kernel) changed() { k.changes++ }
