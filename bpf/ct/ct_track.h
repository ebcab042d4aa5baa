/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_TRACK_H
#define BPFCT_CT_TRACK_H

#include "../abi/ct_conn.h"
#include "../lib/ct_pkt.h"

/* What a protocol's tracker says of a packet; a negative value is a drop reason. */
#define CT_TRACK_ACCEPT 0 /* state, timeout and assured below hold */
#define CT_TRACK_IGNORE 1 /* pass, no refresh, no count */
#define CT_TRACK_KILL	2 /* pass and count; the connection ends at once, unanswered */
#define CT_TRACK_REOPEN 3 /* the packet opens a new connection on the same tuple */
#define CT_TRACK_QUIET	4 /* pass; the new state holds, but no refresh, no count */

/* Passed to a tracker and filled by it. */
struct ct_track {
	__u64 word;	/* in: the record's word as read by the lookup */
	__u64 promoted; /* of ct_touch_swap() */
	__u32 dir;	/* in: CT_ORIG or CT_REPLY */
	__u32 now;	/* in: tick */
	__u32 timeout;	/* out: seconds */
	__u8 state;	/* in: protocol state; out: the new one */
	__u8 assured;	/* out: set ASSURED */
	__u8 ends;	/* out: with CT_TRACK_KILL, this packet is no answer (SEEN_REPLY) */
	__u8 fresh;	/* in: first packet of a connection, conn is all zero */
	__u8 changed;	/* out: status or state changed: tell who listens */
	__u8 proto;	/* in */
	__u8 class;	/* in: CT_TCP_* class of the packet's flags */
	__u8 family;	/* in: 4 or 6 */
	__u8 pad[4];
};

#endif
