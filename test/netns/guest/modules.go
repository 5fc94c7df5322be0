package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/test/netns/lab/modules"
)

// loadModules loads the files listed in list, in its order.
func loadModules(list string) error {
	b, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	dir, err := moduleDir()
	if err != nil {
		return err
	}
	for file := range strings.FieldsSeq(string(b)) {
		if err := load(filepath.Join(dir, file)); err != nil {
			return err
		}
	}
	return nil
}

// modprobe does what the kernel's request_module needs: "modprobe -q -- NAME" for a module's name or alias.
func modprobe(args []string) error {
	dir, err := moduleDir()
	if err != nil {
		return err
	}
	x, err := modules.Open(dir)
	if err != nil {
		return err
	}
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") {
			continue
		}
		names, err := x.Resolve(arg)
		if err != nil {
			return err
		}
		files, err := x.Order(names...)
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := load(filepath.Join(dir, file)); err != nil {
				return err
			}
		}
	}
	return nil
}

func moduleDir() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("uname: %w", err)
	}
	return "/lib/modules/" + unix.ByteSliceToString(u.Release[:]), nil
}

func load(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	flags := 0
	if !strings.HasSuffix(file, ".ko") {
		flags = unix.MODULE_INIT_COMPRESSED_FILE
	}
	err = unix.FinitModule(int(f.Fd()), "", flags)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("load %s: %w", file, err)
	}
	return nil
}
