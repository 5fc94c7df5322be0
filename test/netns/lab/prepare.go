package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// stopGrace is how long a command of the preparation may take to clean up after an interrupt.
const stopGrace = 10 * time.Second

// Prepare makes the images unless the cache has them, and returns them. With refresh it makes them anew, which brings the newest
// kernel and packages. What it does is told on log. Two callers at once do the work once.
func (c Cache) Prepare(ctx context.Context, log io.Writer, mirror string, refresh bool) (Images, error) {
	if err := installMissing(ctx, log); err != nil {
		return Images{}, err
	}
	if !refresh {
		if im, err := c.Find(); err == nil {
			return im, nil
		}
	}
	unlock, err := c.lock(true)
	if err != nil {
		return Images{}, err
	}
	defer unlock()
	if !refresh {
		// Another caller may have made them while this one waited for the lock.
		if im, err := c.Find(); err == nil {
			return im, nil
		}
	}
	// Left by an earlier run that was killed: nobody else can be at work under the lock.
	stale, _ := filepath.Glob(filepath.Join(c.dir, "tmp-*"))
	for _, dir := range stale {
		removeTree(ctx, dir)
	}
	tmp, err := os.MkdirTemp(c.dir, "tmp-")
	if err != nil {
		return Images{}, err
	}
	defer removeTree(context.WithoutCancel(ctx), tmp)
	if mirror == "" {
		mirror = hostMirror("/")
	}
	if mirror == "" {
		return Images{}, errors.New("the sources of this host's apt name no Debian mirror: give one with lab prepare -mirror URL")
	}
	release, out, err := build(ctx, log, tmp, mirror)
	if err != nil {
		return Images{}, err
	}
	return c.publish(out, release)
}

// build makes the images below tmp and returns the folder that holds them alone.
func build(ctx context.Context, log io.Writer, tmp, mirror string) (release, out string, err error) {
	start := time.Now()
	root := filepath.Join(tmp, "root")
	fmt.Fprintf(log, "lab: building a Debian system from %s\n", mirror)
	if err := bootstrap(ctx, log, root, mirror); err != nil {
		return "", "", err
	}
	dirs, err := filepath.Glob(filepath.Join(root, "usr/lib/modules/*"))
	if err != nil || len(dirs) != 1 {
		return "", "", fmt.Errorf("want one kernel in the new system, found %q", dirs)
	}
	release = filepath.Base(dirs[0])
	out = filepath.Join(tmp, "images")
	if err := os.Mkdir(out, 0o755); err != nil {
		return "", "", err
	}
	if err := writeKernel(ctx, filepath.Join(out, kernelFile), filepath.Join(root, "boot/vmlinuz-"+release)); err != nil {
		return "", "", err
	}
	if err := writeModules(ctx, filepath.Join(out, smallFile), dirs[0], current.ModuleDirs, current.OnDemand, current.Preload); err != nil {
		return "", "", err
	}
	if err := writeModules(ctx, filepath.Join(out, bootFile), dirs[0], nil, nil, current.Boot); err != nil {
		return "", "", err
	}
	if err := makeImage(ctx, filepath.Join(out, systemFile), root); err != nil {
		return "", "", err
	}
	fmt.Fprintf(log, "lab: kernel %s is ready, in %v\n", release, time.Since(start).Round(time.Second))
	return release, out, nil
}

// bootstrap installs the system. apt verifies every package against the keyring; there is no option here that would let it not.
func bootstrap(ctx context.Context, log io.Writer, root, mirror string) error {
	args := []string{
		// The machines boot with the lab's own initramfs; the package's hook would spend half a minute on another.
		"env", "INITRD=No",
		"mmdebstrap", "--mode=root", "--variant=apt", "--architectures=amd64", "--keyring=" + keyring,
		`--aptopt=APT::Install-Recommends "false"`,
		`--aptopt=Acquire::Languages "none"`,
		`--aptopt=Acquire::Retries "3"`,
		"--dpkgopt=path-exclude=/usr/share/doc/*",
		"--dpkgopt=path-exclude=/usr/share/locale/*",
		"--dpkgopt=path-exclude=/usr/share/man/*",
		"--include=" + strings.Join(current.Packages, ","),
		"--customize-hook=" + current.Extra,
		current.Suites[0], root,
	}
	for _, suite := range current.Suites {
		args = append(args, fmt.Sprintf("deb %s %s main", mirror, suite))
	}
	// It prints several hundred lines, of interest only if it fails.
	var output bytes.Buffer
	if err := asRoot(ctx, &output, args...); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		_, _ = log.Write(output.Bytes())
		return fmt.Errorf("%w (its output is above; the mirror was %s, -mirror names another)", err, mirror)
	}
	return nil
}

// makeImage makes a file system image of root. It is written without a mount, so needs no loop device.
func makeImage(ctx context.Context, image, root string) error {
	var output bytes.Buffer
	err := errors.Join(
		// No journal and no inode tables to initialise later: the image is only ever written to through a throw-away snapshot.
		asRoot(ctx, &output, "mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=0,nodiscard",
			"-d", root, image, fmt.Sprintf("%dM", current.ImageMiB)),
		asRoot(ctx, &output, "chmod", "0644", image),
	)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, output.Bytes())
	}
	return nil
}

// removeTree removes a folder that may hold files of root's.
func removeTree(ctx context.Context, dir string) {
	if os.RemoveAll(dir) != nil {
		_ = asRoot(ctx, io.Discard, "rm", "-rf", "--one-file-system", dir)
	}
}
