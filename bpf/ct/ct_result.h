/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_RESULT_H
#define BPFCT_CT_RESULT_H

#include "../lib/ct_pkt.h"
#include "../nat/nat_args.h"
#include "ct_key.h"

/* Verdicts of ct_lookup(); negative ones are drop reasons. */
#define CT_UNTRACKED   0 /* ND, MLD and the like: no connection, no state */
#define CT_NEW	       1 /* no connection yet: judge it, then ct_commit() */
#define CT_OPENING     2 /* its connection has seen packets of this direction only */
#define CT_ESTABLISHED 3 /* original direction, answered before */
#define CT_REPLIED     4 /* reply direction */
#define CT_RELATED     5 /* ICMP error about a connection */

/* OVS's ct_state bits (ovs-fields(7)). */
#define CT_STATE_NEW  0x01
#define CT_STATE_EST  0x02
#define CT_STATE_REL  0x04
#define CT_STATE_RPL  0x08
#define CT_STATE_INV  0x10
#define CT_STATE_TRK  0x20
#define CT_STATE_SNAT 0x40
#define CT_STATE_DNAT 0x80

/* What the stages after the lookup need. No pointers: they would not survive
 * a call of a global function. */
struct ct_result {
	union ct_key key;   /* of the record */
	struct ct_tuple to; /* what the packet carries after translation */
	__u64 word;	    /* of the record after this packet; 0: none */
	__u32 mark;
	__u32 route; /* ct_conn.route of the packet's direction */
	__u32 now;   /* tick */
	__u8 dir;    /* CT_ORIG or CT_REPLY */
	__u8 family;
	__u8 state;	/* CT_STATE_* */
	__u8 translate; /* 1: source differs, 2: destination differs */
	__u8 related;	/* an ICMP error: key and word are its connection's */
	__u8 reopen;	/* NEW, and the record under the key is to be taken over */
	__u8 fresh;	/* committed by this packet */
	__u8 verdict;
	__u8 expected; /* CT_EXPECTED_*: NEW, and an expectation was found (ct_expect.h) */
	__u8 pad[7];
};

/* ct_result.expected */
#define CT_EXPECTED	   0x01
#define CT_EXPECTED_NAT	   0x02 /* it says how to translate; else the rules do */
#define CT_EXPECTED_POLICY 0x04 /* the rules must admit it */

#define CT_XLATE_SRC 1
#define CT_XLATE_DST 2

/* How a connection is to be entered. */
struct ct_commit_args {
	struct ct_nat_args nat;
	__u32 mark;
	__u32 label[4];
	__u32 route;	/* ct_conn.route of the original direction, if known */
	__u8 set_mark;	/* set mark (also on an existing connection) */
	__u8 set_label; /* likewise */
	__u8 policy;	/* timeout policy, 0: default */
	__u8 inside;	/* begun from an inside interface (CT_SIDE_INSIDE) */
	__u8 local;	/* the host's own packet: may be remapped on a clash */
	__u8 helper;	/* enum alg_helper: its payload goes to ctd; 0: none */
	__u8 pad[2];
};

/* Per-CPU room for a packet's journey, so that entry programs keep their stack. */
struct ct_work {
	struct ct_pkt pkt;
	struct ct_result res;
	struct ct_commit_args args;
};

#endif
