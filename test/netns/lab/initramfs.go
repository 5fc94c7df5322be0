package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xfrm-plan/xfrm-plan/test/netns/guest"
	"github.com/xfrm-plan/xfrm-plan/test/netns/lab/cpio"
	"github.com/xfrm-plan/xfrm-plan/test/netns/lab/modules"
	"github.com/xfrm-plan/xfrm-plan/test/netns/lab/wire"
)

// writeModules writes the cached part of an initramfs: the modules below dirs (of the module tree at tree), those of
// onDemand and preload, all that they need, depmod's index, and the list of files for the guest to load at once, preload's.
func writeModules(ctx context.Context, file, tree string, dirs, onDemand, preload []string) error {
	x, err := modules.Open(tree)
	if err != nil {
		return err
	}
	load, err := x.Order(preload...)
	if err != nil {
		return err
	}
	all, err := x.Order(slices.Concat(x.Below(dirs...), onDemand, preload)...)
	if err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	w := cpio.NewWriter(f)
	target := "/lib/modules/" + filepath.Base(tree)
	for _, m := range all {
		b, err := decompress(ctx, filepath.Join(tree, m))
		if err != nil {
			return err
		}
		w.Bytes(filepath.Join(target, plain(m)), 0o644, b)
	}
	for _, index := range []string{"modules.dep", "modules.alias", "modules.builtin"} {
		b, err := os.ReadFile(filepath.Join(tree, index))
		if err != nil {
			return err
		}
		w.Bytes(filepath.Join(target, index), 0o644, bytes.ReplaceAll(b, []byte(".ko.xz"), []byte(".ko")))
	}
	for i := range load {
		load[i] = plain(load[i])
	}
	w.Bytes(wire.Modules, 0o644, []byte(strings.Join(load, "\n")))
	w.Symlink(guest.ModprobePath, guest.Path)
	return errors.Join(w.Close(), f.Close())
}

// decompress returns a module as the kernel links it. The emulated processor takes seconds to unpack what the host unpacks at once.
func decompress(ctx context.Context, file string) ([]byte, error) {
	if plain(file) == file {
		return os.ReadFile(file)
	}
	b, err := exec.CommandContext(ctx, "xz", "--decompress", "--stdout", file).Output()
	if err != nil {
		return nil, fmt.Errorf("xz %s: %w", file, err)
	}
	return b, nil
}

func plain(module string) string { return strings.TrimSuffix(module, ".xz") }
