package kernel

import (
	"fmt"
	"strconv"
	"strings"
)

// A Release is the part of uname -r that orders kernels.
type Release struct{ Major, Minor int }

// Required is the first release with XFRM_MSG_MIGRATE_STATE.
var Required = Release{7, 2}

// ParseRelease reads a release such as "7.3.4+deb13-cloud-amd64" or "7.2-rc1".
func ParseRelease(s string) (Release, error) {
	major, rest, ok := strings.Cut(s, ".")
	if ok {
		end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(rest)
		}
		a, err1 := strconv.Atoi(major)
		b, err2 := strconv.Atoi(rest[:end])
		if err1 == nil && err2 == nil {
			return Release{a, b}, nil
		}
	}
	return Release{}, fmt.Errorf("kernel release %q does not start with MAJOR.MINOR", s)
}

// AtLeast reports whether r is other or newer.
func (r Release) AtLeast(other Release) bool {
	return r.Major > other.Major || r.Major == other.Major && r.Minor >= other.Minor
}

func (r Release) String() string { return fmt.Sprintf("%d.%d", r.Major, r.Minor) }
