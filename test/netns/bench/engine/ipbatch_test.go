//go:build lab

package engine

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/bench/engine/result"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// ipBatch is what scripts do: SAs deleted and added anew with their keys, sequence numbers from zero, policies updated
// in place. ip reads its commands from a pipe that is fed until the time is up.
//
// How long each tunnel was interrupted can't be seen from outside: watching would take the processor away from ip. One
// Child SA comes after the other, so that it is about what one costs.
func (h *hub) ipBatch() (result.Measure, error) {
	to := 1 - h.at
	scripts := make([][]byte, h.n)
	for i := range scripts {
		from, next := h.child(i, h.at), h.child(i, to)
		scripts[i] = script(&from, &next)
	}
	waitIdle(h.t)
	cmd := exec.Command("ip", "-n", nsName, "-batch", "-")
	in, err := cmd.StdinPipe()
	if err != nil {
		return result.Measure{}, err
	}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return result.Measure{}, err
	}
	moved := 0
	for _, s := range scripts {
		if time.Since(start) > *limit {
			break
		}
		if _, err := in.Write(s); err != nil {
			break // cmd says why
		}
		moved++
	}
	in.Close()
	peak, err := awaited(cmd)
	if err != nil {
		return result.Measure{}, fmt.Errorf("ip -batch: %w\n%s", err, output.Bytes())
	}
	if output.Len() != 0 {
		return result.Measure{}, fmt.Errorf("ip -batch said: %s", output.Bytes())
	}
	return result.Measure{
		Way: result.IPBatch, Took: time.Since(start), Moved: moved,
		Messages: bytes.Count(scripts[0], []byte("\n")), Peak: peak,
	}, nil
}

// script is what ip is told for one Child SA.
func script(from, to *xfrmtest.ChildSA) []byte {
	var b bytes.Buffer
	for _, sa := range []*xfrm.SA{&from.In, &from.Out} {
		fmt.Fprintf(&b, "xfrm state delete src %v dst %v proto esp spi %v\n", sa.SrcIP(), sa.DstIP(), sa.ID.SPI)
	}
	addSA(&b, &to.In, &to.InAlg)
	addSA(&b, &to.Out, &to.OutAlg)
	for j := range to.Policies {
		p := &to.Policies[j]
		t := &p.Templates[0]
		fmt.Fprintf(&b, "xfrm policy update src %v dst %v dir %v priority %d", p.Sel.SrcPrefix(), p.Sel.DstPrefix(), p.Dir, p.Priority)
		ifID(&b, p.IfID)
		fmt.Fprintf(&b, " tmpl src %v dst %v proto esp spi %v reqid %d mode tunnel\n", t.Src.IP(t.Family), t.Dst.IP(t.Family), t.SPI, t.Reqid)
	}
	return b.Bytes()
}

func addSA(w io.Writer, sa *xfrm.SA, alg *xfrmtest.Algorithms) {
	fmt.Fprintf(w, "xfrm state add src %v dst %v proto esp spi %v reqid %d mode tunnel replay-window %d flag af-unspec aead %s 0x%x %d",
		sa.SrcIP(), sa.DstIP(), sa.ID.SPI, sa.Reqid, sa.Window, alg.AEAD.Name, alg.AEAD.Key, alg.AEAD.ICV)
	ifID(w, sa.IfID)
	fmt.Fprintln(w)
}

func ifID(w io.Writer, id uint32) {
	if id != 0 {
		fmt.Fprintf(w, " if_id %d", id)
	}
}
