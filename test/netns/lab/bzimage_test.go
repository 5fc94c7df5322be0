package lab

import (
	"encoding/binary"
	"errors"
	"testing"
)

func TestZstdPayload(t *testing.T) {
	frame := "\x28\xb5\x2f\xfdcompressed"
	image := func(magic, payload string, length int) []byte {
		const setupSects, offset = 2, 16
		b := make([]byte, (setupSects+1)*512+offset)
		b[offSetupSects] = setupSects
		copy(b[0x202:], magic)
		binary.LittleEndian.PutUint32(b[offPayload:], offset)
		binary.LittleEndian.PutUint32(b[offPayloadLength:], uint32(length))
		return append(b, payload+"SIZEafter"...)
	}
	got, err := zstdPayload(image("HdrS", frame, len(frame)+payloadSizeLen))
	if err != nil || string(got) != frame {
		t.Errorf("got %q, %v; want %q", got, err, frame)
	}
	for name, b := range map[string][]byte{
		"no kernel":             image("ELF?", frame, len(frame)+payloadSizeLen),
		"another compression":   image("HdrS", "\x1f\x8bgzip", 10),
		"longer than the file":  image("HdrS", frame, 1<<20),
		"shorter than the size": image("HdrS", frame, 3),
		"empty":                 nil,
	} {
		if _, err := zstdPayload(b); !errors.Is(err, errNoZstd) {
			t.Errorf("%s: %v, want %v", name, err, errNoZstd)
		}
	}
}
