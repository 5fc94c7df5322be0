package xfrmtest

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// algs are an SA's algorithms, each with its key, as the kernel keeps them: nil is none.
type algs struct{ aead, auth, crypt, comp *alg }

type alg struct {
	name string // as the kernel spells it
	bits uint32 // of the key, as it was given
	icv  uint32 // AEAD: length of the check value in bits; authentication: what it is truncated to
	key  []byte
}

// known is one entry of net/xfrm/xfrm_algo.c.
type known struct {
	compat    string // an older name
	trunc     uint32 // icv_truncbits
	full      uint32 // icv_fullbits
	id        uint8  // sadb_alg_id, the number that a template's masks are about
	keyLength []int  // bytes that the cipher takes; empty: any
}

var (
	knownAEAD = map[string]known{ // for the ICV lengths that are on the list
		"rfc4106(gcm(aes))":             {keyLength: []int{20, 28, 36}},
		"rfc4309(ccm(aes))":             {keyLength: []int{19, 27, 35}},
		"rfc4543(gcm(aes))":             {keyLength: []int{20, 28, 36}},
		"rfc7539esp(chacha20,poly1305)": {keyLength: []int{36}},
	}
	knownAuth = map[string]known{
		"digest_null":  {id: 251},
		"hmac(md5)":    {compat: "md5", trunc: 96, full: 128, id: 2},
		"hmac(sha1)":   {compat: "sha1", trunc: 96, full: 160, id: 3},
		"hmac(sha256)": {compat: "sha256", trunc: 96, full: 256, id: 5},
		"hmac(sha384)": {trunc: 192, full: 384, id: 6},
		"hmac(sha512)": {trunc: 256, full: 512, id: 7},
		"xcbc(aes)":    {trunc: 96, full: 128, id: 9, keyLength: []int{16, 24, 32}},
		"cmac(aes)":    {trunc: 96, full: 128, keyLength: []int{16, 24, 32}},
	}
	knownCrypt = map[string]known{
		"ecb(cipher_null)":  {compat: "cipher_null", id: 11, keyLength: []int{0}},
		"cbc(des3_ede)":     {compat: "des3_ede", id: 3, keyLength: []int{24}},
		"cbc(aes)":          {compat: "aes", id: 12, keyLength: []int{16, 24, 32}},
		"rfc3686(ctr(aes))": {id: 13, keyLength: []int{20, 28, 36}},
	}
	knownComp = map[string]known{"deflate": {id: 2}}
)

func (e *known) takesKey(n int) bool {
	if e.keyLength == nil {
		return true
	}
	for _, l := range e.keyLength {
		if l == n {
			return true
		}
	}
	return false
}

func find(list map[string]known, name string) (string, *known) {
	for n, e := range list {
		if n == name || e.compat != "" && e.compat == name {
			return n, &e
		}
	}
	return "", nil
}

// findAEAD also needs the length of the check value: each combination is an algorithm of its own.
func findAEAD(name string, icv uint32) *known {
	e, ok := knownAEAD[name]
	gcm := icv == 64 || icv == 96 || icv == 128
	if !ok || !gcm || icv != 128 && (name == "rfc4543(gcm(aes))" || name == "rfc7539esp(chacha20,poly1305)") {
		return nil
	}
	return &e
}

// algLen checks that an attribute is as long as the key in it says: fixed is the struct without the key.
func algLen(p []byte, fixed int) bool {
	return p == nil || len(p) >= fixed+(int(ne.Uint32(p[64:]))+7)/8
}

func checkAlgLengths(a *attrs) *refusal {
	switch {
	case !algLen(a[xfrm.AttrAlgAEAD], sizeofAlgoAEAD):
		return invalid("Invalid AEAD attribute length")
	case !algLen(a[xfrm.AttrAlgAuthTrunc], sizeofAlgoAuth):
		return invalid("Invalid AUTH_TRUNC attribute length")
	case !algLen(a[xfrm.AttrAlgAuth], sizeofAlgo), !algLen(a[xfrm.AttrAlgCrypt], sizeofAlgo), !algLen(a[xfrm.AttrAlgComp], sizeofAlgo):
		return invalid("Invalid AUTH/CRYPT/COMP attribute length")
	}
	return nil
}

func decodeAlg(p []byte, fixed int) *alg {
	name, _, _ := bytes.Cut(p[:64], []byte{0})
	a := &alg{name: string(name), bits: ne.Uint32(p[64:])}
	if fixed > sizeofAlgo {
		a.icv = ne.Uint32(p[68:])
	}
	a.key = bytes.Clone(p[fixed : fixed+(int(a.bits)+7)/8])
	return a
}

// attach is attach_aead, attach_auth_trunc, attach_auth, attach_crypt and attach_one_algo, in the order of
// xfrm_state_construct.
func (s *algs) attach(a *attrs) *refusal {
	if p := a[xfrm.AttrAlgAEAD]; p != nil {
		s.aead = decodeAlg(p, sizeofAlgoAEAD)
		if findAEAD(s.aead.name, s.aead.icv) == nil {
			return refuse(unix.ENOSYS, "Requested AEAD algorithm not found")
		}
	}
	if p := a[xfrm.AttrAlgAuthTrunc]; p != nil {
		s.auth = decodeAlg(p, sizeofAlgoAuth)
		name, e := find(knownAuth, s.auth.name)
		switch {
		case e == nil:
			return refuse(unix.ENOSYS, "Requested AUTH_TRUNC algorithm not found")
		case s.auth.icv > e.full:
			return invalid("Invalid length requested for truncated ICV")
		case s.auth.icv == 0:
			s.auth.icv = e.trunc
		}
		s.auth.name = name
	} else if p := a[xfrm.AttrAlgAuth]; p != nil {
		s.auth = decodeAlg(p, sizeofAlgo)
		name, e := find(knownAuth, s.auth.name)
		if e == nil {
			return refuse(unix.ENOSYS, "Requested AUTH algorithm not found")
		}
		s.auth.name, s.auth.icv = name, e.trunc
	}
	var e *known
	if p := a[xfrm.AttrAlgCrypt]; p != nil {
		s.crypt = decodeAlg(p, sizeofAlgo)
		if s.crypt.name, e = find(knownCrypt, s.crypt.name); e == nil {
			return refuse(unix.ENOSYS, "Requested CRYPT algorithm not found")
		}
	}
	if p := a[xfrm.AttrAlgComp]; p != nil {
		s.comp = decodeAlg(p, sizeofAlgo)
		if s.comp.name, e = find(knownComp, s.comp.name); e == nil {
			return refuse(unix.ENOSYS, "Requested COMP algorithm not found")
		}
	}
	return nil
}

// setKeys is what the transform's init_state does with the keys.
func (s *algs) setKeys(p xfrm.Proto) *refusal {
	bad := invalid("Kernel was unable to initialize cryptographic operations")
	switch {
	case p == xfrm.ProtoAH:
		if e := knownAuth[s.auth.name]; !e.takesKey(len(s.auth.key)) {
			return bad
		}
	case p != xfrm.ProtoESP:
	case s.aead != nil:
		if e := knownAEAD[s.aead.name]; !e.takesKey(len(s.aead.key)) {
			return bad
		}
	case s.crypt == nil:
		return invalid("ESP: AEAD or CRYPT must be provided")
	default:
		if e := knownCrypt[s.crypt.name]; !e.takesKey(len(s.crypt.key)) {
			return invalid("") // the authenc template's own setkey says nothing
		}
		if s.auth == nil {
			return nil
		}
		if e := knownAuth[s.auth.name]; !e.takesKey(len(s.auth.key)) {
			return invalid("")
		}
	}
	return nil
}

// append encodes the algorithms with their keys as a dump does: authentication in both its forms.
func (s *algs) append(b []byte) []byte {
	put := func(typ uint16, a *alg, withICV bool) {
		p := append([]byte(a.name), make([]byte, 64-len(a.name))...)
		p = ne.AppendUint32(p, a.bits)
		if withICV {
			p = ne.AppendUint32(p, a.icv)
		}
		b = appendAttr(b, typ, append(p, a.key...))
	}
	if s.aead != nil {
		put(xfrm.AttrAlgAEAD, s.aead, true)
	}
	if s.auth != nil {
		put(xfrm.AttrAlgAuth, s.auth, false)
		put(xfrm.AttrAlgAuthTrunc, s.auth, true)
	}
	if s.crypt != nil {
		put(xfrm.AttrAlgCrypt, s.crypt, false)
	}
	if s.comp != nil {
		put(xfrm.AttrAlgComp, &alg{name: s.comp.name}, false)
	}
	return b
}

// authID is props.aalgo: the number of the authentication algorithm in a template's mask.
func (s *algs) authID() uint8 {
	if s.auth == nil {
		return 0
	}
	return knownAuth[s.auth.name].id
}

// any reports whether there is an algorithm at all.
func (s *algs) any() bool { return *s != algs{} }
