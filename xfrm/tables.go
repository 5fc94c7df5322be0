package xfrm

import (
	"fmt"

	"golang.org/x/sync/errgroup"
)

// Tables dumps SAD and SPD as SAs and Policies do, side by side through two connections to one namespace: the kernel keeps
// each behind a lock of its own. It asks the kernel beforehand how many there are and makes room for all at once: large
// tables that grow are copied over and over, and what they leave behind takes as much memory again.
func Tables(sad, spd *Conn) (sas []SA, policies []Policy, err error) {
	roomSAs, roomPolicies := sad.counts()
	var both errgroup.Group
	both.Go(func() (err error) {
		if sas, err = sad.sas(roomSAs); err != nil {
			return fmt.Errorf("read the SAD: %w", err)
		}
		return nil
	})
	both.Go(func() (err error) {
		if policies, err = spd.policies(roomPolicies); err != nil {
			return fmt.Errorf("read the SPD: %w", err)
		}
		return nil
	})
	if err := both.Wait(); err != nil {
		return nil, nil, err
	}
	return sas, policies, nil
}

// spare is room for what comes in between, and for the policies of sockets, which are dumped and not counted.
const spare = 64

// counts returns how much room the tables need, 0 where the kernel doesn't tell: the dump will say why.
func (c *Conn) counts() (sas, policies int) {
	none := make([]byte, 4) // flags
	errs := c.exchange([]Request{{MsgGetSADInfo, none}, {MsgGetSPDInfo, none}}, func(_ int, m Message) error {
		switch m.Type {
		case MsgNewSADInfo:
			n, err := sadCount(m.Payload)
			sas = int(n) + spare
			return err
		case MsgNewSPDInfo:
			var info SPDInfo
			err := info.decode(m.Payload)
			policies = int(info.In+info.Out+info.Fwd) + spare
			return err
		}
		return nil
	})
	if errs[0] != nil {
		sas = 0
	}
	if errs[1] != nil {
		policies = 0
	}
	return min(sas, maxRoom), min(policies, maxRoom)
}

// maxRoom keeps a number that makes no sense from taking all memory; beyond it tables grow.
const maxRoom = 1 << 20

// sadCount reads the payload of XFRM_MSG_NEWSADINFO: u32 flags and attributes, of which XFRMA_SAD_CNT is the number of SAs.
func sadCount(b []byte) (n uint32, err error) {
	const attrCount = 1
	if len(b) < 4 {
		return 0, shortOf("SAD info", len(b), 4)
	}
	err = eachAttr(b[4:], func(typ uint16, a []byte) error {
		if typ == attrCount {
			n, err = attr32("number of SAs", a)
		}
		return err
	})
	return n, err
}
