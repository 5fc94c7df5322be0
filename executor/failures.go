package executor

import (
	"strings"

	"github.com/hashicorp/go-multierror"
)

// joined returns the collected failures as one error, a line for each.
func joined(failures *multierror.Error) error {
	if failures != nil {
		failures.ErrorFormat = lines
	}
	return failures.ErrorOrNil()
}

func lines(failures []error) string {
	texts := make([]string, len(failures))
	for i, err := range failures {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "\n")
}
