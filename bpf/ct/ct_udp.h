/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_UDP_H
#define BPFCT_CT_UDP_H

#include <linux/in.h>
#include <linux/in6.h>

#include "../lib/ct_clock.h"
#include "ct_track.h"

/* A UDP exchange that still goes on two seconds after it began is a stream. */
#define CT_UDP_STREAM_SECS 2

static __always_inline int ct_udp_track(const struct ct_conn *conn, const struct ct_settings *set,
					__u8 proto, struct ct_track *tr)
{
	__u32 policy = ct_w_policy(tr->word);

	tr->timeout = ct_timeout_secs(policy, CT_TIMEOUT_udp);
	if ((ct_w_status(tr->word) & CT_S_SEEN_REPLY) &&
	    (proto == IPPROTO_UDPLITE ||
	     ct_before(conn->start + ct_ticks(set, CT_UDP_STREAM_SECS), tr->now))) {
		tr->timeout = ct_timeout_secs(policy, CT_TIMEOUT_udp_stream);
		tr->assured = 1;
	}
	return CT_TRACK_ACCEPT;
}

static __always_inline int ct_gre_track(struct ct_track *tr)
{
	__u32 policy = ct_w_policy(tr->word);

	tr->timeout = ct_timeout_secs(policy, CT_TIMEOUT_gre);
	if (ct_w_status(tr->word) & CT_S_SEEN_REPLY) {
		tr->timeout = ct_timeout_secs(policy, CT_TIMEOUT_gre_stream);
		tr->assured = 1;
	}
	return CT_TRACK_ACCEPT;
}

/* ICMP queries and every protocol without a tracker of its own. */
static __always_inline int ct_generic_track(__u8 proto, struct ct_track *tr)
{
	__u32 which = CT_TIMEOUT_generic;

	if (proto == IPPROTO_ICMP)
		which = CT_TIMEOUT_icmp;
	else if (proto == IPPROTO_ICMPV6)
		which = CT_TIMEOUT_icmpv6;
	tr->timeout = ct_timeout_secs(ct_w_policy(tr->word), which);
	return CT_TRACK_ACCEPT;
}

#endif
