package wire

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestFramesComeBackInOrder(t *testing.T) {
	var buf bytes.Buffer
	w := NewWriter(&buf)
	long := strings.Repeat("x", MaxPayload+1)
	w.Send(Ready, nil)
	io.WriteString(w.Stream(Stdout), long)
	if err := w.SendJSON(Exit, Result{Code: 3}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		kind    Kind
		payload string
	}{
		{Ready, ""}, {Stdout, long[:MaxPayload]}, {Stdout, "x"}, {Exit, `{"Code":3,"TimedOut":false,"Error":""}`},
	} {
		kind, payload, err := Read(&buf)
		if kind != want.kind || string(payload) != want.payload || err != nil {
			t.Fatalf("got %c, %d bytes, %v; want %c, %d bytes", kind, len(payload), err, want.kind, len(want.payload))
		}
	}
	if _, _, err := Read(&buf); !errors.Is(err, io.EOF) {
		t.Errorf("after the last frame: %v, want %v", err, io.EOF)
	}
}

func TestReadTellsATruncatedOrCorruptStream(t *testing.T) {
	if _, _, err := Read(strings.NewReader("o\x00\x00\x00\x05abc")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut payload: %v, want %v", err, io.ErrUnexpectedEOF)
	}
	if _, _, err := Read(strings.NewReader("o\x00")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut header: %v, want %v", err, io.ErrUnexpectedEOF)
	}
	if _, _, err := Read(strings.NewReader("o\xff\xff\xff\xffabc")); err == nil {
		t.Error("a frame of 4 GiB was accepted")
	}
}
