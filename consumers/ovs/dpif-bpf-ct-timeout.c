// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Timeout policies. Open vSwitch numbers them from 1 on and names them by their number in
 * ct(timeout=); the number is the index of ct_timeout_v1, which a record keeps in its word. Policy
 * 0 is the default one, netfilter's times. A policy is of all protocols, so its name is "generic"
 * for dpif.
 */
#include "dpif-bpf.h"

#include <errno.h>

#include "ct-dpif.h"

#define POLICIES 256
/* In the room behind the times: what of the policy was asked for, and that there is one. */
#define PRESENT	 31
#define IS_THERE 0x80000000U

/* Which time an attribute sets; ICMP's sets ICMPv6's too. */
static const int slot_of[CT_DPIF_TP_ATTR_MAX] = {
	[CT_DPIF_TP_ATTR_TCP_SYN_SENT] = CT_TIMEOUT_tcp_syn_sent,
	[CT_DPIF_TP_ATTR_TCP_SYN_RECV] = CT_TIMEOUT_tcp_syn_recv,
	[CT_DPIF_TP_ATTR_TCP_ESTABLISHED] = CT_TIMEOUT_tcp_established,
	[CT_DPIF_TP_ATTR_TCP_FIN_WAIT] = CT_TIMEOUT_tcp_fin_wait,
	[CT_DPIF_TP_ATTR_TCP_CLOSE_WAIT] = CT_TIMEOUT_tcp_close_wait,
	[CT_DPIF_TP_ATTR_TCP_LAST_ACK] = CT_TIMEOUT_tcp_last_ack,
	[CT_DPIF_TP_ATTR_TCP_TIME_WAIT] = CT_TIMEOUT_tcp_time_wait,
	[CT_DPIF_TP_ATTR_TCP_CLOSE] = CT_TIMEOUT_tcp_close,
	[CT_DPIF_TP_ATTR_TCP_SYN_SENT2] = CT_TIMEOUT_tcp_syn_sent2,
	[CT_DPIF_TP_ATTR_TCP_RETRANSMIT] = CT_TIMEOUT_tcp_max_retrans,
	[CT_DPIF_TP_ATTR_TCP_UNACK] = CT_TIMEOUT_tcp_unacknowledged,
	[CT_DPIF_TP_ATTR_UDP_FIRST] = -1, /* netfilter has one time for what is unanswered */
	[CT_DPIF_TP_ATTR_UDP_SINGLE] = CT_TIMEOUT_udp,
	[CT_DPIF_TP_ATTR_UDP_MULTIPLE] = CT_TIMEOUT_udp_stream,
	[CT_DPIF_TP_ATTR_ICMP_FIRST] = CT_TIMEOUT_icmp,
	[CT_DPIF_TP_ATTR_ICMP_REPLY] = -1, /* and for ICMP */
};

static struct ct_timeouts *policy(struct dpif *dpif, uint32_t id)
{
	return &dp_bpf_of(dpif)->core.pins.timeouts[id];
}

int dp_bpf_ct_set_timeout_policy(struct dpif *dpif, const struct ct_dpif_timeout_policy *tp)
{
	struct ct_timeouts t = {0}, *to;

	if (tp->id >= POLICIES)
		return ENOSPC;
	to = policy(dpif, tp->id);
	bpfct_default_timeouts(&t);
	for (int i = 0; i < CT_DPIF_TP_ATTR_MAX; i++) {
		if (!(tp->present & (1u << i)) || slot_of[i] < 0)
			continue;
		t.secs[slot_of[i]] = tp->attrs[i];
		if (i == CT_DPIF_TP_ATTR_ICMP_FIRST)
			t.secs[CT_TIMEOUT_icmpv6] = tp->attrs[i];
	}
	t.secs[PRESENT] = tp->present | IS_THERE;
	*to = t; /* read by the datapath one word at a time */
	return 0;
}

int dp_bpf_ct_get_timeout_policy(struct dpif *dpif, uint32_t id, struct ct_dpif_timeout_policy *tp)
{
	const struct ct_timeouts *t;

	if (id >= POLICIES)
		return ENOENT;
	t = policy(dpif, id);
	if (!(t->secs[PRESENT] & IS_THERE))
		return ENOENT;
	memset(tp, 0, sizeof(*tp));
	tp->id = id;
	for (int i = 0; i < CT_DPIF_TP_ATTR_MAX; i++) {
		if (!(t->secs[PRESENT] & (1u << i)) || slot_of[i] < 0)
			continue;
		tp->present |= 1u << i;
		tp->attrs[i] = t->secs[slot_of[i]];
	}
	return 0;
}

/* Connections that still have the number live by the default times from their next packet on. */
int dp_bpf_ct_del_timeout_policy(struct dpif *dpif, uint32_t id)
{
	struct ct_timeouts t = {0};

	if (id >= POLICIES || !(policy(dpif, id)->secs[PRESENT] & IS_THERE))
		return ENOENT;
	bpfct_default_timeouts(&t);
	*policy(dpif, id) = t;
	return 0;
}

int dp_bpf_ct_timeout_dump_start(struct dpif *dpif OVS_UNUSED, void **state)
{
	*state = xzalloc(sizeof(uint32_t));
	return 0;
}

int dp_bpf_ct_timeout_dump_next(struct dpif *dpif, void *state, struct ct_dpif_timeout_policy *tp)
{
	uint32_t *id = state;

	while (*id < POLICIES)
		if (!dp_bpf_ct_get_timeout_policy(dpif, (*id)++, tp))
			return 0;
	return EOF;
}

int dp_bpf_ct_timeout_dump_done(struct dpif *dpif OVS_UNUSED, void *state)
{
	free(state);
	return 0;
}

int dp_bpf_ct_timeout_name(struct dpif *dpif OVS_UNUSED, uint32_t id, uint16_t dl_type OVS_UNUSED,
			   uint8_t nw_proto OVS_UNUSED, char **name, bool *is_generic)
{
	*name = xasprintf("%u", id);
	*is_generic = true;
	return 0;
}
