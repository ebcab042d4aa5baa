/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_ABI_FRAG_ABI_H
#define BPFCT_ABI_FRAG_ABI_H

#include <linux/types.h>

/*
 * Fragments held until their datagram is whole; docs/fragments.md.
 *
 * frag_index_v1  HASH[datagrams]               struct frag_key -> __u32 slot of frag_head_v1
 * frag_head_v1   ARRAY[datagrams]              struct frag_head; one datagram each
 * frag_data_v1   ARRAY[chunks]                 struct frag_chunk; the fragments as they came
 * frag_heads_v1  STACK[datagrams]              __u32: free slots of frag_head_v1
 * frag_chunks_v1 STACK[chunks]                 __u32: free slots of frag_data_v1
 * frag_table_v1  ARRAY[1], mmapable            struct frag_table: limits and use in all
 * frag_zone_v1   ARRAY[65536]                  struct frag_use of a zone
 * frag_source_v1 ARRAY[16384]                  struct frag_use per keyed hash of a source
 * frag_stat_v1   PERCPU_ARRAY[FRAG_STAT_SLOTS] __u64 by 2 * enum frag_stat + (family 6)
 */

#define FRAG_PIECES    64    /* fragments of a datagram; the kernel has no such bound */
#define FRAG_CHUNK     2048  /* bytes of a chunk; a fragment takes whole chunks */
#define FRAG_PIECE_MAX 16000 /* bytes of a fragment, IP header included: what an skb grows to */
#define FRAG_BYTES_MAX 65535 /* of a datagram (RFC 791, RFC 8200) */

#define FRAG_TIMEOUT	 15 /* seconds; RFC 6146 allows no less than 2 */
#define FRAG_TIMEOUT_MIN 2
#define FRAG_TIMEOUT_MAX 60

/* ct_settings.fragments[family == 6]; `set fragments [inet|inet6] ...` */
enum frag_mode {
	FRAG_MODE_DROP = 0,
	FRAG_MODE_PASS = 1,	  /* each passes by itself, untracked */
	FRAG_MODE_REASSEMBLE = 2, /* default */
};

struct frag_key {
	__be32 saddr[4];
	__be32 daddr[4];
	__be32 id;   /* IPv4: in the low half */
	__u16 zone;  /* host byte order */
	__u8 proto;  /* IPv6: 0, the first fragment decides (RFC 8200 4.5) */
	__u8 family; /* 4 or 6 */
	__u32 side;  /* the consumer's: fragments of two sides never meet */
};
_Static_assert(sizeof(struct frag_key) == 44, "frag_key");

/* What has the same bounds: all datagrams, a zone, a source (IPv6: its /64). Bytes
 * are those of the chunks that are taken. */
struct frag_use {
	__u32 datagrams; /* atomic adds */
	__u32 bytes;
};

struct frag_limit {
	__u32 datagrams;
	__u32 bytes;
};

/* The one element of frag_table_v1. */
struct frag_table {
	/* written by ctd only */
	__u32 slots;		  /* entries of frag_head_v1 */
	__u32 chunks;		  /* entries of frag_data_v1 */
	struct frag_limit total;  /* the oldest datagram gives way */
	struct frag_limit zone;	  /* the newcomer is refused */
	struct frag_limit source; /* the newcomer is refused */
	__u32 timeout;		  /* seconds */
	__u32 min_size[2];	  /* bytes, IP header included, of all but the last; 0: any */
	__u32 icmp;		  /* tell the sender of a time-out (ICMP 11/1, ICMPv6 3/1) */
	__u32 pad0[4];
	/* atomic adds */
	struct frag_use use;
	struct frag_use high;
	__u32 heads_used;  /* slots that were ever taken: above them frag_heads_v1 has none */
	__u32 chunks_used; /* chunks likewise */
	__u32 hand;	   /* where the next look for what is too old begins */
	__u32 pad1[9];
};
_Static_assert(sizeof(struct frag_table) == 128, "frag_table");

enum frag_state {
	FRAG_FREE = 0,
	FRAG_SETUP = 1,	  /* its slot is taken, not yet in the index for sure */
	FRAG_HOLDING = 2, /* waits for what is missing */
	FRAG_DEAD = 3,	  /* overlap: what comes later is dropped too (RFC 5722) */
	FRAG_RELEASE = 4, /* whole: belongs to the one program that completed it */
	FRAG_RETURN = 5,  /* its fragments are on their way up the stack */
};

struct frag_piece {
	__u16 off;  /* of its payload in the datagram's */
	__u16 len;  /* of its payload */
	__u16 hlen; /* from the IP header to the payload; 0: no such piece */
	__u8 ttl;
	__u8 pad;
	__u32 chunk; /* the first, from 1; the others follow in struct frag_chunk */
	__u32 csum;  /* ones' complement sum of the payload */
};
_Static_assert(sizeof(struct frag_piece) == 16, "frag_piece");

/*
 * A datagram. Written under the lock while FRAG_SETUP, HOLDING or DEAD; by one
 * program alone in FRAG_RELEASE. Slots are array elements: a pointer to one never
 * leads to freed memory, and key says under the lock whose it is now.
 */
struct frag_head {
	__u32 lock; /* struct bpf_spin_lock */
	__u32 state;
	struct frag_key key;
	__u32 serial;  /* another one for each datagram in this slot */
	__u32 expires; /* tick */
	__u32 source;  /* slot of frag_source_v1 */
	__u32 bytes;   /* of chunks, counted in the uses */
	__u32 pieces;
	__u32 have;  /* bytes of payload that are here */
	__u32 end;   /* the highest end of a piece */
	__u32 total; /* bytes of payload in all; 0: the last one is missing */
	__u32 left;  /* FRAG_RETURN: fragments that are still to come back */
	__u32 mark;  /* FRAG_RETURN: skb->mark to give back */
	__u32 note;  /* FRAG_RETURN: the consumer's */
	__u32 ifindex;
	__u32 pad;
	struct frag_piece piece[FRAG_PIECES];
};

struct frag_chunk {
	__u8 data[FRAG_CHUNK];
	__u8 tail[4]; /* room for the zeroes that pad a sum to whole words */
	__u32 next;   /* the fragment's next, from 1; 0: this is the last */
};
_Static_assert(sizeof(struct frag_chunk) == FRAG_CHUNK + 8, "frag_chunk");

/* X(NAME, text, meaning). Per family, append only. */
#define FRAG_STATS(X)                                                                              \
	X(ACCEPTED, "accepted", "fragments held")                                                  \
	X(COMPLETED, "completed", "datagrams that became whole")                                   \
	X(RELEASED, "released", "fragments sent on")                                               \
	X(DUPLICATE, "duplicate", "fragments that were here already, dropped")                     \
	X(EXPIRED, "expired", "datagrams that were not whole in time")                             \
	X(OVERLAPPED, "overlapped", "datagrams that died of an overlap")                           \
	X(TOO_SMALL, "too_small", "fragments below the minimum size, or first ones too short")     \
	X(MALFORMED, "malformed", "fragments with impossible lengths")                             \
	X(TOO_MANY, "too_many", "fragments beyond the 64th of a datagram")                         \
	X(REFUSED, "refused", "fragments refused by the quota of a zone or source")                \
	X(EVICTED, "evicted", "datagrams that gave way to newer ones at the total limit")          \
	X(ICMP, "icmp", "time-outs that the sender was told of")

enum frag_stat {
#define X(name, text, meaning) FRAG_STAT_##name,
	FRAG_STATS(X)
#undef X
		FRAG_STAT_MAX
};
#define FRAG_STAT_SLOTS 64
_Static_assert(2 * FRAG_STAT_MAX <= FRAG_STAT_SLOTS, "frag_stat_v1 is too small");

/* Elements of frag_source_v1. */
#define FRAG_SOURCES 16384

/* What the sweep tells ctd about a datagram that timed out with its first
 * fragment there: enough of it for an ICMP error (RFC 792, RFC 4443 2.4). */
#define FRAG_QUOTE 548
struct frag_expired_head {
	__u32 family; /* 4 or 6 */
	__u32 len;    /* of the first fragment, IP header included */
};

struct frag_expired {
	struct frag_expired_head head;
	__u8 data[FRAG_QUOTE]; /* its first bytes */
};

#endif
