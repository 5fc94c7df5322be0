package xfrm

import "fmt"

// Tables dumps SAD and SPD as SAs and Policies do. It asks the kernel beforehand how many there are and makes room for
// all at once: large tables that grow are copied over and over, and what they leave behind takes as much memory again.
func (c *Conn) Tables() ([]SA, []Policy, error) {
	sas, policies := c.counts()
	allSAs, err := c.sas(sas)
	if err != nil {
		return nil, nil, fmt.Errorf("read the SAD: %w", err)
	}
	allPolicies, err := c.policies(policies)
	if err != nil {
		return nil, nil, fmt.Errorf("read the SPD: %w", err)
	}
	return allSAs, allPolicies, nil
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
