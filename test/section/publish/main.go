// Command publish puts what tests in the lab have measured into a document: publish SECTIONS DOCUMENT, a directory and a file.
package main

import (
	"fmt"
	"os"

	"github.com/xfrm-plan/xfrm-plan/test/section"
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
	all, err := section.Saved(sections)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("no section below %s", sections)
	}
	return section.Publish(document, all...)
}
