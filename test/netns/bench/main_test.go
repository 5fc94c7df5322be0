//go:build lab

package bench

import (
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/kernel"
)

func TestMain(m *testing.M) { kernel.Main(m) }
