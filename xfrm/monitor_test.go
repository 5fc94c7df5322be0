package xfrm

import (
	"errors"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newTestMonitor(t *testing.T, f *fakeSocket, groups ...uint32) *Monitor {
	t.Helper()
	m, err := NewMonitor(f, groups...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMonitorJoinsItsGroups(t *testing.T) {
	f := &fakeSocket{}
	newTestMonitor(t, f, GroupSA, GroupMigrate)
	if want := []uint32{3, 7}; !slices.Equal(f.joined, want) {
		t.Errorf("joined %v, want %v", f.joined, want)
	}
	if _, err := NewMonitor(&fakeSocket{joinErr: unix.EPERM}, GroupSA); !errors.Is(err, unix.EPERM) {
		t.Errorf("%v, want EPERM", err)
	}
}

func TestMonitorGivesEventsOneByOne(t *testing.T) {
	f := &fakeSocket{}
	f.deliver(message(MsgNewSA, 0, 0, saPayload(1)), message(MsgFlushSA, 0, 0, make([]byte, 1)))
	f.deliver(message(MsgNewSA, 0, 0, saPayload(2)))
	m := newTestMonitor(t, f)
	for i, want := range []Event{
		{Type: MsgNewSA, SA: &SA{ID: SAID{SPI: 1}, CPU: AnyCPU}},
		{Type: MsgFlushSA},
		{Type: MsgNewSA, SA: &SA{ID: SAID{SPI: 2}, CPU: AnyCPU}},
	} {
		if got, err := m.Next(time.Time{}); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("event %d\ngot  %+v (%v)\nwant %+v", i, got, err, want)
		}
	}
	if _, err := m.Next(time.Now()); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("with nothing left: %v, want os.ErrDeadlineExceeded", err)
	}
}

func TestMonitorGoesOnAfterAnOverrun(t *testing.T) {
	f := &fakeSocket{}
	f.fail(unix.ENOBUFS)
	f.deliver(message(MsgFlushPolicy, 0, 0, nil))
	m := newTestMonitor(t, f)
	if _, err := m.Next(time.Time{}); !errors.Is(err, ErrOverrun) {
		t.Errorf("%v, want ErrOverrun", err)
	}
	if e, err := m.Next(time.Time{}); err != nil || e.Type != MsgFlushPolicy {
		t.Errorf("%+v, %v, want FLUSHPOLICY", e, err)
	}
}

func TestMonitorGoesOnAfterADamagedEvent(t *testing.T) {
	f := &fakeSocket{}
	f.deliver(message(MsgNewSA, 0, 0, make([]byte, 8)))
	f.deliver(message(MsgFlushPolicy, 0, 0, nil))
	m := newTestMonitor(t, f)
	if _, err := m.Next(time.Time{}); !errors.Is(err, errShort) {
		t.Errorf("%v, want too short", err)
	}
	if e, err := m.Next(time.Time{}); err != nil || e.Type != MsgFlushPolicy {
		t.Errorf("%+v, %v, want FLUSHPOLICY", e, err)
	}
}

func TestMonitorSaysThatItIsClosed(t *testing.T) {
	f := &fakeSocket{}
	m := newTestMonitor(t, f)
	m.Close()
	if _, err := m.Next(time.Time{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("%v, want os.ErrClosed", err)
	}
}

func TestMonitorClearsItsBuffer(t *testing.T) {
	key := []byte("a key that must not stay")
	for _, c := range []struct {
		name    string
		payload []byte
		err     error
	}{
		{"decoded", appendAttr(saPayload(1), AttrAlgAEAD, key), nil},
		{"undecodable", key, nil},
		{"truncated", appendAttr(saPayload(1), AttrAlgAEAD, key), unix.EMSGSIZE},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fakeSocket{}
			f.queue = []delivery{{b: message(MsgNewSA, 0, 0, c.payload), err: c.err}}
			m := newTestMonitor(t, f)
			m.Next(time.Time{})
			if !isZero(m.buf) {
				t.Error("the key is still in the buffer")
			}
		})
	}
}
