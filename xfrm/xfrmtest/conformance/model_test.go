package conformance_test

import (
	"testing"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest/conformance"
)

func TestModel(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.Namespace { return conformance.Model(t, xfrmtest.New()) })
}

// TestModelAgreesWithItself keeps the random test itself in order; what it is for is the running kernel.
func TestModelAgreesWithItself(t *testing.T) {
	for seed := range uint64(50) {
		conformance.Differential(t, seed, 200, conformance.Model(t, xfrmtest.New()), conformance.Model(t, xfrmtest.New()))
	}
	var _ xfrm.Socket = (*xfrmtest.Socket)(nil)
}
