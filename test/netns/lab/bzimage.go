package lab

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// Offsets in the header of a bzImage, from the kernel's Documentation/arch/x86/boot.rst.
const (
	offSetupSects    = 0x1f1 // 1 byte: 512-byte sectors of real-mode code after the first
	offPayload       = 0x248 // 4 bytes, little endian: offset of the compressed kernel from the protected-mode code
	offPayloadLength = 0x24c // 4 bytes, little endian
)

// payloadSizeLen is the length of the uncompressed size, which the kernel's build appends to the compressed kernel.
const payloadSizeLen = 4

var errNoZstd = errors.New("not a kernel compressed with zstd")

// writeKernel unpacks the kernel in the file image. QEMU starts an unpacked one directly, by its PVH entry; that saves the emulated
// processor the unpacking, about a second of each boot. An image of another kind is kept as it is: it boots, too.
func writeKernel(ctx context.Context, file, image string) error {
	b, err := os.ReadFile(image)
	if err != nil {
		return err
	}
	payload, err := zstdPayload(b)
	if errors.Is(err, errNoZstd) {
		return os.WriteFile(file, b, 0o644)
	}
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "zstd", "--decompress", "--stdout")
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(payload), out, &stderr
	if err := errors.Join(cmd.Run(), out.Close()); err != nil {
		return fmt.Errorf("zstd of the kernel in %s: %w %s", image, err, stderr.Bytes())
	}
	return nil
}

// zstdPayload returns the compressed kernel of a bzImage.
func zstdPayload(b []byte) ([]byte, error) {
	if len(b) < offPayloadLength+4 || string(b[0x202:0x206]) != "HdrS" {
		return nil, errNoZstd
	}
	start := (int64(b[offSetupSects])+1)*512 + int64(binary.LittleEndian.Uint32(b[offPayload:]))
	end := start + int64(binary.LittleEndian.Uint32(b[offPayloadLength:])) - payloadSizeLen
	if start > end || end > int64(len(b)) || !bytes.HasPrefix(b[start:end], []byte{0x28, 0xb5, 0x2f, 0xfd}) {
		return nil, errNoZstd
	}
	return b[start:end], nil
}
