package xfrmtest

import "github.com/xfrm-plan/xfrm-plan/xfrm"

// checkSA is verify_newsa_info: what is wrong with a NEWSA or UPDSA before anything else is looked at. sa is the fixed
// struct, decoded; its attributes are in a.
func checkSA(sa *xfrm.SA, sel *rawSelector, a *attrs) *refusal {
	var dir xfrm.SADir
	if p := a[xfrm.AttrSADir]; p != nil {
		dir = xfrm.SADir(p[0])
	}
	if no := checkFamily(sa.ID.Family); no != nil {
		return no
	}
	family := sel.family()
	if family == 0 && sa.Flags&stateAFUnspec == 0 {
		family = sa.ID.Family
	}
	if no := checkPrefixes(family, sel); no != nil {
		return no
	}
	if no := checkProto(sa, a); no != nil {
		return no
	}
	if no := checkAlgLengths(a); no != nil {
		return no
	}
	if no := a.secCtx(); no != nil {
		return no
	}
	if no := checkReplay(sa, a[xfrm.AttrReplayESN], dir); no != nil {
		return no
	}
	switch sa.Mode {
	case xfrm.ModeTransport, xfrm.ModeTunnel, xfrm.ModeRO, xfrm.ModeBEET:
	case xfrm.ModeIPTFS:
		if sa.ID.Proto != xfrm.ProtoESP {
			return invalid("IP-TFS mode only supported with ESP")
		}
		if dir == xfrm.SADirUnset {
			return invalid("IP-TFS mode requires in or out direction attribute")
		}
	default:
		return invalid("Unsupported mode")
	}
	if a[xfrm.AttrMTimer] != nil {
		if no := checkMTimer(a[xfrm.AttrEncap] != nil, dir); no != nil {
			return no
		}
	}
	if no := checkDirection(sa, a, dir); no != nil {
		return no
	}
	if dir == xfrm.SADirUnset && a[xfrm.AttrPCPU] != nil {
		return invalid("SA_PCPU only supported with SA_DIR")
	}
	return nil
}

func checkFamily(f xfrm.Family) *refusal {
	if f != xfrm.FamilyIPv4 && f != xfrm.FamilyIPv6 {
		return invalid("Invalid address family")
	}
	return nil
}

// checkPrefixes is verify_selector_prefixlen.
func checkPrefixes(family xfrm.Family, sel *rawSelector) *refusal {
	switch family {
	case xfrm.FamilyUnspec:
	case xfrm.FamilyIPv4:
		if sel.dstLen() > 32 || sel.srcLen() > 32 {
			return invalid("Invalid prefix length in selector (must be <= 32 for IPv4)")
		}
	case xfrm.FamilyIPv6:
		if sel.dstLen() > 128 || sel.srcLen() > 128 {
			return invalid("Invalid prefix length in selector (must be <= 128 for IPv6)")
		}
	default:
		return invalid("Invalid address family in selector")
	}
	return nil
}

func checkProto(sa *xfrm.SA, a *attrs) *refusal {
	auth := a[xfrm.AttrAlgAuth] != nil || a[xfrm.AttrAlgAuthTrunc] != nil
	aead, crypt, comp, tfc := a[xfrm.AttrAlgAEAD] != nil, a[xfrm.AttrAlgCrypt] != nil, a[xfrm.AttrAlgComp] != nil, a[xfrm.AttrTFCPad] != nil
	switch sa.ID.Proto {
	case xfrm.ProtoAH:
		if !auth {
			return invalid("Missing required attribute for AH: AUTH_TRUNC or AUTH")
		}
		if aead || crypt || comp || tfc {
			return invalid("Invalid attributes for AH: AEAD, CRYPT, COMP, TFCPAD")
		}
	case xfrm.ProtoESP:
		switch {
		case comp:
			return invalid("Invalid attribute for ESP: COMP")
		case !auth && !crypt && !aead:
			return invalid("Missing required attribute for ESP: at least one of AUTH, AUTH_TRUNC, CRYPT, AEAD")
		case (auth || crypt) && aead:
			return invalid("Invalid attribute combination for ESP: AEAD can't be used with AUTH, AUTH_TRUNC, CRYPT")
		case tfc && sa.Mode != xfrm.ModeTunnel:
			return invalid("TFC padding can only be used in tunnel mode")
		case hasIPTFS(a) && sa.Mode != xfrm.ModeIPTFS:
			return invalid("IP-TFS options can only be used in IP-TFS mode")
		}
	case xfrm.ProtoComp:
		if !comp {
			return invalid("Missing required attribute for COMP: COMP")
		}
		if aead || auth || crypt || tfc {
			return invalid("Invalid attributes for COMP: AEAD, AUTH, AUTH_TRUNC, CRYPT, TFCPAD")
		}
		if sa.ID.SPI >= 0x10000 {
			return invalid("SPI is too large for COMP (must be < 0x10000)")
		}
	default: // Mobile IPv6's DSTOPTS and ROUTING are left out of the model
		return invalid("Unsupported protocol")
	}
	return nil
}

func hasIPTFS(a *attrs) bool {
	for _, p := range a[attrIPTFSFirst:] {
		if p != nil {
			return true
		}
	}
	return false
}

func checkMTimer(encap bool, dir xfrm.SADir) *refusal {
	if !encap {
		return invalid("MTIMER_THRESH requires encapsulation")
	}
	if dir == xfrm.SADirOut {
		return invalid("MTIMER_THRESH should not be set on output SA")
	}
	return nil
}

// checkDirection looks for what makes no sense in the direction that the SA says it is for.
func checkDirection(sa *xfrm.SA, a *attrs, dir xfrm.SADir) *refusal {
	switch dir {
	case xfrm.SADirOut:
		switch {
		case sa.Flags&stateDecapDSCP != 0:
			return invalid("Flag DECAP_DSCP should not be set for output SA")
		case sa.Flags&stateICMP != 0:
			return invalid("Flag ICMP should not be set for output SA")
		case sa.Flags&stateWildRecv != 0:
			return invalid("Flag WILDRECV should not be set for output SA")
		case sa.Window != 0:
			return invalid("Replay window should be 0 for output SA")
		}
		if p := a[xfrm.AttrReplayVal]; p != nil && (ne.Uint32(p[4:]) != 0 || ne.Uint32(p[8:]) != 0) {
			return invalid("Replay seq and bitmap should be 0 for output SA")
		}
	case xfrm.SADirIn:
		flags := a.u32(xfrm.AttrExtraFlags, 0)
		switch {
		case sa.Flags&stateNoPMTUDisc != 0:
			return invalid("Flag NOPMTUDISC should not be set for input SA")
		case flags&xflagDontEncapDSCP != 0:
			return invalid("Flag DONT_ENCAP_DSCP should not be set for input SA")
		case flags&xflagOseqMayWrap != 0:
			return invalid("Flag OSEQ_MAY_WRAP should not be set for input SA")
		}
	}
	return nil
}
