package xfrm

import "testing"

func TestNumbersAreTheHeaders(t *testing.T) {
	l := readLayout(t)
	numbers := map[string]uint64{
		"XFRM_MSG_NEWSA": MsgNewSA, "XFRM_MSG_DELSA": MsgDelSA, "XFRM_MSG_GETSA": MsgGetSA,
		"XFRM_MSG_NEWPOLICY": MsgNewPolicy, "XFRM_MSG_DELPOLICY": MsgDelPolicy, "XFRM_MSG_GETPOLICY": MsgGetPolicy,
		"XFRM_MSG_ALLOCSPI": MsgAllocSPI, "XFRM_MSG_ACQUIRE": MsgAcquire, "XFRM_MSG_EXPIRE": MsgExpire,
		"XFRM_MSG_UPDPOLICY": MsgUpdPolicy, "XFRM_MSG_UPDSA": MsgUpdSA, "XFRM_MSG_POLEXPIRE": MsgPolExpire,
		"XFRM_MSG_FLUSHSA": MsgFlushSA, "XFRM_MSG_FLUSHPOLICY": MsgFlushPolicy, "XFRM_MSG_NEWAE": MsgNewAE,
		"XFRM_MSG_GETAE": MsgGetAE, "XFRM_MSG_MIGRATE": MsgMigrate, "XFRM_MSG_GETSADINFO": MsgGetSADInfo,
		"XFRM_MSG_NEWSPDINFO": MsgNewSPDInfo, "XFRM_MSG_GETSPDINFO": MsgGetSPDInfo, "XFRM_MSG_MAPPING": MsgMapping,
		"XFRM_MSG_MIGRATE_STATE": MsgMigrateState,

		"XFRMA_ALG_AUTH": AttrAlgAuth, "XFRMA_ALG_CRYPT": AttrAlgCrypt, "XFRMA_ALG_COMP": AttrAlgComp,
		"XFRMA_ENCAP": AttrEncap, "XFRMA_TMPL": AttrTmpl, "XFRMA_SA": attrSA, "XFRMA_POLICY": attrPolicy,
		"XFRMA_SEC_CTX": AttrSecCtx, "XFRMA_LTIME_VAL": AttrLtimeVal, "XFRMA_REPLAY_VAL": AttrReplayVal,
		"XFRMA_LASTUSED": AttrLastUsed, "XFRMA_POLICY_TYPE": AttrPolicyType, "XFRMA_ALG_AEAD": AttrAlgAEAD,
		"XFRMA_ALG_AUTH_TRUNC": AttrAlgAuthTrunc, "XFRMA_MARK": AttrMark, "XFRMA_TFCPAD": AttrTFCPad,
		"XFRMA_REPLAY_ESN_VAL": AttrReplayESN, "XFRMA_SA_EXTRA_FLAGS": AttrExtraFlags, "XFRMA_PAD": AttrPad,
		"XFRMA_OFFLOAD_DEV": AttrOffloadDev, "XFRMA_SET_MARK": AttrSetMark, "XFRMA_SET_MARK_MASK": AttrSetMarkMask,
		"XFRMA_IF_ID": AttrIfID, "XFRMA_MTIMER_THRESH": AttrMTimer, "XFRMA_SA_DIR": AttrSADir,
		"XFRMA_NAT_KEEPALIVE_INTERVAL": AttrNATKeepalive, "XFRMA_SA_PCPU": AttrPCPU,
		"XFRMA_SPD_INFO": spdInfo, "XFRMA_SPD_IPV4_HTHRESH": spdIPv4Thresh, "XFRMA_SPD_IPV6_HTHRESH": spdIPv6Thresh,

		"XFRMNLGRP_ACQUIRE": GroupAcquire, "XFRMNLGRP_EXPIRE": GroupExpire, "XFRMNLGRP_SA": GroupSA,
		"XFRMNLGRP_POLICY": GroupPolicy, "XFRMNLGRP_MIGRATE": GroupMigrate,
		"XFRM_MIGRATE_STATE_CLEAR_OFFLOAD": ClearOffload, "XFRM_MIGRATE_STATE_UPDATE_H2H_SEL": UpdateH2HSelector,
		"XFRM_AE_RVAL": aeReplay, "XFRM_AE_LVAL": aeLifetime, "XFRM_INF": Unlimited, "NLMSGERR_ATTR_MSG": nlmsgErrAttrMsg,
		"XFRM_MODE_TRANSPORT": uint64(ModeTransport), "XFRM_MODE_TUNNEL": uint64(ModeTunnel),
		"XFRM_MODE_ROUTEOPTIMIZATION": uint64(ModeRO), "XFRM_MODE_IN_TRIGGER": uint64(ModeInTrigger),
		"XFRM_MODE_BEET": uint64(ModeBEET), "XFRM_MODE_IPTFS": uint64(ModeIPTFS),
		"XFRM_POLICY_IN": uint64(DirIn), "XFRM_POLICY_OUT": uint64(DirOut), "XFRM_POLICY_FWD": uint64(DirFwd),
		"XFRM_SA_DIR_IN": uint64(SADirIn), "XFRM_SA_DIR_OUT": uint64(SADirOut),
		"XFRM_POLICY_ALLOW": uint64(Allow), "XFRM_POLICY_BLOCK": uint64(Block),
		"XFRM_POLICY_TYPE_MAIN": uint64(PolicyMain), "XFRM_POLICY_TYPE_SUB": uint64(PolicySub),
		"XFRM_OFFLOAD_IPV6": OffloadIPv6, "XFRM_OFFLOAD_INBOUND": OffloadInbound, "XFRM_OFFLOAD_PACKET": OffloadPacket,
	}
	for name, got := range numbers {
		if want, ok := l.numbers[name]; !ok || got != want {
			t.Errorf("%s: %d, the header's %d", name, got, want)
		}
	}
	for name := range l.numbers {
		if _, ok := numbers[name]; !ok {
			t.Errorf("%s is not tested", name)
		}
	}
}
