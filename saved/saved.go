package saved

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/review"
)

// kind opens a saved plan and tells it from a plan file.
const kind = "xfrm-plan/saved"

// version changes when a reader of the old form would misread the new one.
const version = 2

// MaxSize is what is read at most: some 2 KiB for each of 100,000 Child SAs.
const MaxSize = 256 << 20

// Plan is a saved plan.
type Plan struct {
	Kind     string    `json:"kind"`
	Version  int       `json:"version"`
	Created  time.Time `json:"created"`
	Source   string    `json:"source"`   // the plan file's name, for messages
	Document []byte    `json:"document"` // the plan file's bytes
	Targets  []Target  `json:"targets"`

	// Digest is the SHA-256 of the saved file: its identity, by which it is applied once only.
	Digest string `json:"-"`
}

// Target is one network namespace's part.
type Target struct {
	NetNS       string           `json:"netns"`
	Fingerprint plan.Fingerprint `json:"fingerprint"`
	Review      *review.Review   `json:"review"`
}

// ErrNotSaved means that a file is no saved plan at all: a plan file, as a rule.
var ErrNotSaved = errors.New("this is not a saved plan: `xfrm-plan plan --out` makes one")

// headSize is how much of a file tells what it is.
const headSize = 256

// Is reports whether data looks like a saved plan rather than like a plan file.
func Is(data []byte) bool {
	head := bytes.TrimLeft(data[:min(len(data), headSize)], " \t\r\n{")
	return bytes.HasPrefix(head, []byte(`"kind"`)) && bytes.Contains(head, []byte(kind))
}

// Parse reads a saved plan.
func Parse(data []byte) (*Plan, error) {
	if !Is(data) {
		return nil, ErrNotSaved
	}
	p := new(Plan)
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	switch err := d.Decode(p); {
	case err != nil:
		return nil, fmt.Errorf("the saved plan is damaged: %w", err)
	case p.Version != version:
		return nil, fmt.Errorf("the saved plan is of version %d and this program knows version %d: make it anew with `xfrm-plan plan --out`",
			p.Version, version)
	case d.Decode(new(any)) != io.EOF:
		return nil, errors.New("the saved plan is damaged: something follows it")
	}
	if len(p.Targets) == 0 {
		return nil, errors.New("the saved plan is damaged: it is for no network namespace")
	}
	for i := range p.Targets {
		if p.Targets[i].Review == nil {
			return nil, errors.New("the saved plan is damaged: a target has no review")
		}
	}
	sum := sha256.Sum256(data)
	p.Digest = hex.EncodeToString(sum[:])
	return p, nil
}
