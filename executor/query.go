package executor

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// query collects what there is to ask the kernel about one group, so that all of it goes in one datagram.
type query struct {
	reqs []xfrm.Request
	use  []func(*xfrm.Answer)
}

// queryOf returns a query with room for n requests.
func queryOf(n int) *query {
	return &query{make([]xfrm.Request, 0, n), make([]func(*xfrm.Answer), 0, n)}
}

// ask adds a request. use gets its answer, nil if there is no such SA or policy.
func (q *query) ask(r xfrm.Request, use func(*xfrm.Answer)) {
	q.reqs = append(q.reqs, r)
	q.use = append(q.use, use)
}

// tries is how often a question is asked whose answer got lost: what fills a socket's buffer is gone a moment later,
// and a kernel that does not answer three times will not either.
const tries = 3

// errUnread means that the kernel could not be asked: what is there is not known.
var errUnread = errors.New("the kernel could not be read")

// run asks, and uses the answers only if all of them came.
func (q *query) run(conn *xfrm.Conn) (err error) {
	if len(q.reqs) == 0 {
		return nil
	}
	for range tries {
		var answers []xfrm.Answer
		var errs []error
		answers, errs = conn.Read(q.reqs...)
		gone := make([]bool, len(errs))
		for i := range errs {
			if absent(errs[i]) {
				gone[i], errs[i] = true, nil
			}
		}
		if err = first(errs); err != nil {
			continue
		}
		for i := range answers {
			if gone[i] {
				q.use[i](nil)
			} else {
				q.use[i](&answers[i])
			}
		}
		return nil
	}
	return fmt.Errorf("%w: %w", errUnread, err)
}

// absent reports whether the kernel's answer is that there is no such SA or policy.
func absent(err error) bool { return errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) }

func isUnread(err error) bool { return errors.Is(err, errUnread) }

// first returns the first error that is one: where answers are lost they all are, and one line says it.
func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
