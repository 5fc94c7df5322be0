/*
 * Prints the sizes, offsets and numbers of <linux/xfrm.h> that package xfrm mirrors. In this folder:
 *
 *	cc -I HEADERS -o /tmp/layout layout.c && /tmp/layout > layout.txt
 *
 * HEADERS is usr/include of Debian's linux-libc-dev (its x86_64-linux-gnu needs a -I of its own), or of `make
 * headers_install` in a kernel tree, 7.2 or later. With linux-libc-dev itself installed, leave -I away.
 */
#include <stddef.h>
#include <stdio.h>
#include <linux/types.h>
#include <linux/version.h>
#include <linux/xfrm.h>
#include <linux/netlink.h>

#define S(s) printf("struct %s %zu\n", #s, sizeof(struct s))
#define F(s, f) printf("field %s.%s %zu %zu\n", #s, #f, offsetof(struct s, f), sizeof(((struct s *)0)->f))
#define N(n) printf("number %s %llu\n", #n, (unsigned long long)(n))

int main(void)
{
	printf("# Linux %d.%d.%d, pointers of %zu bytes\n", LINUX_VERSION_MAJOR, LINUX_VERSION_PATCHLEVEL,
	       LINUX_VERSION_SUBLEVEL, sizeof(void *));

	S(nlmsghdr);
	F(nlmsghdr, nlmsg_len), F(nlmsghdr, nlmsg_type), F(nlmsghdr, nlmsg_flags), F(nlmsghdr, nlmsg_seq);
	F(nlmsghdr, nlmsg_pid);

	S(xfrm_selector);
	F(xfrm_selector, daddr), F(xfrm_selector, saddr), F(xfrm_selector, dport), F(xfrm_selector, dport_mask);
	F(xfrm_selector, sport), F(xfrm_selector, sport_mask), F(xfrm_selector, family);
	F(xfrm_selector, prefixlen_d), F(xfrm_selector, prefixlen_s), F(xfrm_selector, proto);
	F(xfrm_selector, ifindex), F(xfrm_selector, user);

	S(xfrm_lifetime_cfg);
	F(xfrm_lifetime_cfg, soft_byte_limit), F(xfrm_lifetime_cfg, hard_byte_limit);
	F(xfrm_lifetime_cfg, soft_packet_limit), F(xfrm_lifetime_cfg, hard_packet_limit);
	F(xfrm_lifetime_cfg, soft_add_expires_seconds), F(xfrm_lifetime_cfg, hard_add_expires_seconds);
	F(xfrm_lifetime_cfg, soft_use_expires_seconds), F(xfrm_lifetime_cfg, hard_use_expires_seconds);

	S(xfrm_lifetime_cur);
	F(xfrm_lifetime_cur, bytes), F(xfrm_lifetime_cur, packets), F(xfrm_lifetime_cur, add_time);
	F(xfrm_lifetime_cur, use_time);

	S(xfrm_user_tmpl);
	F(xfrm_user_tmpl, id.daddr), F(xfrm_user_tmpl, id.spi), F(xfrm_user_tmpl, id.proto);
	F(xfrm_user_tmpl, family), F(xfrm_user_tmpl, saddr), F(xfrm_user_tmpl, reqid), F(xfrm_user_tmpl, mode);
	F(xfrm_user_tmpl, share), F(xfrm_user_tmpl, optional), F(xfrm_user_tmpl, aalgos);
	F(xfrm_user_tmpl, ealgos), F(xfrm_user_tmpl, calgos);

	S(xfrm_usersa_id);
	F(xfrm_usersa_id, daddr), F(xfrm_usersa_id, spi), F(xfrm_usersa_id, family), F(xfrm_usersa_id, proto);

	S(xfrm_usersa_info);
	F(xfrm_usersa_info, sel), F(xfrm_usersa_info, id.daddr), F(xfrm_usersa_info, id.spi);
	F(xfrm_usersa_info, id.proto), F(xfrm_usersa_info, saddr), F(xfrm_usersa_info, lft);
	F(xfrm_usersa_info, curlft), F(xfrm_usersa_info, stats.replay_window), F(xfrm_usersa_info, stats.replay);
	F(xfrm_usersa_info, stats.integrity_failed), F(xfrm_usersa_info, seq), F(xfrm_usersa_info, reqid);
	F(xfrm_usersa_info, family), F(xfrm_usersa_info, mode), F(xfrm_usersa_info, replay_window);
	F(xfrm_usersa_info, flags);

	S(xfrm_userpolicy_info);
	F(xfrm_userpolicy_info, sel), F(xfrm_userpolicy_info, lft), F(xfrm_userpolicy_info, curlft);
	F(xfrm_userpolicy_info, priority), F(xfrm_userpolicy_info, index), F(xfrm_userpolicy_info, dir);
	F(xfrm_userpolicy_info, action), F(xfrm_userpolicy_info, flags), F(xfrm_userpolicy_info, share);

	S(xfrm_userpolicy_id);
	F(xfrm_userpolicy_id, sel), F(xfrm_userpolicy_id, index), F(xfrm_userpolicy_id, dir);

	S(xfrm_userpolicy_type);
	F(xfrm_userpolicy_type, type), F(xfrm_userpolicy_type, reserved1), F(xfrm_userpolicy_type, reserved2);

	S(xfrm_aevent_id);
	F(xfrm_aevent_id, sa_id), F(xfrm_aevent_id, saddr), F(xfrm_aevent_id, flags), F(xfrm_aevent_id, reqid);

	S(xfrm_user_migrate_state);
	F(xfrm_user_migrate_state, id), F(xfrm_user_migrate_state, new_daddr), F(xfrm_user_migrate_state, new_saddr);
	F(xfrm_user_migrate_state, old_mark), F(xfrm_user_migrate_state, new_sel);
	F(xfrm_user_migrate_state, new_reqid), F(xfrm_user_migrate_state, flags);
	F(xfrm_user_migrate_state, new_family), F(xfrm_user_migrate_state, reserved);

	S(xfrm_mark);
	F(xfrm_mark, v), F(xfrm_mark, m);

	S(xfrm_encap_tmpl);
	F(xfrm_encap_tmpl, encap_type), F(xfrm_encap_tmpl, encap_sport), F(xfrm_encap_tmpl, encap_dport);
	F(xfrm_encap_tmpl, encap_oa);

	S(xfrm_user_offload);
	F(xfrm_user_offload, ifindex), F(xfrm_user_offload, flags);

	S(xfrm_replay_state);
	F(xfrm_replay_state, oseq), F(xfrm_replay_state, seq), F(xfrm_replay_state, bitmap);

	S(xfrm_replay_state_esn);
	F(xfrm_replay_state_esn, bmp_len), F(xfrm_replay_state_esn, oseq), F(xfrm_replay_state_esn, seq);
	F(xfrm_replay_state_esn, oseq_hi), F(xfrm_replay_state_esn, seq_hi);
	F(xfrm_replay_state_esn, replay_window);

	S(xfrm_user_acquire);
	F(xfrm_user_acquire, id), F(xfrm_user_acquire, saddr), F(xfrm_user_acquire, sel);
	F(xfrm_user_acquire, policy), F(xfrm_user_acquire, aalgos), F(xfrm_user_acquire, ealgos);
	F(xfrm_user_acquire, calgos), F(xfrm_user_acquire, seq);

	S(xfrm_user_expire);
	F(xfrm_user_expire, state), F(xfrm_user_expire, hard);

	S(xfrm_user_polexpire);
	F(xfrm_user_polexpire, pol), F(xfrm_user_polexpire, hard);

	S(xfrmu_spdinfo);
	F(xfrmu_spdinfo, incnt), F(xfrmu_spdinfo, outcnt), F(xfrmu_spdinfo, fwdcnt), F(xfrmu_spdinfo, inscnt);
	F(xfrmu_spdinfo, outscnt), F(xfrmu_spdinfo, fwdscnt);

	S(xfrmu_spdhthresh);
	F(xfrmu_spdhthresh, lbits), F(xfrmu_spdhthresh, rbits);

	N(XFRM_MSG_NEWSA), N(XFRM_MSG_DELSA), N(XFRM_MSG_GETSA), N(XFRM_MSG_NEWPOLICY), N(XFRM_MSG_DELPOLICY);
	N(XFRM_MSG_GETPOLICY), N(XFRM_MSG_ALLOCSPI), N(XFRM_MSG_ACQUIRE), N(XFRM_MSG_EXPIRE), N(XFRM_MSG_UPDPOLICY);
	N(XFRM_MSG_UPDSA), N(XFRM_MSG_POLEXPIRE), N(XFRM_MSG_FLUSHSA), N(XFRM_MSG_FLUSHPOLICY), N(XFRM_MSG_NEWAE);
	N(XFRM_MSG_GETAE), N(XFRM_MSG_MIGRATE), N(XFRM_MSG_GETSADINFO), N(XFRM_MSG_NEWSPDINFO);
	N(XFRM_MSG_GETSPDINFO), N(XFRM_MSG_MAPPING), N(XFRM_MSG_MIGRATE_STATE);

	N(XFRMA_ALG_AUTH), N(XFRMA_ALG_CRYPT), N(XFRMA_ALG_COMP), N(XFRMA_ENCAP), N(XFRMA_TMPL), N(XFRMA_SA);
	N(XFRMA_POLICY), N(XFRMA_SEC_CTX), N(XFRMA_LTIME_VAL), N(XFRMA_REPLAY_VAL), N(XFRMA_LASTUSED);
	N(XFRMA_POLICY_TYPE), N(XFRMA_ALG_AEAD), N(XFRMA_ALG_AUTH_TRUNC), N(XFRMA_MARK), N(XFRMA_TFCPAD);
	N(XFRMA_REPLAY_ESN_VAL), N(XFRMA_SA_EXTRA_FLAGS), N(XFRMA_PAD), N(XFRMA_OFFLOAD_DEV), N(XFRMA_SET_MARK);
	N(XFRMA_SET_MARK_MASK), N(XFRMA_IF_ID), N(XFRMA_MTIMER_THRESH), N(XFRMA_SA_DIR);
	N(XFRMA_NAT_KEEPALIVE_INTERVAL), N(XFRMA_SA_PCPU);
	N(XFRMA_SPD_INFO), N(XFRMA_SPD_IPV4_HTHRESH), N(XFRMA_SPD_IPV6_HTHRESH);

	N(XFRMNLGRP_ACQUIRE), N(XFRMNLGRP_EXPIRE), N(XFRMNLGRP_SA), N(XFRMNLGRP_POLICY), N(XFRMNLGRP_MIGRATE);
	N(XFRM_MIGRATE_STATE_CLEAR_OFFLOAD), N(XFRM_MIGRATE_STATE_UPDATE_H2H_SEL);
	N(XFRM_AE_RVAL), N(XFRM_AE_LVAL), N(XFRM_INF), N(NLMSGERR_ATTR_MSG);
	N(XFRM_MODE_TRANSPORT), N(XFRM_MODE_TUNNEL), N(XFRM_MODE_ROUTEOPTIMIZATION), N(XFRM_MODE_IN_TRIGGER);
	N(XFRM_MODE_BEET), N(XFRM_MODE_IPTFS), N(XFRM_POLICY_IN), N(XFRM_POLICY_OUT), N(XFRM_POLICY_FWD);
	N(XFRM_SA_DIR_IN), N(XFRM_SA_DIR_OUT), N(XFRM_POLICY_ALLOW), N(XFRM_POLICY_BLOCK);
	N(XFRM_POLICY_TYPE_MAIN), N(XFRM_POLICY_TYPE_SUB);
	N(XFRM_OFFLOAD_IPV6), N(XFRM_OFFLOAD_INBOUND), N(XFRM_OFFLOAD_PACKET);
	return 0;
}
