// Command report renders what the benchmarks of the engine have measured: its section of docs/benchmarks.md and the
// drawing docs/engine.svg.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/xfrm-plan/xfrm-plan/test/netns/bench/engine/result"
	"github.com/xfrm-plan/xfrm-plan/test/section"
)

func main() {
	data := flag.String("data", "test/netns/bench/engine/testdata", "`directory` of the measurements")
	docs := flag.String("docs", "docs", "`directory` of the documents")
	flag.Parse()
	if err := render(*data, *docs); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

// measured are the boots whose figures go into the documents.
type measured struct {
	ways     *result.Boot
	parallel []*result.Boot // by number of processors
}

func load(dir string) (m measured, err error) {
	if m.ways, err = result.Read(filepath.Join(dir, "ways.json")); err != nil {
		return m, err
	}
	for _, name := range []string{"parallel-1.json", "parallel-2.json"} {
		b, err := result.Read(filepath.Join(dir, name))
		if err != nil {
			return m, err
		}
		m.parallel = append(m.parallel, b)
	}
	return m, nil
}

func render(data, docs string) error {
	m, err := load(data)
	if err != nil {
		return err
	}
	return errors.Join(
		section.Publish(filepath.Join(docs, "benchmarks.md"), engine(m)),
		os.WriteFile(filepath.Join(docs, "engine.svg"), plot(m.ways), 0o644),
	)
}
