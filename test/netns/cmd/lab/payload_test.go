//go:build labhost

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// payloadEnv makes this test binary, run in a machine, do something that the tests on the host look at from outside.
const payloadEnv = "LAB_TEST_PAYLOAD"

// labBinary is the lab, built once.
var labBinary string

func TestMain(m *testing.M) {
	if p := os.Getenv(payloadEnv); p != "" {
		payload(p)
		return
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "lab-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	labBinary = filepath.Join(dir, "lab")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", labBinary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

func payload(p string) {
	what, arg, _ := strings.Cut(p, ":")
	switch what {
	case "exit":
		fmt.Println("out")
		fmt.Fprintln(os.Stderr, "err")
		code, _ := strconv.Atoi(arg)
		os.Exit(code)
	case "panic":
		os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0)
	case "sleep":
		// Not by way of the kernel's log, which prints when it finds the time.
		if err := writeConsole("payload sleeps\n"); err != nil {
			fmt.Println(err)
		}
		fmt.Println("asleep")
		time.Sleep(time.Hour)
	case "files":
		os.WriteFile("testdata/new.txt", []byte("new"), 0o644)
		os.WriteFile("testdata/golden.txt", []byte("changed"), 0o644)
		os.WriteFile("elsewhere.txt", []byte("not asked for"), 0o644)
	}
}

// writeConsole returns when the text has left the machine.
func writeConsole(text string) error {
	f, err := os.OpenFile("/dev/console", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	const drain = 1
	return unix.IoctlSetInt(int(f.Fd()), unix.TCSBRK, drain)
}
