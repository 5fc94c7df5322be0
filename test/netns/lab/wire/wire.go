// Package wire is what the lab's host and guest halves say to each other: a job that goes in and a stream of frames that comes out.
package wire

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Kind says what a frame's payload is.
type Kind byte

// The stream is Ready, then Stdout, Stderr and Alive in any order, then a File with its Data for each file that comes back, then Exit.
const (
	Ready  Kind = 'R' // the guest is up and about to start the job; no payload
	Stdout Kind = 'o' // bytes that the job wrote to its standard output
	Stderr Kind = 'e' // bytes that the job wrote to its standard error
	Alive  Kind = 'a' // sent every [Heartbeat]; no payload
	File   Kind = 'f' // a FileHeader in JSON; the file's bytes follow as Data
	Data   Kind = 'd' // the next bytes of the last File
	Exit   Kind = 'x' // a Result in JSON; nothing follows
)

// MaxPayload bounds a frame, so that a corrupt length cannot make the reader allocate gigabytes.
const MaxPayload = 1 << 20

// headerLen is the kind (1 byte) and the payload's length (4 bytes, big endian).
const headerLen = 5

// A Writer sends frames. It is safe for concurrent use: the job's output, the heartbeat and the result share one port.
type Writer struct {
	mu sync.Mutex
	w  io.Writer
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Send writes payload as one frame, or as several if it is longer than MaxPayload.
func (w *Writer) Send(kind Kind, payload []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		n := min(len(payload), MaxPayload)
		// One Write a frame: a frame that is cut in two by a dying guest is then rare, and each Write costs the emulator an exit.
		buf := make([]byte, 0, headerLen+n)
		buf = append(buf, byte(kind))
		buf = binary.BigEndian.AppendUint32(buf, uint32(n))
		buf = append(buf, payload[:n]...)
		if _, err := w.w.Write(buf); err != nil {
			return err
		}
		if payload = payload[n:]; len(payload) == 0 {
			return nil
		}
	}
}

// SendJSON sends v as one frame.
func (w *Writer) SendJSON(kind Kind, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.Send(kind, b)
}

// Stream returns an io.Writer whose writes become frames of the given kind.
func (w *Writer) Stream(kind Kind) io.Writer { return stream{w, kind} }

type stream struct {
	w    *Writer
	kind Kind
}

func (s stream) Write(p []byte) (int, error) {
	if err := s.w.Send(s.kind, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Read reads one frame. It returns io.EOF only between frames; a frame cut short is io.ErrUnexpectedEOF.
func Read(r io.Reader) (Kind, []byte, error) {
	var h [headerLen]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(h[1:])
	if n > MaxPayload {
		return 0, nil, fmt.Errorf("frame %q of %d bytes: longer than %d, the stream is corrupt", h[0], n, MaxPayload)
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(r, payload); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return Kind(h[0]), payload, nil
}
