package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// mistaken moves the left gateway alone: its peer goes on sending to the address that it knows. The check after the
// move notices that nothing comes in.
const mistaken = `apiVersion: xfrm-plan/v1
kind: Renumbering
metadata: {name: left-alone}
renumber:
  - {from: %v, to: %v}
checks: {after: {inboundTraffic: {within: %v}}}
ike: {follow: none}
`

// strayAddress is assigned to the left gateway and known to nobody else.
const strayAddress = "2001:db8:20::99"

// failure applies the mistaken plan: the check after it fails, and the run undoes itself.
func (d *demonstration) failure() error {
	d.step("Second act. A mistake: the left gateway moves alone, its peer does not know")
	if err := topo.Left.IP("addr add " + strayAddress + "/64 dev wan-b nodad\n"); err != nil {
		return err
	}
	plan, err := d.write("left-alone.yaml", fmt.Sprintf(mistaken, topo.LeftISPB6, strayAddress, "2s"))
	if err != nil {
		return err
	}
	before, err := topo.Snap(topo.Left)
	if err != nil {
		return err
	}
	o, err := d.network.Run(topo.Left, "apply", plan, "--yes")
	if err != nil {
		return err
	}
	d.prompt("left", "grep checks left-alone.yaml")
	d.output("checks: {after: {inboundTraffic: {within: 2s}}}")
	d.prompt("left", "xfrm-plan apply left-alone.yaml --yes")
	d.output(fromProgress(o.Output))
	return d.asBefore("the run was undone: all as before", before, o.Code, 7)
}

// crash kills the program while its SAs are at the new address, and recovers.
func (d *demonstration) crash() error {
	d.step("Worse: the program is killed with -9 in the middle of that")
	plan, err := d.write("left-alone.yaml", fmt.Sprintf(mistaken, topo.LeftISPB6, strayAddress, "60s"))
	if err != nil {
		return err
	}
	before, err := topo.Snap(topo.Left)
	if err != nil {
		return err
	}
	apply := d.network.OnGateway(topo.Left, "apply", plan, "--yes")
	if err := apply.Start(); err != nil {
		return err
	}
	moved := topo.Until(20*time.Second, func() (bool, error) {
		sas, err := topo.Left.SAD()
		for _, sa := range sas {
			if sa.Src.String() == strayAddress {
				return true, nil
			}
		}
		return false, err
	})
	killed := apply.Process.Kill()
	_ = apply.Wait() // it was killed
	if moved != nil || killed != nil {
		return fmt.Errorf("kill the program in the middle: %w, %w", moved, killed)
	}
	d.prompt("left", "xfrm-plan apply left-alone.yaml --yes   # killed when the SAs had moved")
	d.prompt("left", "xfrm-plan apply left-alone.yaml --yes   # once more")
	again, err := d.network.Run(topo.Left, "apply", plan, "--yes")
	if err != nil {
		return err
	}
	d.output(again.Output)
	if again.Code != 6 {
		return fmt.Errorf("apply beside an unfinished run ended with %d, not 6", again.Code)
	}
	d.prompt("left", "xfrm-plan recover --yes")
	o, err := d.network.Run(topo.Left, "recover", "--yes")
	if err != nil {
		return err
	}
	d.output(o.Output)
	return d.asBefore("recovered: all as before the crash", before, o.Code, 0)
}

// asBefore checks from outside that the left gateway is as it was, and that its tunnel carries traffic.
func (d *demonstration) asBefore(what string, before topo.Snapshot, code, want int) error {
	after, err := topo.Snap(topo.Left)
	if err != nil {
		return err
	}
	c := topo.Check{What: what, How: "ip xfrm", Seen: fmt.Sprintf("exit code %d, same SAs and policies", code), Err: after.Same(before)}
	if code != want {
		c.Err = fmt.Errorf("exit code %d, want %d", code, want)
	}
	d.check(c)
	out, err := topo.LeftLAN.Run("ping", "-c", "3", "-i", "0.2", "-W", "5", topo.Client4)
	d.check(topo.Check{What: "the tunnel carries traffic", How: "ping " + topo.Client4, Seen: received(out), Err: err})
	return nil
}

// received takes the line of ping's summary that says how many came back.
func received(out string) string {
	for line := range strings.Lines(out) {
		if strings.Contains(line, "packets transmitted") {
			return strings.TrimSpace(strings.SplitN(line, ", time", 2)[0])
		}
	}
	return ""
}

// fromProgress leaves out the plan that apply shows first.
func fromProgress(out string) string {
	if i := strings.Index(out, "\n["); i >= 0 {
		return out[i+1:]
	}
	return out
}

func (d *demonstration) write(name, text string) (string, error) {
	file := filepath.Join(d.dir, name)
	return file, os.WriteFile(file, []byte(text), 0o600)
}
