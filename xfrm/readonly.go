package xfrm

import (
	"bytes"
	"errors"
)

// ErrReadOnly is what a request that would change something gets from a ReadOnly socket.
var ErrReadOnly = errors.New("a dry run does not change the kernel")

// ReadOnly returns a Socket that lets through only requests that read, and the probe of Conn.MigrateSupported, which
// changes nothing. Everything above it runs as it would on sock.
func ReadOnly(sock Socket) Socket { return readOnly{sock} }

type readOnly struct{ Socket }

func (r readOnly) Send(b []byte) error {
	err := EachMessage(b, func(m Message) error {
		switch m.Type {
		case MsgGetSA, MsgGetPolicy, MsgGetAE, MsgGetSADInfo, MsgGetSPDInfo:
			return nil
		case MsgMigrateState:
			if bytes.Equal(m.Payload, probe.Request().Payload) {
				return nil
			}
		}
		return ErrReadOnly
	})
	if err != nil {
		return err
	}
	return r.Socket.Send(b)
}
