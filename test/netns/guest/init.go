package guest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/test/netns/lab/wire"
)

// run brings the guest up, runs the job and reports it. It returns only if that fails.
func run() error {
	var job wire.Job
	b, err := os.ReadFile(wire.JobFile)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &job); err != nil {
		return fmt.Errorf("%s: %w", wire.JobFile, err)
	}
	if err := mountKernel(); err != nil {
		return err
	}
	if err := loadModules(wire.Modules); err != nil {
		return err
	}
	if job.System {
		if err := enterSystem(); err != nil {
			return err
		}
		if job.Disk != "" {
			if err := mountDisk(job.Disk); err != nil {
				return err
			}
		}
	}
	if err := unix.Sethostname([]byte("lab")); err != nil {
		return fmt.Errorf("sethostname: %w", err)
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("lo up: %w", err)
	}
	if job.Shell {
		if err := shell(job); err != nil {
			return err
		}
		powerOff()
	}
	port, err := openPort(wire.Port)
	if err != nil {
		return err
	}
	out := wire.NewWriter(port)
	if err := out.Send(wire.Ready, nil); err != nil {
		return err
	}
	go beat(out)
	result := runJob(job, out)
	if err := out.SendJSON(wire.Exit, result); err != nil {
		return err
	}
	// The host ends the machine as soon as it has the result, which is quicker than a shutdown in here.
	port.Close()
	powerOff()
	return nil
}

// beat tells the host that this kernel still schedules.
func beat(out *wire.Writer) {
	for range time.Tick(wire.Heartbeat) {
		if out.Send(wire.Alive, nil) != nil {
			return
		}
	}
}

// openPort finds a virtio-serial port by the name that QEMU gave it.
func openPort(name string) (io.WriteCloser, error) {
	names, err := filepath.Glob("/sys/class/virtio-ports/*/name")
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		if b, err := os.ReadFile(n); err == nil && strings.TrimSpace(string(b)) == name {
			dev := "/dev/" + filepath.Base(filepath.Dir(n))
			fd, err := unix.Open(dev, unix.O_WRONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", dev, err)
			}
			return blockingPort(fd), nil
		}
	}
	return nil, errors.New("no virtio-serial port " + name)
}

// A blockingPort writes with plain system calls: os.File would set O_NONBLOCK and poll, and the driver then drops to short writes.
type blockingPort int

func (p blockingPort) Write(b []byte) (int, error) {
	for n := 0; n < len(b); {
		m, err := unix.Write(int(p), b[n:])
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if err != nil {
			return n, err
		}
		n += m
	}
	return len(b), nil
}

func (p blockingPort) Close() error { return unix.Close(int(p)) }
