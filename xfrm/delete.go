package xfrm

// DeleteSA is XFRM_MSG_DELSA for the SA that the kernel finds by id and mark. Its keys and sequence numbers are gone with it: it is for SAs that
// another has replaced and whose owner doesn't find them any more.
func DeleteSA(id SAID, mark Mark) Request {
	r := GetSA(id, mark)
	r.Type = MsgDelSA
	return r
}
