package topo

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"strings"
)

// SA is an SA as `ip -s xfrm state` shows it.
type SA struct {
	Src, Dst netip.Addr
	SPI      uint32
	Keys     [sha256.Size]byte // digest of the algorithms with their keys
	Seq      uint32            // inbound: the highest sequence number received
	OSeq     uint32            // outbound: the last sequence number sent
	Bytes    uint64
	Packets  uint64
	Added    string // when it was negotiated
	Fixed    string // every other property that moving leaves alone: protocol, reqid, mode, replay window, direction, limits
}

// SAD reads the SAs of a namespace.
func (n Namespace) SAD() ([]SA, error) {
	out, err := run(ipXfrm(n, "state"))
	if err != nil {
		return nil, err
	}
	var all []SA
	for _, block := range blocks(out) {
		sa, err := parseSA(block)
		if err != nil {
			return nil, fmt.Errorf("`ip xfrm state` in %s: %w", n, err)
		}
		all = append(all, sa)
	}
	return all, nil
}

func parseSA(lines []string) (sa SA, err error) {
	var src, dst string
	if _, err = fmt.Sscanf(lines[0], "src %s dst %s", &src, &dst); err != nil {
		return sa, fmt.Errorf("%q: %w", lines[0], err)
	}
	if sa.Src, err = netip.ParseAddr(src); err != nil {
		return sa, err
	}
	if sa.Dst, err = netip.ParseAddr(dst); err != nil {
		return sa, err
	}
	keys := sha256.New()
	for _, line := range lines[1:] {
		switch first, _, _ := strings.Cut(line, " "); first {
		case "aead", "enc", "auth", "auth-trunc", "comp":
			fmt.Fprintln(keys, line)
		case "anti-replay":
			_, err = fmt.Sscanf(line, "anti-replay context: seq 0x%x, oseq 0x%x,", &sa.Seq, &sa.OSeq)
		case "add":
			_, rest, _ := strings.Cut(line, " ")
			sa.Added, _, _ = strings.Cut(rest, " use")
		case "lastused", "replay-window", "lifetime", "stats:":
			// Use and statistics change with every packet; the replay window's size is in the first of its lines.
			if strings.Contains(line, " seq ") {
				sa.Fixed += line + "\n"
			}
		default:
			if n, _ := fmt.Sscanf(line, "%d(bytes), %d(packets)", &sa.Bytes, &sa.Packets); n == 2 {
				continue
			}
			if first == "proto" {
				var proto string // of IPComp also "comp", and the tunnel that belongs to it
				_, err = fmt.Sscanf(line, "proto %s spi 0x%x", &proto, &sa.SPI)
			}
			sa.Fixed += line + "\n"
		}
		if err != nil {
			return sa, fmt.Errorf("%q: %w", strings.Fields(line)[0], err) // not the line: it may hold a key
		}
	}
	keys.Sum(sa.Keys[:0])
	return sa, nil
}
