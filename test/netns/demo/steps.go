package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// demonstration is the state of the story.
type demonstration struct {
	*screen
	network *topo.Network
	dir     string // for files
	watched *topo.Watch
	planned map[topo.Namespace]string // what `xfrm-plan plan` said
	failed  int                       // checks
}

func (d *demonstration) tunnel() error {
	d.step("strongSwan brings up one Child SA for IPv4 and IPv6, by way of ISP A")
	if err := d.network.StartIKE(); err != nil {
		return err
	}
	out, err := d.network.Swanctl(topo.Left, "--list-sas")
	if err != nil {
		return err
	}
	d.prompt("left", "swanctl --list-sas")
	d.output(out)
	return nil
}

func (d *demonstration) watch() (err error) {
	d.step("The left client pings the right one, twenty times a second in each family")
	d.watched, err = d.network.Watch()
	if err != nil {
		return err
	}
	d.prompt("left-lan", fmt.Sprintf("ping -i %v %s   and   ping -i %v %s", topo.PingInterval.Seconds(), topo.Client4, topo.PingInterval.Seconds(), topo.Client6))
	d.remark("Both are answered. tcpdump captures on the wire; sockets of our own hear what the gateways' kernels announce.")
	return nil
}

func (d *demonstration) plan() error {
	d.step("What is to happen: a plan file, the same for both gateways")
	text, err := os.ReadFile(filepath.Join(topo.Examples, topo.PlanISPChange))
	if err != nil {
		return err
	}
	d.prompt("left", "grep -v '^ *#' "+topo.PlanISPChange)
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			d.output(line)
		}
	}
	d.step("What that means for this kernel; nothing is changed yet")
	d.planned = make(map[topo.Namespace]string)
	for _, ns := range topo.Gateways {
		o, err := d.network.Run(ns, "plan", topo.PlanISPChange)
		if err != nil {
			return err
		}
		d.planned[ns] = o.Output
	}
	d.prompt("left", "xfrm-plan plan "+topo.PlanISPChange)
	d.output(d.planned[topo.Left])
	return nil
}

func (d *demonstration) apply() error {
	d.step("The move, on both gateways at the same time")
	if err := d.counters(topo.LeftISPA.String()); err != nil {
		return err
	}
	outcomes, err := d.network.RunOnBoth("apply", topo.PlanISPChange, "--yes")
	if err != nil {
		return err
	}
	for i, ns := range topo.Gateways {
		d.prompt(string(ns), "xfrm-plan apply "+topo.PlanISPChange+" --yes")
		o := outcomes[i]
		if again, ok := strings.CutPrefix(o.Output, d.planned[ns]); ok {
			d.remark("(it shows the plan again)")
			o.Output = again
		}
		d.output(o.Output)
		if o.Code != 0 {
			return fmt.Errorf("apply on %s ended with %d", ns, o.Code)
		}
	}
	return d.counters(topo.LeftISPB.String())
}

// counters shows the left gateway's outbound SA, without what says nothing here.
func (d *demonstration) counters(src string) error {
	const command = "ip -s xfrm state list nokeys src "
	out, err := topo.Left.Run(strings.Fields(command + src)...)
	if err != nil {
		return err
	}
	d.prompt("left", command+src)
	for line := range strings.Lines(out) {
		for _, telling := range []string{"src ", "proto ", "anti-replay", "(bytes), ", "add "} {
			if strings.Contains(line, telling) && !strings.Contains(line, "limit") && !strings.Contains(line, "expire") {
				d.output(strings.ReplaceAll(line, "\t", "  "))
				break
			}
		}
	}
	return nil
}

func (d *demonstration) checks() error {
	d.step("What was seen from outside")
	o, err := d.watched.Stop()
	if err != nil {
		return err
	}
	for _, c := range o.Checks(topo.MoveISPChange) {
		d.check(c)
	}
	d.remark("The longest time without a reply was %v, on one emulated processor that also runs two daemons, three captures and this demo.",
		o.LongestGap().Round(time.Millisecond))
	return nil
}

func (d *demonstration) check(c topo.Check) {
	d.line("   %s %-46s %-46s %s", d.mark(c.Err == nil), c.What, c.Seen, d.paint(dim, "("+c.How+")"))
	if c.Err != nil {
		d.failed++
		d.line("     %s", d.paint(red, c.Err.Error()))
	}
}

func (d *demonstration) again() error {
	d.step("Applied once more, there is nothing to do")
	for _, ns := range topo.Gateways {
		d.check(d.network.CheckAgain(ns, topo.PlanISPChange))
	}
	return nil
}

// toIPv6 repeats it all with less ado.
func (d *demonstration) toIPv6() error {
	d.step(fmt.Sprintf("The same tunnel leaves IPv4: %v and %v become %v and %v", topo.LeftISPB, topo.RightISP, topo.LeftISPB6, topo.RightISP6))
	w, err := d.network.Watch()
	if err != nil {
		return err
	}
	outcomes, err := d.network.RunOnBoth("apply", topo.PlanToIPv6, "--yes")
	if err != nil {
		return err
	}
	for i, ns := range topo.Gateways {
		d.prompt(string(ns), "xfrm-plan apply "+topo.PlanToIPv6+" --yes")
		if o := outcomes[i]; o.Code != 0 {
			return fmt.Errorf("apply on %s ended with %d\n%s", ns, o.Code, o.Output)
		}
	}
	o, err := w.Stop()
	if err != nil {
		return err
	}
	checks := o.Checks(topo.MoveToIPv6)
	held := 0
	for _, c := range checks {
		if c.Err == nil {
			held++
		} else {
			d.check(c)
		}
	}
	d.line("   %s %d of the same %d checks hold; longest gap %v", d.mark(held == len(checks)), held, len(checks), o.LongestGap().Round(time.Millisecond))
	if err := d.counters(topo.LeftISPB6.String()); err != nil {
		return err
	}
	return nil
}

func (d *demonstration) end() {
	if d.failed > 0 {
		d.line("\n%s", d.paint(red, fmt.Sprintf("%d checks failed.", d.failed)))
		return
	}
	d.line("\n%s", d.paint(green, "Every check holds: the tunnel moved twice, nobody behind it noticed more than a pause, and what went wrong was undone."))
}
