package rollback

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// A journal is a sequence of frames: u32 length and u32 CRC-32C, both little endian, and the payload. The checksum is
// chained: it runs over the checksum of the frame before and the payload, so that a frame can't be taken out, put in or
// moved without notice.
const frameHeader = 8

// maxPayload bounds what a damaged length can make the reader believe. The largest payload, a transaction, has some
// 350 bytes for each policy.
const maxPayload = 16 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errTorn    = errors.New("the last frame is incomplete")
	errDamaged = errors.New("a frame before the end is damaged")
)

func chain(before uint32, payload []byte) uint32 {
	var seed [4]byte
	binary.LittleEndian.PutUint32(seed[:], before)
	return crc32.Update(crc32.Checksum(seed[:], castagnoli), castagnoli, payload)
}

// appendFrame appends a frame and returns the checksum that the next one is chained to.
func appendFrame(b []byte, before uint32, payload []byte) ([]byte, uint32) {
	sum := chain(before, payload)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.LittleEndian.AppendUint32(b, sum)
	return append(b, payload...), sum
}

// nextFrame takes the first frame off b. errTorn means that b ends in the middle of it, errDamaged that it isn't what
// was written; a damaged frame that nothing follows was torn too, as a file's length can reach the disk before its
// content.
func nextFrame(b []byte, before uint32) (payload, rest []byte, sum uint32, err error) {
	if len(b) < frameHeader {
		return nil, nil, 0, errTorn
	}
	n := binary.LittleEndian.Uint32(b)
	sum = binary.LittleEndian.Uint32(b[4:])
	body := b[frameHeader:]
	switch {
	case n > maxPayload:
		return nil, nil, 0, errDamaged
	case uint64(n) > uint64(len(body)):
		return nil, nil, 0, errTorn
	}
	payload, rest = body[:n], body[n:]
	if chain(before, payload) != sum {
		if len(rest) == 0 {
			return nil, nil, 0, errTorn
		}
		return nil, nil, 0, errDamaged
	}
	return payload, rest, sum, nil
}
