package lab

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// DefaultTimeout ends a command that was given no other limit.
const DefaultTimeout = 5 * time.Minute

// afterTest is how much later than -test.timeout the lab ends a test: the test's own panic, with its goroutines, comes first.
// go test itself gives up a minute after -test.timeout, so afterTest, a boot and timeoutGrace have to fit into that.
const afterTest = 20 * time.Second

// AddTest makes the spec run a test binary as go test's -exec asks for it: in the host's working directory, with the package's
// testdata, and with everything that the testing flags write coming back.
func (s *Spec) AddTest(binary string, args []string) error {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return err
	}
	if !s.System {
		if err := checkStatic(binary); err != nil {
			return err
		}
	}
	if s.Dir == "" {
		if s.Dir, err = os.Getwd(); err != nil {
			return err
		}
	}
	run, err := readTestFlags(args, s.Dir)
	if err != nil {
		return err
	}
	s.Args = append([]string{binary}, args...)
	s.Ship = append(s.Ship, Ship{binary, binary})
	s.MakeDirs = append(s.MakeDirs, run.makeDirs...)
	s.Return = append(s.Return, run.returned...)
	if s.Timeout == 0 {
		s.Timeout = DefaultTimeout
		if run.timed {
			s.Timeout = 0
			if run.timeout > 0 {
				s.Timeout = run.timeout + afterTest
			}
		}
	}
	testdata := filepath.Join(s.Dir, "testdata")
	if fi, err := os.Stat(testdata); err == nil && fi.IsDir() {
		s.Ship = append(s.Ship, Ship{testdata, testdata})
	}
	// Asked for even if there is none yet: a test may write its first golden file or fuzzing input.
	s.Return = append(s.Return, testdata)
	if dir := os.Getenv("GOCOVERDIR"); dir != "" {
		dir = under(s.Dir, dir)
		s.Env = append(s.Env, "GOCOVERDIR="+dir)
		s.MakeDirs = append(s.MakeDirs, dir)
		s.Return = append(s.Return, dir)
	}
	s.Env = append(s.Env, goEnv(os.Environ())...)
	return nil
}

// goEnv picks the variables that change how a Go program runs, as opposed to how it is built.
func goEnv(environ []string) []string {
	var env []string
	for _, kv := range environ {
		switch k, _, _ := strings.Cut(kv, "="); k {
		case "GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GOTRACEBACK":
			env = append(env, kv)
		}
	}
	return env
}

// checkStatic tells a dynamically linked program, for which the small machine has no linker. The kernel would only say that the file
// is not there.
func checkStatic(binary string) error {
	f, err := elf.Open(binary)
	if err != nil {
		return fmt.Errorf("%s: %w", binary, err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is dynamically linked, which only the system machine can run: set CGO_ENABLED=0, or use -system", binary)
		}
	}
	return nil
}
