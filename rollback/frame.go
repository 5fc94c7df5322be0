package rollback

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A journal is a sequence of frames: u32 length, u32 checksum of the length, u32 checksum of the payload, all little
// endian, and the payload. Checksums are CRC-32C and chained: they run over the payload's checksum of the frame before
// first, so that a frame can't be taken out, put in or moved without notice. docs/journal.md has the whole format.
//
// The length has a checksum of its own because it decides what damage means: a frame that is said to be longer than
// what is left of the file was torn when the writer died, and is dropped; if that is a flipped bit in the middle, all
// intents behind it would be dropped with it.
const frameHeader = 12

// maxPayload bounds what the writer writes. The largest payload, a transaction, has some 350 bytes for each policy.
const maxPayload = 64 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	// ErrUnusable means that a journal does not say what was meant: it is damaged. Recovery goes by the tags of policies and
	// the kernel alone then.
	ErrUnusable = errors.New("the journal can't be used")
	// ErrVersion means that a journal is of another format: another program knows what was meant, and nothing may be done
	// before that has recovered the run.
	ErrVersion = errors.New("its format is not known here")
)

var (
	errTorn     = errors.New("the last frame is incomplete")
	errDamaged  = fmt.Errorf("%w: it is damaged", ErrUnusable)
	errTooLarge = errors.New("a record is larger than a journal takes")
)

// chain is the checksum of the four bytes of before and those of b.
func chain(before uint32, b []byte) uint32 {
	seed := ^uint32(0) // byte by byte: handed to hash/crc32 they would be allocated, twice for each frame
	for range 4 {
		seed = castagnoli[byte(seed)^byte(before)] ^ seed>>8
		before >>= 8
	}
	return crc32.Update(^seed, castagnoli, b)
}

// appendFrame appends a frame and returns the checksum that the next one is chained to.
func appendFrame(b []byte, before uint32, payload []byte) ([]byte, uint32) {
	at := len(b)
	b = append(append(b, make([]byte, frameHeader)...), payload...)
	return b, sealFrame(b[at:], before)
}

// sealFrame fills in the header of a frame whose payload is there, and returns the checksum that the next one is chained
// to.
func sealFrame(frame []byte, before uint32) uint32 {
	payload := frame[frameHeader:]
	sum := chain(before, payload)
	binary.LittleEndian.PutUint32(frame, uint32(len(payload)))
	binary.LittleEndian.PutUint32(frame[4:], chain(before, frame[:4]))
	binary.LittleEndian.PutUint32(frame[8:], sum)
	return sum
}

// nextFrame takes the first frame off b. errTorn means that b ends within it: the writer died, or the disk was full,
// before it was all there, and so before anything was done that it tells of. Whatever else is wrong is errDamaged.
func nextFrame(b []byte, before uint32) (payload, rest []byte, sum uint32, err error) {
	if len(b) < frameHeader {
		return nil, nil, 0, errTorn
	}
	n := binary.LittleEndian.Uint32(b)
	sum = binary.LittleEndian.Uint32(b[8:])
	body := b[frameHeader:]
	switch {
	case chain(before, b[:4]) != binary.LittleEndian.Uint32(b[4:]), n > maxPayload:
		return nil, nil, 0, errDamaged
	case uint64(n) > uint64(len(body)):
		return nil, nil, 0, errTorn
	}
	payload, rest = body[:n], body[n:]
	if chain(before, payload) != sum {
		return nil, nil, 0, errDamaged
	}
	return payload, rest, sum, nil
}

// firstFrame reads the frame that a journal begins with, or what there is of it.
func firstFrame(r io.Reader) ([]byte, error) {
	b := make([]byte, frameHeader)
	n, err := io.ReadFull(r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return b[:n], nil
	}
	if err != nil {
		return nil, err
	}
	if chain(0, b[:4]) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, errDamaged
	}
	payload, err := io.ReadAll(io.LimitReader(r, int64(binary.LittleEndian.Uint32(b))))
	return append(b, payload...), err
}
