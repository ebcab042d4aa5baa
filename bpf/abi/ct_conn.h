/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_ABI_CT_CONN_H
#define BPFCT_ABI_CT_CONN_H

#include <linux/types.h>
#include "ct_key.h"

/*
 * The record of a connection. LRU map values cannot hold a lock, so one 64-bit
 * word carries everything that must change as one, and changes only by
 * compare-and-swap. All else is written without order: a lost race costs one
 * stale maximum (windows), never a counter (those are atomic adds).
 *
 * The word, from the high end:
 *   63..32  generation: changes with each life of a node. A pointer whose word
 *           shows another generation than at lookup reads a stranger (I4).
 *   31..16  status: the IPS_* bits of <linux/netfilter/nf_conntrack_common.h>
 *   15..12  protocol state: enum ct_tcp_state or enum ct_sctp_state
 *   11..9   life: enum ct_life
 *   8       1: endpoint 1 of the key is the originator
 *   7..0    timeout policy: index into ct_timeout_v1
 */
#define CT_W_GEN_SHIFT 32
/* The generation counts the entries of a half-open ring, so that who ends a
 * record's being half-open knows its slot and empties it, and no two lives of half a
 * thousand million share one. Those that ctctl enters have a random one without
 * CT_GEN_RING. */
#define CT_GEN_RING	  0x80000000U
#define CT_GEN_SIDE_SHIFT 29 /* two bits: CT_SIDE_* */
#define CT_GEN_COUNT	  0x1fffffffU
#define CT_W_STATUS_SHIFT 16
#define CT_W_STATE_SHIFT  12
#define CT_W_STATE_MASK	  (0xfULL << CT_W_STATE_SHIFT)
#define CT_W_LIFE_SHIFT	  9
#define CT_W_LIFE_MASK	  (0x7ULL << CT_W_LIFE_SHIFT)
#define CT_W_ORIG_HI	  (1ULL << 8)
#define CT_W_POLICY_MASK  0xffULL

#define ct_w_gen(w)	  ((__u32)((w) >> CT_W_GEN_SHIFT))
#define ct_w_status(w)	  ((__u16)((w) >> CT_W_STATUS_SHIFT))
#define ct_w_state(w)	  ((__u8)(((w)&CT_W_STATE_MASK) >> CT_W_STATE_SHIFT))
#define ct_w_life(w)	  ((__u8)(((w)&CT_W_LIFE_MASK) >> CT_W_LIFE_SHIFT))
#define ct_w_policy(w)	  ((__u8)((w)&CT_W_POLICY_MASK))
#define CT_W_STATUS(bits) ((__u64)(bits) << CT_W_STATUS_SHIFT)
#define CT_W_STATE(s)	  ((__u64)(s) << CT_W_STATE_SHIFT)
#define CT_W_LIFE(l)	  ((__u64)(l) << CT_W_LIFE_SHIFT)
#define CT_W_GEN(g)	  ((__u64)(g) << CT_W_GEN_SHIFT)

/* Status bits. Same numbers as netfilter's IPS_*; those not listed are unused. */
#define CT_S_EXPECTED	   (1 << 0)
#define CT_S_SEEN_REPLY	   (1 << 1)
#define CT_S_ASSURED	   (1 << 2)
#define CT_S_CONFIRMED	   (1 << 3) /* netfilter's sense: in the table */
#define CT_S_SRC_NAT	   (1 << 4)
#define CT_S_DST_NAT	   (1 << 5)
#define CT_S_SEQ_ADJUST	   (1 << 6)
#define CT_S_INSIDE	   (1 << 7) /* ours: begun from an inside interface */
#define CT_S_LIMITED	   (1 << 8) /* ours: its subscriber counts it (nat_sub_v1) */
#define CT_S_DYING	   (1 << 9)
#define CT_S_FIXED_TIMEOUT (1 << 10)
#define CT_S_SHARE	   (1 << 11) /* ours, of DYING: its prefix' share still counts it */
#define CT_S_TAKEN	   (1 << 12) /* ours: was nf_conntrack's, which has its translation too */
#define CT_S_HELPER	   (1 << 13)
#define CT_S_BOUND	   (1 << 14) /* ours: its port belongs to a binding (nat_bound_v1) */
#define CT_S_LABEL	   (1 << 15) /* ours: an entry in ct_label_v1 exists */
#define CT_S_NAT	   (CT_S_SRC_NAT | CT_S_DST_NAT)

enum ct_life {
	CT_LIFE_SETUP = 0,     /* being (re)written by the CPU that won it */
	CT_LIFE_HALF_OPEN = 1, /* bounded by the half-open rings (I3) */
	CT_LIFE_CONFIRMED = 2, /* bounded by the confirmed limit (I3) */
	CT_LIFE_DYING = 3,     /* dead to lookups; node stays for a second (I4) */
	CT_LIFE_DEAD = 4,      /* its deleter is between this and the map delete */
};

enum ct_tcp_state {
	CT_TCP_NONE = 0,
	CT_TCP_SYN_SENT,
	CT_TCP_SYN_RECV,
	CT_TCP_ESTABLISHED,
	CT_TCP_FIN_WAIT,
	CT_TCP_CLOSE_WAIT,
	CT_TCP_LAST_ACK,
	CT_TCP_TIME_WAIT,
	CT_TCP_CLOSE,
	CT_TCP_SYN_SENT2,
	CT_TCP_STATES
};

/* Both ends have said that they are done. */
static inline int ct_tcp_closed(__u8 proto, __u8 state)
{
	return proto == 6 &&
	       (state == CT_TCP_LAST_ACK || state == CT_TCP_TIME_WAIT || state == CT_TCP_CLOSE);
}

enum ct_sctp_state {
	CT_SCTP_NONE = 0,
	CT_SCTP_CLOSED,
	CT_SCTP_COOKIE_WAIT,
	CT_SCTP_COOKIE_ECHOED,
	CT_SCTP_ESTABLISHED,
	CT_SCTP_SHUTDOWN_SENT,
	CT_SCTP_SHUTDOWN_RECD,
	CT_SCTP_SHUTDOWN_ACK_SENT,
	CT_SCTP_HEARTBEAT_SENT,
	CT_SCTP_STATES
};

/* What a direction of a TCP connection has shown, host byte order, sequence
 * space of the endpoint that sends in that direction. */
struct ct_tcp_dir {
	__u32 end;    /* highest sequence number seen + length */
	__u32 maxend; /* highest the peer's window allows */
	__u32 maxwin; /* largest window this endpoint has advertised, scaled */
	__u32 maxack; /* highest acknowledgement sent in this direction */
};

/* ct_tcp.flags, one byte a direction */
#define CT_TCP_F_WSCALE	      0x01 /* window scale option offered */
#define CT_TCP_F_SACK_PERM    0x02 /* SACK permitted option offered */
#define CT_TCP_F_CLOSE_INIT   0x04
#define CT_TCP_F_LIBERAL      0x08 /* picked up mid-stream: window unknown */
#define CT_TCP_F_UNACKED      0x10 /* data that the peer has not acknowledged */
#define CT_TCP_F_MAXACK	      0x20 /* maxack is valid */
#define CT_TCP_F_CHALLENGE    0x40 /* in last_flags: a challenge ACK may follow */
#define CT_TCP_F_SIMULTANEOUS 0x80 /* in last_flags */

struct ct_tcp {
	struct ct_tcp_dir dir[2];
	__u32 last_seq;
	__u32 last_ack;
	__u32 last_end;
	__u16 last_win;
	__u8 flags[2];	  /* CT_TCP_F_* by direction */
	__u8 scale;	  /* low nibble ORIG, high nibble REPLY */
	__u8 last_packet; /* low 3 bits: enum ct_tcp_class, bit 7: direction */
	__u8 last_flags;  /* CT_TCP_F_* of a SYN that was let through */
	__u8 retrans;	  /* low nibble: repeats seen; high: scale of that SYN */
};
_Static_assert(sizeof(struct ct_tcp) == 52, "ct_tcp");

struct ct_sctp {
	__be32 vtag[2]; /* expected in packets of that direction */
	__u8 init[2];	/* INIT seen in that direction */
	__u8 last_dir;
	__u8 flags;
	__be32 next[2][2]; /* by direction: tags that a handshake has named beside vtag, the latest
			      first; 0: none. A COOKIE chunk that bears one makes it vtag */
	__u32 pad[6];
};
_Static_assert(sizeof(struct ct_sctp) == 52, "ct_sctp");

struct ct_count {
	__u64 packets;
	__u64 bytes; /* layer 3: from the IP header on, GSO segments' headers not counted twice */
};

/*
 * Common to both families; struct ct_conn4 and ct_conn6 append the addresses of
 * the reply direction. Times are ticks: (jiffies64 + clock_offset) >> 5, cut to
 * 32 bits, compared with wrap-around (ct_clock.h).
 */
struct ct_conn {
	__u64 word;
	struct ct_count count[2]; /* by direction; atomic adds from any CPU */
	__u32 expires;		  /* any CPU; two that race write the same tick or its neighbour */
	__u32 last;		  /* last packet; as expires */
	__u32 start;		  /* set before the record is published */
	__u32 mark;		  /* consumers and ctctl; last writer wins */
	__u32 route[2];		  /* by direction: nexthop slot | epoch << 12 (ct_route.h) */
	__be16 reply_sport;	  /* NAT: what replies carry; set before publication */
	__be16 reply_dport;
	union {
		struct ct_tcp tcp; /* any CPU without order: a lost race is a stale maximum */
		struct ct_sctp sctp;
		__u32 l4[13];
	};
};
_Static_assert(sizeof(struct ct_conn) == 120, "ct_conn");

/* Addresses of the reply tuple; equal to the original's, swapped, without NAT. */
struct ct_conn4 {
	struct ct_conn c;
	__be32 reply_saddr;
	__be32 reply_daddr;
};
_Static_assert(sizeof(struct ct_conn4) == 128, "ct_conn4");

struct ct_conn6 {
	struct ct_conn c;
	__be32 reply_saddr[4];
	__be32 reply_daddr[4];
};
_Static_assert(sizeof(struct ct_conn6) == 152, "ct_conn6");

/* A translated connection's second key leads to its record through a stub.
 * A stub counts only while the record exists, lives, and has this generation. */
struct ct_stub {
	__u32 gen;
	__u32 born; /* ticks: a stub without record younger than a second may be a commit under way
		     */
	/* NAT_REFs (nat_abi.h) of what goes back with the stub; 0: nothing */
	__u32 nat;    /* the port of its source translation */
	__u32 nat_in; /* the binding through which it was admitted */
};

struct ct_stub4 {
	struct ct_key4 conn;
	struct ct_stub s;
};
_Static_assert(sizeof(struct ct_stub4) == 32, "ct_stub4");

struct ct_stub6 {
	struct ct_key6 conn;
	struct ct_stub s;
};
_Static_assert(sizeof(struct ct_stub6) == 56, "ct_stub6");

/* A slot of the half-open rings and of the clock over confirmed records. It
 * says where to look, never what is true: the record's word decides. */
struct ct_slot {
	__u32 gen;  /* 0: empty */
	__u32 born; /* tick of the entry; in the clock: not worth a look before */
};
#define CT_SLOT_BUSY 0xffffffffU /* gen of a slot of the clock while it is written */

struct ct_slot4 {
	struct ct_key4 key;
	struct ct_slot s;
};
struct ct_slot6 {
	struct ct_key6 key;
	struct ct_slot s;
};
_Static_assert(sizeof(struct ct_slot4) == 24 && sizeof(struct ct_slot6) == 48, "ct_slot");

/* 128-bit label, kept apart as few connections have one. */
struct ct_label_key {
	struct ct_key6 key; /* IPv4: addresses in word 0, pad = 4; IPv6: pad = 6 */
	__u32 gen;
	__u32 pad;
};
struct ct_label {
	__u32 bits[4]; /* bit n of the label is bit n % 32 of word n / 32 */
};
_Static_assert(sizeof(struct ct_label_key) == 48 && sizeof(struct ct_label) == 16, "ct_label");

#endif
