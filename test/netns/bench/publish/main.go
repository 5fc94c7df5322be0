// Command publish puts what benchmarks have measured into a document, each section between its markers: publish SECTIONS DOCUMENT.
package main

import (
	"fmt"
	"os"

	"github.com/xfrm-plan/xfrm-plan/test/netns/bench"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: publish SECTIONS DOCUMENT")
		os.Exit(2)
	}
	if err := publish(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "publish:", err)
		os.Exit(1)
	}
}

func publish(sections, document string) error {
	all, err := bench.Saved(sections)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("no section below %s", sections)
	}
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	for _, s := range all {
		if text, err = s.In(text); err != nil {
			return fmt.Errorf("%s: %w", document, err)
		}
	}
	return os.WriteFile(document, text, 0o644)
}
