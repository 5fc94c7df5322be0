// Package modules answers which kernel module files to load, and in which order, from the index files that depmod(8) writes.
package modules

import (
	"bufio"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// An Index is one kernel's modules. Names are compared with '-' read as '_', as the kernel does.
type Index struct {
	files   map[string]string   // module name to its file, relative to the module directory
	deps    map[string][]string // module name to the names of all that it needs, in modules.dep's order
	aliases []alias
	builtin map[string]bool
}

type alias struct{ pattern, name string }

// Open reads the index files in dir, which is /lib/modules/RELEASE of some root.
func Open(dir string) (*Index, error) {
	x := &Index{files: map[string]string{}, deps: map[string][]string{}, builtin: map[string]bool{}}
	err := readLines(filepath.Join(dir, "modules.dep"), func(line string) {
		file, deps, ok := strings.Cut(line, ":")
		if !ok {
			return
		}
		x.files[name(file)] = file
		for dep := range strings.FieldsSeq(deps) {
			x.deps[name(file)] = append(x.deps[name(file)], name(dep))
		}
	})
	if err != nil {
		return nil, err
	}
	err = readLines(filepath.Join(dir, "modules.alias"), func(line string) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "alias" {
			x.aliases = append(x.aliases, alias{normal(f[1]), normal(f[2])})
		}
	})
	if err != nil {
		return nil, err
	}
	err = readLines(filepath.Join(dir, "modules.builtin"), func(line string) { x.builtin[name(line)] = true })
	return x, err
}

// Resolve returns the names of the modules that s stands for: a module's own name, or an alias such as "xfrm-type-2-50".
// What is built into the kernel resolves to nothing; what is unknown is an error.
func (x *Index) Resolve(s string) ([]string, error) {
	s = normal(s)
	if x.builtin[s] {
		return nil, nil
	}
	if _, ok := x.files[s]; ok {
		return []string{s}, nil
	}
	var names []string
	for _, a := range x.aliases {
		if ok, _ := path.Match(a.pattern, s); ok && !slices.Contains(names, a.name) {
			names = append(names, a.name)
		}
	}
	if names == nil {
		return nil, fmt.Errorf("no module or alias %q in this kernel", s)
	}
	return names, nil
}

// Order returns the files of the named modules and of all that they need, each once and after everything it needs itself.
func (x *Index) Order(names ...string) ([]string, error) {
	var files []string
	done := map[string]bool{}
	add := func(n string) error {
		if done[n] || x.builtin[n] {
			return nil
		}
		done[n] = true
		file, ok := x.files[n]
		if !ok {
			return fmt.Errorf("module %q is not in modules.dep", n)
		}
		files = append(files, file)
		return nil
	}
	for _, n := range names {
		n = normal(n)
		// modules.dep lists a module's needs so that loading from the last to the first always works.
		for _, dep := range slices.Backward(x.deps[n]) {
			if err := add(dep); err != nil {
				return nil, err
			}
		}
		if err := add(n); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// Below returns the names of the modules whose file lies in one of the directories, sorted.
func (x *Index) Below(dirs ...string) []string {
	var names []string
	for n, file := range x.files {
		if slices.ContainsFunc(dirs, func(d string) bool { return strings.HasPrefix(file, d+"/") }) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// name is the module's name for a file such as kernel/net/ipv4/esp4.ko.xz.
func name(file string) string {
	base, _, _ := strings.Cut(path.Base(file), ".ko")
	return normal(base)
}

func normal(s string) string { return strings.ReplaceAll(s, "-", "_") }

func readLines(file string, each func(string)) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		each(s.Text())
	}
	return s.Err()
}
