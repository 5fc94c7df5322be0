package progress

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"
	"time"
)

func TestQueueNeverWaitsForItsReader(t *testing.T) {
	r, w := io.Pipe() // takes nothing unless it is read
	q := NewQueue(w)
	var want bytes.Buffer
	for i := range 10000 {
		fmt.Fprintf(q, "line %d\n", i)
		fmt.Fprintf(&want, "line %d\n", i)
	}
	if q.Idle() {
		t.Error("it is idle, and nobody has read anything")
	}
	told, cancel := context.WithCancel(t.Context())
	cancel()
	q.Drain(told) // returns at once
	got := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(r)
		got <- b
	}()
	q.Drain(t.Context())
	if !q.Idle() {
		t.Error("it is not idle, and all was read")
	}
	w.Close()
	if b := <-got; !bytes.Equal(b, want.Bytes()) {
		t.Errorf("%d bytes came through, want %d", len(b), want.Len())
	}
}

func TestQueueDropsWhatNobodyCanGet(t *testing.T) {
	r, w := io.Pipe()
	r.Close()
	q := NewQueue(w)
	for range 100 {
		if _, err := io.WriteString(q, "lost\n"); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	q.Drain(ctx)
	if ctx.Err() != nil || !q.Idle() {
		t.Error("it waits for a reader that is gone")
	}
}
