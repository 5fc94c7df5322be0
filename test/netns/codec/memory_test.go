//go:build lab

package codec

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"
)

// searchMemory looks for a key, given masked, in all memory that this process can write to: the heap with its garbage,
// the stacks, the data. Eight bytes in a row are enough.
func searchMemory(masked []byte) error {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer maps.Close()
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		return err
	}
	defer mem.Close()
	type region struct {
		from, to int64
		line     string
	}
	var regions []region
	for s := bufio.NewScanner(maps); s.Scan(); {
		var r region
		var perm string
		if _, err := fmt.Sscanf(s.Text(), "%x-%x %s", &r.from, &r.to, &perm); err != nil {
			return err
		}
		if r.line = s.Text(); strings.HasPrefix(perm, "rw") {
			regions = append(regions, r)
		}
	}
	total := int64(0)
	buf := make([]byte, 1<<20)
	for _, r := range regions {
		const overlap = 8
		for at := r.from; at < r.to; at += int64(len(buf)) - overlap {
			n, err := mem.ReadAt(buf[:min(int64(len(buf)), r.to-at)], at)
			if err != nil && n == 0 {
				break // a region without memory behind it, such as the kernel's
			}
			total += int64(n)
			if i := find(buf[:n], masked); i >= 0 {
				clear(buf)
				return fmt.Errorf("the key is in memory at %#x of %s", at+int64(i), r.line)
			}
		}
	}
	if total < 1<<20 {
		return fmt.Errorf("only %d bytes of memory could be searched", total)
	}
	return nil
}

// find looks for any eight bytes in a row of the key.
func find(b, masked []byte) int {
	for part := 0; part+8 <= len(masked); part += 8 {
		first := masked[part] ^ mask
		for i := 0; i+8 <= len(b); i++ {
			k := bytes.IndexByte(b[i:], first)
			if k < 0 {
				break
			}
			i += k
			same := 0
			for same < 8 && i+same < len(b) && b[i+same]^mask == masked[part+same] {
				same++
			}
			if same == 8 {
				return i
			}
		}
	}
	return -1
}
