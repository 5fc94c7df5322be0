package ike

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xfrm-plan/xfrm-plan/plan"
)

// askLimit is how long a daemon may take to tell what it has: charon lists thousands of Child SAs a second, unless one of them is stuck.
const askLimit = 10 * time.Second

// Consult asks the daemons of this host on behalf of a computed plan. It refuses the plan where the document leaves open what a daemon learns of
// the move, and where a daemon could not do what the document asks of it; and it lays out the daemon's part in the run.
//
// Daemons are asked wherever they are: a socket in the file system crosses network namespaces. A daemon is of the plan's namespace if its SPIs are.
func Consult(ctx context.Context, doc *plan.Document, p *plan.Plan) (*Part, error) {
	c := &consultation{doc: doc, plan: p}
	if p.Empty() {
		return nil, nil
	}
	onLoss, follow := doc.OnExist == plan.OnExistReestablish, doc.IKE.Follow == plan.FollowReestablish
	if !onLoss && !follow {
		if doc.IKE.Follow == plan.FollowUnsaid {
			for _, d := range Daemons(doc.Reestablish) {
				c.owned(ctx, d)
			}
		}
		return nil, nil
	}
	driver, err := Open(doc.Reestablish)
	if err != nil {
		return nil, err
	}
	part := &Part{Driver: driver, Follow: follow, OnLoss: onLoss, Config: doc.Reestablish, Moves: make([][]Move, len(p.Groups))}
	for _, d := range Daemons(doc.Reestablish) { // one that the driver doesn't reach would not follow
		if d.String() != driver.String() && doc.Reestablish.Driver != plan.DriverCommand && doc.IKE.Follow != plan.FollowNone {
			c.owned(ctx, d)
		}
	}
	owner, lacks, ok := c.owner(ctx, driver)
	if !ok {
		return nil, nil
	}
	var unowned []string
	for gi := range p.Groups {
		g := &p.Groups[gi]
		part.Moves[gi] = movesOf(p, g, owner)
		if !whole(g, owner) {
			unowned = append(unowned, g.Name)
		}
		for i := range part.Moves[gi] {
			c.check(ctx, driver, &part.Moves[gi][i])
		}
	}
	if len(unowned) != 0 && onLoss && !doc.Reestablish.AcceptLoss {
		c.refuse(plan.SlugUnowned, unowned, fmt.Sprintf("%v %s %s, so that nobody could set them up again if the kernel lost one", driver, lacks, some(unowned)),
			"take them out with select, or write reestablish: {unowned: accept-loss}")
	}
	return part, nil
}

type consultation struct {
	doc  *plan.Document
	plan *plan.Plan
}

// refuse adds a refusal, of a group if it is about one.
func (c *consultation) refuse(slug plan.Slug, groups []string, reason, hint string) {
	r := plan.Refusal{Slug: slug, Reason: reason, Hint: hint}
	if len(groups) == 1 {
		r.Group = groups[0]
	}
	c.plan.Refusals = append(c.plan.Refusals, r)
}

// owned refuses the plan if it moves SAs of the daemon's.
func (c *consultation) owned(ctx context.Context, d Driver) {
	owner, err := c.list(ctx, d)
	if errors.Is(err, ErrAbsent) {
		return
	}
	if err != nil {
		c.refuse(plan.SlugUnanswered, nil, fmt.Sprintf("it can't be told whether the SAs are a daemon's: %v", err),
			"see to the daemon, or write ike: {follow: none} if you see to it yourself that it learns of the new addresses")
		return
	}
	var groups, names []string
	for gi := range c.plan.Groups {
		g := &c.plan.Groups[gi]
		found := false
		for i := range g.Calls {
			if own, ok := owner(&g.Calls[i]); ok {
				found = true
				if name := own.Connection + "/" + own.Child; !slices.Contains(names, strings.TrimSuffix(name, "/")) {
					names = append(names, strings.TrimSuffix(name, "/"))
				}
			}
		}
		if found {
			groups = append(groups, g.Name)
		}
	}
	if len(groups) == 0 {
		return
	}
	c.refuse(plan.SlugOwned, groups, fmt.Sprintf("%v owns SAs that would move (%s) and would go on using the old addresses from its next rekey on", d, some(names)),
		"write ike: {follow: none} if you see to it yourself that the daemon learns of the new addresses, or ike: {follow: reestablish} with "+
			"reestablish: {driver: "+driverName(d)+"} to have it set them up there")
}

func driverName(d Driver) string {
	if _, ok := d.(*VICI); ok {
		return string(plan.DriverVICI)
	}
	return string(plan.DriverLibreswan)
}

// list asks a daemon what it owns.
func (c *consultation) list(ctx context.Context, d Driver) (func(*plan.Call) (ChildSA, bool), error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	all, err := d.ChildSAs(ctx)
	if err != nil {
		return nil, err
	}
	owner := index(all)
	return func(call *plan.Call) (ChildSA, bool) { return owner(call.SA) }, nil
}

// owner is list for the daemon that the document counts on, with what it means that a group's SAs are not its. Without its word the plan is refused; but one
// that isn't there owns nothing, which matters only where it is to follow.
func (c *consultation) owner(ctx context.Context, d Driver) (owner func(*plan.Call) (ChildSA, bool), lacks string, ok bool) {
	owner, err := c.list(ctx, d)
	switch {
	case errors.Is(err, errors.ErrUnsupported): // the program is told of every group and knows what is its
		return func(*plan.Call) (ChildSA, bool) { return ChildSA{}, true }, "", true
	case errors.Is(err, ErrAbsent) && c.doc.IKE.Follow != plan.FollowReestablish:
		return func(*plan.Call) (ChildSA, bool) { return ChildSA{}, false }, "does not run and so does not own the SAs of", true
	case err != nil:
		c.refuse(plan.SlugUnanswered, nil, fmt.Sprintf("the plan counts on a daemon that does not answer: %v", err),
			"start it, or correct reestablish: {socket: ...}; without a daemon write ike: {follow: none} and onExist: rollback")
		return nil, "", false
	}
	return owner, "does not own all SAs of", true
}

// whole reports whether every SA of the group has an owner.
func whole(g *plan.Group, owner func(*plan.Call) (ChildSA, bool)) bool {
	for i := range g.Calls {
		if _, ok := owner(&g.Calls[i]); !ok {
			return false
		}
	}
	return true
}

func (c *consultation) check(ctx context.Context, d Driver, m *Move) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	if err := d.Check(ctx, m); err != nil {
		c.refuse(plan.SlugNoSuccessor, []string{m.Group}, err.Error(), "prepare it on both gateways, or write ike: {follow: none} and onExist: rollback")
	}
}

// some names a few of many.
func some(names []string) string {
	const shown = 3
	if n := len(names) - shown; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), n)
	}
	return strings.Join(names, ", ")
}
