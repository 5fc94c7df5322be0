package guest

import (
	"crypto/sha256"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/xfrm-plan/xfrm-plan/test/netns/lab/wire"
)

type digest [sha256.Size]byte

// snapshot hashes every regular file at or below the paths. Content is compared rather than times: a test that rewrites a golden file
// with the same bytes must not touch the host's checkout.
func snapshot(paths []string) (map[string]digest, error) {
	files := map[string]digest{}
	err := walk(paths, func(p string, _ fs.FileMode) error {
		d, err := hash(p)
		files[p] = d
		return err
	})
	return files, err
}

// sendChanges sends the files that are new or differ from before.
func sendChanges(paths []string, before map[string]digest, out *wire.Writer) error {
	return walk(paths, func(p string, mode fs.FileMode) error {
		now, err := hash(p)
		if err != nil {
			return err
		}
		if was, ok := before[p]; ok && was == now {
			return nil
		}
		if err := out.SendJSON(wire.File, wire.FileHeader{Path: p, Mode: mode}); err != nil {
			return err
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(out.Stream(wire.Data), f)
		return err
	})
}

// walk calls each for every regular file at or below the paths; a path that does not exist is no error.
func walk(paths []string, each func(string, fs.FileMode) error) error {
	for _, root := range paths {
		err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if os.IsNotExist(err) {
				return nil
			}
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			fi, err := d.Info()
			if err != nil {
				return err
			}
			return each(p, fi.Mode().Perm())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func hash(p string) (d digest, err error) {
	f, err := os.Open(p)
	if err != nil {
		return d, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return d, err
	}
	return digest(h.Sum(nil)), nil
}
