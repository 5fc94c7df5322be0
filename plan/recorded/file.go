package recorded

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"

	"github.com/xfrm-plan/xfrm-plan/plan"
)

// file is a recorded inventory. SAs and policies are in the order of the dump.
type file struct {
	Made      string       `json:"made"` // how to make such an inventory
	SAs       []sa         `json:"sas"`
	Policies  []policy     `json:"policies"`
	Addresses []netip.Addr `json:"addresses"`
	Links     []plan.Link  `json:"links"`
}

// Marshal gives the inventory as JSON, with a line for each SA and policy. made tells how to make it.
func Marshal(inv *plan.Inventory, made string) ([]byte, error) {
	var b bytes.Buffer
	var failed error
	item := func(v any) []byte {
		line, err := json.Marshal(v)
		if err != nil {
			failed = err
		}
		return line
	}
	list := func(name, end string, n int, each func(i int) any) {
		b.WriteString("\t\"" + name + "\": [")
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString("\n\t\t")
			b.Write(item(each(i)))
		}
		b.WriteString("\n\t]" + end + "\n")
	}
	b.WriteString("{\n\t\"made\": ")
	b.Write(item(made))
	b.WriteString(",\n")
	list("sas", ",", len(inv.SAs), func(i int) any { return saFrom(&inv.SAs[i]) })
	list("policies", ",", len(inv.Policies), func(i int) any { return policyFrom(&inv.Policies[i]) })
	list("addresses", ",", len(inv.Addresses), func(i int) any { return inv.Addresses[i] })
	list("links", "", len(inv.Links), func(i int) any { return inv.Links[i] })
	b.WriteString("}\n")
	return b.Bytes(), failed
}

// Read reads what Marshal has given.
func Read(path string) (inv *plan.Inventory, made string, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, "", err
	}
	var f file
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, "", err
	}
	inv = &plan.Inventory{Addresses: f.Addresses, Links: f.Links}
	for i := range f.SAs {
		inv.SAs = append(inv.SAs, f.SAs[i].wire())
	}
	for i := range f.Policies {
		inv.Policies = append(inv.Policies, f.Policies[i].wire())
	}
	return inv, f.Made, nil
}
