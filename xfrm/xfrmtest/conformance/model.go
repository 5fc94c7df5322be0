package conformance

import (
	"testing"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// Model is a kernel in memory as a Namespace.
func Model(t testing.TB, k *xfrmtest.Kernel) Namespace { return model{t, k} }

type model struct {
	t testing.TB
	k *xfrmtest.Kernel
}

func (m model) Socket() xfrm.Socket {
	s := m.k.Socket()
	m.t.Cleanup(func() { s.Close() })
	return s
}

func (m model) Dial() *xfrm.Conn { return xfrm.NewConn(m.Socket()) }

func (m model) Monitor(groups ...uint32) *xfrm.Monitor {
	mon, err := xfrm.NewMonitor(m.Socket(), groups...)
	if err != nil {
		m.t.Fatal(err)
	}
	return mon
}
