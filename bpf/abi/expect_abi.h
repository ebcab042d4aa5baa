/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_ABI_EXPECT_ABI_H
#define BPFCT_ABI_EXPECT_ABI_H

#include <linux/types.h>
#include "ct_conn.h"

/*
 * Expectations: connections that a helper has heard of and that are to come.
 *
 * ct_expect_v1   HASH, no prealloc       struct ct_tuple -> struct ct_expect
 * ct_expstate_v1 ARRAY[1], mmapable      struct ct_expect_state
 * ct_master_v1   HASH, no prealloc       struct ct_label_key -> struct ct_master
 * ct_xport_v1    HASH, no prealloc       struct ct_xport_key -> struct ct_xport
 * ct_gre_v1      HASH, no prealloc       struct ct_tuple -> struct ct_gre
 *
 * Only ctd enters and deletes expectations and ports. A packet that opens a connection
 * looks for its tuple in three shapes, most exact first, and only in those that have an
 * entry. What is wild is zero in the key. The packet's commit claims the expectation by
 * compare-and-swap of its word; a claimed one is dead to look-ups and ctd deletes it.
 */
enum ct_expect_shape {
	CT_X_EXACT,	 /* source, source port, destination, destination port */
	CT_X_ANY_PORT,	 /* any source port */
	CT_X_ANY_SOURCE, /* any source address and port */
	CT_X_SHAPES
};

/* struct ct_expect.flags; the first three are netfilter's NF_CT_EXPECT_* */
#define CT_X_PERMANENT 0x01 /* may be used often, until its time-out */
#define CT_X_INACTIVE  0x02 /* does not match */
#define CT_X_USERSPACE 0x04 /* its helper is a process */
#define CT_X_NAT       0x08 /* `nat` decides both sides of the translation; else the rules do */
#define CT_X_POLICY    0x10 /* the rules must admit it: between others than the two speakers */
#define CT_X_OUTLIVES  0x20 /* does not end with its master (a registration) */
#define CT_X_CLOSES    0x40 /* ends when both ends of its master have closed it (TCP) */

/* struct ct_expect.word: generation (63..32) | claimed (31) | uses of a permanent one */
#define CT_X_CLAIMED   0x80000000U
#define ct_x_gen(word) ((__u32)((word) >> 32))

/*
 * Written whole by ctd before it can be found; afterwards only the word changes.
 * `nat` is what its first packet is translated to; a source port of 0 there is kept
 * if its tuple is free.
 */
struct ct_expect {
	__u64 word;
	struct ct_tuple nat;
	struct ct_tuple orig;	    /* of the master: its original direction, untranslated */
	struct ct_label_key master; /* key and generation of the master's record */
	__u32 expires;		    /* tick */
	__u32 timeout;		    /* seconds that it was entered with */
	__u32 group;		    /* the helper's number for what is closed together */
	__u32 nat_ref;	/* NAT_REF (nat_abi.h) of the external port it stands for; 0: none */
	__u32 nat_gen;	/* of that port's binding; 0: it has none */
	__u16 nat_pool; /* pool_base for a source port that is to be chosen; 0: at random */
	__u8 flags;	/* CT_X_* */
	__u8 class;	/* the helper's: enum alg_class */
	__u8 helper;	/* who announced it: enum alg_helper */
	__u8 give;	/* helper that the expected connection gets; 0: none */
	__u8 dir;	/* which of the master's ends opens it: CT_ORIG, CT_REPLY */
	__u8 pad[5];
};
_Static_assert(sizeof(struct ct_expect) == 168, "ct_expect");

/* An expected connection's master, for as long as it lives (key: its own record). */
struct ct_master {
	struct ct_label_key conn;
	struct ct_tuple orig;
	__u32 group; /* of the expectation */
	__u32 pad;
};
_Static_assert(sizeof(struct ct_master) == 96, "ct_master");

/* X(NAME, text); append only. By packets: */
#define CT_X_COUNTS(X)                                                                             \
	X(USED, "used")		/* connections that were expected */                               \
	X(EXPIRED, "expired")	/* packets that came too late */                                   \
	X(ORPHANED, "orphaned") /* packets whose master had ended */                               \
	X(RACED, "raced")	/* packets that lost the race for it */                            \
	X(RETURNED, "returned") /* claims given back: the connection was refused */

enum ct_x_count {
#define X(name, text) CT_X_COUNT_##name,
	CT_X_COUNTS(X)
#undef X
		CT_X_COUNT_MAX
};

struct ct_expect_state {
	/* written by ctd */
	__u32 entries[CT_X_SHAPES]; /* raised before an entry goes in, lowered after it has gone */
	__u32 count;		    /* sum of them */
	__u32 high;
	__u32 limit;	    /* in all */
	__u32 master_limit; /* of one master */
	__u32 ports;	    /* entries of ct_xport_v1 */
	__u64 created;
	__u64 deleted;	      /* all ends, use too */
	__u64 timed_out;      /* of these: unused at their time-out */
	__u64 refused;	      /* limit in all */
	__u64 refused_master; /* limit of a master */
	__u64 refused_port;   /* no external port to be had */
	__u64 pad[6];
	/* written by packets, any CPU, by atomic add */
	__u64 n[8];
};
_Static_assert(sizeof(struct ct_expect_state) == 192, "ct_expect_state");
_Static_assert(CT_X_COUNT_MAX <= 8, "room for counters");

#define CT_EXPECT_MAX 16384 /* entries of the map: above any limit in force */
/* Defaults: netfilter's nf_conntrack_expect_max here; a SIP trunk's calls. */
#define CT_EXPECT_LIMIT	       4096
#define CT_EXPECT_MASTER_LIMIT 256

/*
 * External ports that are set aside for expectations, so that the other side can be
 * told before anything comes. Entered and deleted by ctd alone; packets ask it for ids of calls
 * that are being set up (ct_gre.h). The port is counted as one use in nat_use_v1 and kept out of
 * every choice by nat_reserved_v1.
 */
struct ct_xport_key {
	__be32 addr[4];
	__be16 port;
	__u8 proto;
	__u8 family;
};
_Static_assert(sizeof(struct ct_xport_key) == 20, "ct_xport_key");

struct ct_xport {
	struct ct_label_key master;
	__be32 inside[4]; /* whose port it stands for */
	__be16 inside_port;
	__u16 held;    /* 1: the helper or an open group wants it; 0: goes when it is unused */
	__u32 group;   /* once an expectation stands for it */
	__u32 nat_ref; /* 0: of no pool */
	__u32 pad;
};
_Static_assert(sizeof(struct ct_xport) == 80, "ct_xport");

/*
 * Calls of PPTP that a helper has seen agreed upon (RFC 2637). Enhanced GRE carries one
 * call id, its receiver's. Under the tuple with that id as dport and no sport stands the id that
 * the sender answers to: with both in the place of ports GRE is tracked and translated as any
 * other protocol. What is not here goes by address. Entered and deleted by ctd alone, for each
 * direction as it looks before and behind translation, so that whoever meets a packet, or a
 * quotation of it, finds the same.
 */
struct ct_gre {
	/* ctd's: whose call it is, and which. One that was taken over: its own record, and 0. */
	struct ct_label_key master;
	__u32 group;
	__be16 id;
	__u16 pad;
};
_Static_assert(sizeof(struct ct_gre) == 56, "ct_gre");
#define CT_GRE_MAX (4 * CT_EXPECT_MAX)

/* What subscribers of {"op":"expect_events"} read from ctd's socket. */
struct ct_expect_event {
	__u32 type; /* enum ct_event_type: NEW, DESTROY */
	__u32 tick;
	struct ct_tuple tuple;
	struct ct_expect x;
};
_Static_assert(sizeof(struct ct_expect_event) == 216, "ct_expect_event");

#endif
