/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_ABI_ALG_ABI_H
#define BPFCT_ABI_ALG_ABI_H

#include <linux/types.h>
#include "ct_conn.h"

/*
 * Helped connections: their payload leaves the packet path for ctd and comes back.
 *
 * ct_alg_v1     HASH, no prealloc  ct_label_key -> ct_alg; goes with the record
 * ct_algring_v1 RINGBUF            struct alg_packet and the frame: to ctd
 * ct_algbuf_v1  ARRAY[CPUs]        struct alg_buf: where that is put together
 * ct_algexec_v1 HASH               __u32 mark -> struct alg_exec; on the way back
 * ct_algsess_v1 HASH, no prealloc  ct_label_key -> alg_keep; ctd's own: FTP, TFTP
 * ct_algbig_v1  HASH, no prealloc  ct_label_key -> alg_big; ctd's own: SIP
 *
 * Helpers have the numbers of enum alg_helper (alg/alg.h).
 */
#define CT_ALG_MAX     131072 /* helped connections, half-open ones among them */
#define ALG_RING_BYTES (4 << 20)
#define ALG_EXECS      4096
#define ALG_DATA       65536 /* of a frame, its link header included */
#define ALG_KEEP       20480
#define ALG_BIG	       81920
#define ALG_KEEPS      4096

/*
 * An edit that changed a length: from sequence number pos (the speaker's own) on the
 * listener's numbers are `after` higher, below it `before`. What is older than the
 * oldest of CT_ALG_FIXES has been acknowledged.
 */
#define CT_ALG_FIXES 4
struct ct_alg_fix {
	__u32 pos;
	__s32 before;
	__s32 after;
};

#define CT_ALG_NEVER 2 /* picked up in mid-stream: the helper has not been there */

/* Written by ctd as a whole but for start[], which the SYNs write. */
struct ct_alg {
	__u8 helper;
	__u8 off;      /* the helper has left: payload from until[] on passes, NEVER: all does */
	__u8 hold;     /* bit n: ctd holds bytes of direction n, and wants all its segments */
	__u8 fixes[2]; /* used ones of fix[], oldest first */
	__u8 pad[3];
	__u32 start[2]; /* sequence number of the first byte of each direction */
	__u32 until[2];
	struct ct_alg_fix fix[2][CT_ALG_FIXES];
};
_Static_assert(sizeof(struct ct_alg) == 120, "ct_alg");

/* alg_packet.flags */
#define ALG_P_L2    0x01 /* the frame begins with an Ethernet header */
#define ALG_P_FRAGS 0x02 /* it came in fragments: their first header, all their payload */
#define ALG_P_OUT   0x04 /* the host's own, taken where it leaves (by ifindex) */

/* What is known of a packet when it is taken; its frame follows. */
struct alg_packet {
	struct ct_label_key conn; /* key and generation */
	struct ct_tuple from;	  /* as the packet carries it: as its sender sees the connection */
	struct ct_tuple to;	  /* as it will leave: as its receiver sees it */
	__u32 start[2];		  /* of struct ct_alg */
	__u32 ifindex;		  /* where it arrived */
	__u32 len;		  /* of the frame */
	__u32 l3_off;
	__u32 l4_off;
	__u32 payload_len;
	__u32 seq; /* TCP: the speaker's own number */
	__u32 ack; /* in the listener's own numbers: adjustment already undone */
	__u32 mark;
	__u32 hash;
	__u32 gso_size; /* ALG_P_FRAGS: size of the largest, IP header included */
	__u32 priority; /* skb->priority: queueing disciplines and VLAN devices look at it */
	__u8 dir;
	__u8 tcp_flags;
	__u8 helper;
	__u8 flags; /* ALG_P_* */
};
_Static_assert(sizeof(struct alg_packet) == 184, "alg_packet");

struct alg_buf {
	struct alg_packet head;
	__u8 frame[ALG_DATA];
};

/*
 * A packet that ctd sends back. It is written to the execute device in an Ethernet
 * header whose destination begins with the mark; the program there restores the header
 * and lets the packet in (the host's own: out) once more at ifindex, bearing the mark, by which the
 * hook knows it: it goes on behind tracking, and the entry is used up. The fragments of a datagram
 * share a mark.
 */
struct alg_exec {
	struct ct_label_key conn;
	__u32 ifindex;
	__u32 mark;	/* what skb->mark was */
	__u32 priority; /* and skb->priority, which BPF_F_INGRESS clears */
	__u32 hash;
	__u8 dir;
	__u8 adjusted; /* sequence numbers of the connection differ from now on */
	__u8 mac[12];  /* destination, source */
	__u8 out;      /* it was taken where it leaves, and leaves there */
	__u8 pad;
};
_Static_assert(sizeof(struct alg_exec) == 80, "alg_exec");

/* Of ctd alone: struct alg_conn's pinned part (userspace/ctd/alg_conn.h). */
struct alg_keep {
	__u8 bytes[ALG_KEEP];
};
struct alg_big {
	__u8 bytes[ALG_BIG];
};

#endif
