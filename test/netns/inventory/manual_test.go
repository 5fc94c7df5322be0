//go:build lab

package inventory

import (
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// Keys of the SAs that ip makes. Nobody sends anything through them.
var keys = strings.NewReplacer(
	"AEAD", "aead rfc4106(gcm(aes)) 0x0000000000000000000000000000000000000001 128",
	"AUTH", "auth hmac(sha256) 0x0000000000000000000000000000000000000000000000000000000000000002",
	"COMP", "comp deflate",
)

// manual are set-ups made with ip by hand, on the gateway with 192.0.2.1.
var manual = []struct{ name, script string }{
	{"manual-tunnel-priority-0", `
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 mode tunnel AEAD
		xfrm state add src 203.0.113.1 dst 192.0.2.1 proto esp spi 0x2001 mode tunnel AEAD
		xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out tmpl src 192.0.2.1 dst 203.0.113.1 proto esp mode tunnel
		xfrm policy add src 10.2.0.0/24 dst 10.1.0.0/24 dir in tmpl src 203.0.113.1 dst 192.0.2.1 proto esp mode tunnel
		xfrm policy add src 10.2.0.0/24 dst 10.1.0.0/24 dir fwd tmpl src 203.0.113.1 dst 192.0.2.1 proto esp mode tunnel`},
	{"manual-reqid-each-way", `
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 reqid 101 mode tunnel AEAD
		xfrm state add src 203.0.113.1 dst 192.0.2.1 proto esp spi 0x2001 reqid 102 mode tunnel AEAD
		xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out priority 100 tmpl src 192.0.2.1 dst 203.0.113.1 proto esp reqid 101 mode tunnel
		xfrm policy add src 10.2.0.0/24 dst 10.1.0.0/24 dir in priority 100 tmpl src 203.0.113.1 dst 192.0.2.1 proto esp reqid 102 mode tunnel
		xfrm policy add src 10.2.0.0/24 dst 10.1.0.0/24 dir fwd priority 100 tmpl src 203.0.113.1 dst 192.0.2.1 proto esp reqid 102 mode tunnel`},
	{"manual-transport-wildcard", `
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 reqid 5 mode transport AEAD
		xfrm state add src 203.0.113.1 dst 192.0.2.1 proto esp spi 0x2001 reqid 5 mode transport AEAD
		xfrm state add src 192.0.2.1 dst 203.0.113.2 proto esp spi 0x1002 reqid 5 mode transport AEAD
		xfrm state add src 203.0.113.2 dst 192.0.2.1 proto esp spi 0x2002 reqid 5 mode transport AEAD
		xfrm policy add src 0.0.0.0/0 dst 203.0.113.0/24 dir out priority 100 tmpl proto esp reqid 5 mode transport
		xfrm policy add src 203.0.113.0/24 dst 0.0.0.0/0 dir in priority 100 tmpl proto esp reqid 5 mode transport`},
	{"manual-transport-hosts", `
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 reqid 5 mode transport AEAD sel src 192.0.2.1/32 dst 203.0.113.1/32
		xfrm state add src 203.0.113.1 dst 192.0.2.1 proto esp spi 0x2001 reqid 5 mode transport AEAD sel src 203.0.113.1/32 dst 192.0.2.1/32
		xfrm policy add src 192.0.2.1/32 dst 203.0.113.1/32 dir out priority 100 tmpl proto esp reqid 5 mode transport
		xfrm policy add src 203.0.113.1/32 dst 192.0.2.1/32 dir in priority 100 tmpl proto esp reqid 5 mode transport`},
	{"manual-ah-esp-bundle", `
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 reqid 7 mode tunnel AEAD
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto ah spi 0x1002 reqid 7 mode transport AUTH
		xfrm state add src 203.0.113.1 dst 192.0.2.1 proto esp spi 0x2001 reqid 7 mode tunnel AEAD
		xfrm state add src 203.0.113.1 dst 192.0.2.1 proto ah spi 0x2002 reqid 7 mode transport AUTH
		xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out priority 100 tmpl src 192.0.2.1 dst 203.0.113.1 proto esp reqid 7 mode tunnel tmpl proto ah reqid 7 mode transport
		xfrm policy add src 10.2.0.0/24 dst 10.1.0.0/24 dir in priority 100 tmpl src 203.0.113.1 dst 192.0.2.1 proto esp reqid 7 mode tunnel tmpl proto ah reqid 7 mode transport
		xfrm policy add src 10.2.0.0/24 dst 10.1.0.0/24 dir fwd priority 100 tmpl src 203.0.113.1 dst 192.0.2.1 proto esp reqid 7 mode tunnel tmpl proto ah reqid 7 mode transport`},
	{"manual-ipcomp", `
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto comp spi 0x1001 reqid 8 mode tunnel COMP
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1002 reqid 8 mode transport AEAD
		xfrm state add src 203.0.113.1 dst 192.0.2.1 proto comp spi 0x2001 reqid 8 mode tunnel COMP
		xfrm state add src 203.0.113.1 dst 192.0.2.1 proto esp spi 0x2002 reqid 8 mode transport AEAD
		xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out priority 100 tmpl src 192.0.2.1 dst 203.0.113.1 proto comp reqid 8 mode tunnel tmpl proto esp reqid 8 mode transport
		xfrm policy add src 10.2.0.0/24 dst 10.1.0.0/24 dir in priority 100 tmpl src 203.0.113.1 dst 192.0.2.1 proto comp reqid 8 mode tunnel level use tmpl proto esp reqid 8 mode transport
		xfrm policy add src 10.2.0.0/24 dst 10.1.0.0/24 dir fwd priority 100 tmpl src 203.0.113.1 dst 192.0.2.1 proto comp reqid 8 mode tunnel level use tmpl proto esp reqid 8 mode transport`},
	{"manual-marks", `
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 reqid 9 mode tunnel mark 0x1 mask 0xff AEAD
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 reqid 9 mode tunnel mark 0x2 mask 0xff AEAD
		xfrm state add src 203.0.113.1 dst 192.0.2.1 proto esp spi 0x2001 reqid 9 mode tunnel AEAD
		xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0 dir out mark 0x1 mask 0xff priority 100 tmpl src 192.0.2.1 dst 203.0.113.1 proto esp reqid 9 mode tunnel
		xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0 dir out mark 0x2 mask 0xff priority 100 tmpl src 192.0.2.1 dst 203.0.113.1 proto esp reqid 9 mode tunnel
		xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0 dir in priority 100 tmpl src 203.0.113.1 dst 192.0.2.1 proto esp reqid 9 mode tunnel`},
	{"manual-ambiguous-mark", `
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 reqid 9 mode tunnel mark 0x1 mask 0xff AEAD
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 reqid 10 mode tunnel AEAD`},
	{"manual-per-cpu-and-larval", `
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 reqid 11 mode tunnel AEAD dir out
		xfrm state add src 203.0.113.1 dst 192.0.2.1 proto esp spi 0x2001 reqid 11 mode tunnel AEAD dir in
		xfrm state allocspi src 203.0.113.1 dst 192.0.2.1 proto esp reqid 11 mode tunnel min 0x2003 max 0x2003
		xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out priority 100 tmpl src 192.0.2.1 dst 203.0.113.1 proto esp reqid 11 mode tunnel
		xfrm policy add src 10.2.0.0/24 dst 10.1.0.0/24 dir in priority 100 tmpl src 203.0.113.1 dst 192.0.2.1 proto esp reqid 11 mode tunnel`},
	{"manual-beet", `
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 reqid 16 mode beet AEAD sel src 10.1.0.1/32 dst 10.2.0.1/32
		xfrm state add src 203.0.113.1 dst 192.0.2.1 proto esp spi 0x2001 reqid 16 mode beet AEAD sel src 10.2.0.1/32 dst 10.1.0.1/32
		xfrm policy add src 10.1.0.1/32 dst 10.2.0.1/32 dir out priority 100 tmpl src 192.0.2.1 dst 203.0.113.1 proto esp reqid 16 mode beet
		xfrm policy add src 10.2.0.1/32 dst 10.1.0.1/32 dir in priority 100 tmpl src 203.0.113.1 dst 192.0.2.1 proto esp reqid 16 mode beet`},
	{"manual-sub-policy", `
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 reqid 12 mode tunnel AEAD
		xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out ptype sub priority 100 tmpl src 192.0.2.1 dst 203.0.113.1 proto esp reqid 12 mode tunnel
		xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out ptype main priority 100 tmpl src 192.0.2.1 dst 203.0.113.1 proto esp reqid 12 mode tunnel`},
	{"manual-sas-alone-and-policies-alone", `
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 mode tunnel AEAD
		xfrm state add src 203.0.113.9 dst 192.0.2.1 proto ah spi 0x2009 mode tunnel AUTH
		xfrm policy add src 10.1.0.0/24 dst 10.3.0.0/24 dir out priority 100 tmpl src 192.0.2.1 dst 203.0.113.3 proto esp reqid 13 mode tunnel
		xfrm policy add src 10.3.0.0/24 dst 10.1.0.0/24 dir in priority 100 limit time-hard 3600 tmpl src 203.0.113.3 dst 192.0.2.1 proto esp reqid 13 mode tunnel`},
	{"manual-equal-priority-overlap", `
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 reqid 14 mode tunnel AEAD
		xfrm state add src 203.0.113.1 dst 192.0.2.1 proto esp spi 0x2001 reqid 14 mode tunnel AEAD
		xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out priority 100 tmpl src 192.0.2.1 dst 203.0.113.1 proto esp reqid 14 mode tunnel
		xfrm policy add src 10.1.0.0/16 dst 10.2.0.0/16 dir out priority 100
		xfrm policy add src 10.1.0.0/16 dst 10.9.0.0/16 dir out priority 100
		xfrm policy add src 10.2.0.0/24 dst 10.1.0.0/24 dir in priority 100 tmpl src 203.0.113.1 dst 192.0.2.1 proto esp reqid 14 mode tunnel`},
	{"manual-if-id", `
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 reqid 15 mode tunnel if_id 4 AEAD
		xfrm state add src 203.0.113.1 dst 192.0.2.1 proto esp spi 0x2001 reqid 15 mode tunnel if_id 4 AEAD
		xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0 dir out if_id 4 priority 100 tmpl src 192.0.2.1 dst 203.0.113.1 proto esp reqid 15 mode tunnel
		xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0 dir in if_id 4 priority 100 tmpl src 203.0.113.1 dst 192.0.2.1 proto esp reqid 15 mode tunnel
		xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0 dir fwd if_id 4 priority 100 tmpl src 203.0.113.1 dst 192.0.2.1 proto esp reqid 15 mode tunnel`},
	{"manual-several-if-ids", `
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 reqid 1 mode tunnel if_id 4 AEAD
		xfrm state add src 203.0.113.1 dst 192.0.2.1 proto esp spi 0x2001 reqid 1 mode tunnel if_id 4 AEAD
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1002 reqid 1 mode tunnel if_id 5 AEAD
		xfrm state add src 203.0.113.1 dst 192.0.2.1 proto esp spi 0x2002 reqid 1 mode tunnel if_id 5 AEAD
		xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0 dir out if_id 4 priority 100 tmpl src 192.0.2.1 dst 203.0.113.1 proto esp reqid 1 mode tunnel
		xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0 dir in if_id 4 priority 100 tmpl src 203.0.113.1 dst 192.0.2.1 proto esp reqid 1 mode tunnel
		xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0 dir out if_id 5 priority 100 tmpl src 192.0.2.1 dst 203.0.113.1 proto esp reqid 1 mode tunnel
		xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0 dir in if_id 5 priority 100 tmpl src 203.0.113.1 dst 192.0.2.1 proto esp reqid 1 mode tunnel`},
	{"manual-tunnel-wildcards", `
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 reqid 18 mode tunnel AEAD
		xfrm state add src 203.0.113.1 dst 192.0.2.1 proto esp spi 0x2001 reqid 18 mode tunnel AEAD
		xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out priority 100 tmpl src 192.0.2.1 dst 203.0.113.1 proto esp reqid 18 mode tunnel
		xfrm policy add src 10.2.0.0/24 dst 10.1.0.0/24 dir in priority 100 tmpl src 0.0.0.0 dst 192.0.2.1 proto esp reqid 18 mode tunnel
		xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0 dir fwd priority 200 tmpl src 0.0.0.0 dst 0.0.0.0 proto esp mode tunnel level use`},
	// As labelled IPsec has it: a policy with a context of its own, and an SA for each context of the traffic.
	{"manual-labels", `
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 reqid 17 mode tunnel AEAD ctx system_u:object_r:low_t:s0
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1002 reqid 17 mode tunnel AEAD ctx system_u:object_r:high_t:s0
		xfrm state add src 203.0.113.1 dst 192.0.2.1 proto esp spi 0x2001 reqid 17 mode tunnel AEAD ctx system_u:object_r:low_t:s0
		xfrm state add src 203.0.113.1 dst 192.0.2.1 proto esp spi 0x2002 reqid 17 mode tunnel AEAD ctx system_u:object_r:high_t:s0
		xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out ctx system_u:object_r:ipsec_spd_t:s0 priority 100 tmpl src 192.0.2.1 dst 203.0.113.1 proto esp reqid 17 mode tunnel
		xfrm policy add src 10.2.0.0/24 dst 10.1.0.0/24 dir in ctx system_u:object_r:ipsec_spd_t:s0 priority 100 tmpl src 203.0.113.1 dst 192.0.2.1 proto esp reqid 17 mode tunnel
		xfrm policy add src 10.2.0.0/24 dst 10.1.0.0/24 dir fwd ctx system_u:object_r:ipsec_spd_t:s0 priority 100 tmpl src 203.0.113.1 dst 192.0.2.1 proto esp reqid 17 mode tunnel`},
}

func TestRecordManual(t *testing.T) {
	for _, m := range manual {
		t.Run(m.name, func(t *testing.T) {
			n := newNetNS(t)
			n.ip("addr add 192.0.2.1/24 dev lo")
			n.ip(keys.Replace(m.script))
			if strings.HasPrefix(m.name, "manual-per-cpu") {
				n.perCPU()
			}
			n.record(m.name, "ip, as administrator:\n"+strings.ReplaceAll(m.script, "\t", ""))
		})
	}
}

// perCPU adds an SA for CPU 0 each way, which this ip can't.
func (n *netns) perCPU() {
	n.t.Helper()
	sas, err := n.conn.SAs()
	if err != nil {
		n.t.Fatal(err)
	}
	for _, sa := range sas {
		if sa.Larval() {
			continue
		}
		sa.ID.SPI += 0x10
		sa.CPU = 0
		key := xfrmtest.Algorithms{AEAD: &xfrmtest.Algorithm{Name: "rfc4106(gcm(aes))", Key: make([]byte, 20), ICV: 128}}
		if err := xfrmtest.AddSA(n.conn, sa, key); err != nil {
			n.t.Fatal(err)
		}
	}
}
