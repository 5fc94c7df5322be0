package xfrmtest

import (
	"math/bits"

	"golang.org/x/sys/unix"
)

// queue is what a socket has to receive. Once something did not fit, all that comes is lost until the queue was read
// out (NETLINK_S_CONGESTED), and ENOBUFS is reported once, ahead of what did fit.
type queue struct {
	datagrams [][]byte
	bytes     int // of kernel memory
	congested bool
	err       error
}

// truesize is the kernel memory that a datagram takes: struct sk_buff (256 with its slab) and the data, with struct
// skb_shared_info (320) behind it, in the next power of two.
func truesize(n int) int { return 256 + 1<<bits.Len(uint(max(n+320, 512)-1)) }

func (q *queue) empty() bool { return len(q.datagrams) == 0 && q.err == nil }

// put queues b, unless the queue is full. An empty queue takes anything.
func (q *queue) put(b []byte, limit int) bool {
	size := truesize(len(b))
	if q.congested || q.bytes != 0 && q.bytes+size >= limit {
		if !q.congested {
			q.congested = true
			q.err = unix.ENOBUFS
		}
		return false
	}
	q.bytes += size
	q.datagrams = append(q.datagrams, b)
	return true
}

func (q *queue) get() ([]byte, error) {
	if err := q.err; err != nil {
		q.err = nil
		q.settle()
		return nil, err
	}
	if len(q.datagrams) == 0 {
		return nil, unix.EAGAIN
	}
	b := q.datagrams[0]
	q.datagrams[0] = nil
	q.datagrams = q.datagrams[1:]
	q.bytes -= truesize(len(b))
	q.settle()
	return b, nil
}

func (q *queue) settle() {
	if len(q.datagrams) == 0 {
		q.datagrams, q.congested = nil, false
	}
}
