/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_ABI_NAT_ABI_H
#define BPFCT_ABI_NAT_ABI_H

#include <linux/types.h>

/*
 * NAT: what ctd owns and the datapath takes from it.
 *
 * nat_config_v1 ARRAY[1], mmapable              struct nat_config
 * nat_pool_v1   ARRAY[pools], mmapable          struct nat_pool; index 0 is never used
 * nat_head_v1   ARRAY[heads], mmapable          struct nat_head; one a pool and ring
 * nat_ring_v1   ARRAY[chunks], mmapable         struct nat_chunk; slots of all rings
 * nat_use_v1    ARRAY[chunks], mmapable         struct nat_chunk; a word a port of all pools
 * nat_reserved_v1 ARRAY[2 * NAT_CLASSES], mmapable  struct nat_reserved
 * nat_bound_v1  HASH, no prealloc               who owns an external endpoint
 * nat_bind_v1   HASH, no prealloc               the external endpoint of an inside one
 * nat_peer_v1   LRU_HASH                        whom a binding has sent to
 * nat_sub_v1    HASH, no prealloc               subscribers with limits
 * nat_need_v1   RINGBUF                         struct nat_need: ports wanted, none left
 *
 * A pool is an external address x protocol class x port range. A NAT rule over N
 * addresses owns N * NAT_CLASSES consecutive pools from its pool_base on:
 * pool_base + address * NAT_CLASSES + class. The address is taken from the range
 * of the rule, lowest first; a rule without pools has pool_base 0.
 */

/* Protocol classes: each has a port space of its own. */
#define NAT_TCP	    0
#define NAT_UDP	    1 /* and UDP-Lite */
#define NAT_ICMP    2 /* query ids, v4 and v6 */
#define NAT_SCTP    3
#define NAT_CLASSES 4
#define NAT_NONE    0xff /* no ports: GRE and all others */

/* nat_pool.flags */
#define NAT_POOL_LIVE	0x01 /* set last by ctd: the other fields are valid */
#define NAT_POOL_EIM	0x02 /* endpoint-independent mapping: a port has one owner (a binding) */
#define NAT_POOL_EIF	0x04 /* a binding lets anybody in */
#define NAT_POOL_ADF	0x08 /* a binding lets in addresses that the inside has sent to */
#define NAT_POOL_PARITY 0x10 /* two rings a CPU: even ports, odd ports */
#define NAT_POOL_LOCAL	0x20 /* the address is the host's own: its sockets count */

/*
 * Written by ctd alone but for the last line. While stubs refer to a pool
 * (nat_head: claimed - released, over its heads) its index keeps address, class,
 * family, port range and use_base: nothing else tells which port to give back.
 */
struct nat_pool {
	__be32 addr[4]; /* IPv4 in word 0 */
	__u8 family;	/* 4 or 6 */
	__u8 class;	/* NAT_* */
	__u16 flags;	/* NAT_POOL_* */
	__u16 port_min; /* host byte order, inclusive */
	__u16 port_max;
	__u32 use_base;	 /* word of nat_use_v1 that is port_min's */
	__u32 ring_base; /* word of nat_ring_v1 that is slot 0 of ring 0 */
	__u32 head_base; /* nat_head_v1 of ring 0 */
	__u32 ring_size; /* slots of each ring: 2^n, at most 4096; 0: no rings */
	__u32 rings;	 /* possible CPUs; twice that with PARITY: ring = cpu * 2 + (port & 1) */
	__u32 low_water; /* slots left in a ring below which the datapath asks for more */
	__u32 bind_secs; /* a binding without connections lives this long (RFC 4787 REQ-5) */
	__u32 hold;	 /* hold-down of ports that need one, in units of 8 ticks */
	__u32 used_high; /* most ports in use at a time, as ctd has seen it */
	__u32 block;	 /* ports of a deterministic block (RFC 7422); 0: none */
	/* written by the datapath */
	__u32 asked;	 /* 1: a request for ports is under way; ctd writes 0 when it has filled */
	__u32 told_tick; /* when exhaustion was last told: not twice in one tick */
	__u32 hand;	 /* where the next look for bindings that are over begins (nat_reap.h) */
	__u32 pad[8];
	/* written by ctd, for ctctl */
	__u32 inside_plen; /* of the prefix that has blocks */
	__be32 inside[4];  /* source that has the first block of this address */
};
_Static_assert(sizeof(struct nat_pool) == 128, "nat_pool");

/* Which way a port was come by. X(NAME, text); append only. */
#define NAT_PATHS(X)                                                                               \
	X(KEPT, "kept")		/* the sender's own port */                                        \
	X(LEASED, "leased")	/* from this CPU's ring */                                         \
	X(STOLEN, "stolen")	/* from another CPU's ring */                                      \
	X(FALLBACK, "fallback") /* bounded random tries */                                         \
	X(BLOCK, "block")	/* from the subscriber's block (RFC 7422) */                       \
	X(BOUND, "bound")	/* a binding that was there (EIM) */                               \
	X(IN, "in")		/* admitted from outside through a binding */                      \
	X(HASHED, "hashed")	/* by a keyed hash of the tuple */

enum nat_path {
#define X(name, text) NAT_PATH_##name,
	NAT_PATHS(X)
#undef X
		NAT_PATH_MAX
};
#define NAT_PATH_SLOTS 8

/*
 * A ring of leases: ctd puts port | NAT_SLOT_VALID into slots from `tail` on and
 * then raises tail; a taker raises `head` by one and exchanges the slot with 0. A
 * slot that ctd finds filled at tail stays as it is. head may overtake tail (two
 * takers of the last lease): ctd goes on from the later of both. A slot found 0 has
 * been taken: its port belongs to ctd again when nat_use_v1 shows no use of it for
 * more than 2 s (candidates whose claim failed) or after its uses have ended.
 *
 * With PARITY the counters are those of ring cpu * 2.
 */
#define NAT_SLOT_VALID 0x10000
#define NAT_RING_MAX   4096

struct nat_head {
	__u32 head; /* any CPU, fetch-and-add */
	__u32 tail; /* ctd */
	__u32 pad[14];
	/* by the CPU that the ring belongs to; ctd reads */
	__u64 path[NAT_PATH_SLOTS]; /* connections by enum nat_path */
	__u64 claimed;	/* tuples claimed with a port of this pool; any port of its address */
	__u64 released; /* given back; claimed - released over all heads: in use now */
	__u64 refused;	/* no port found */
	__u64 lost;	/* candidates whose claim failed */
	__u64 pad2[4];
};
_Static_assert(sizeof(struct nat_head) == 192, "nat_head");

/* Words by the thousand: elements of an array map are 8 bytes at least. Word n is
 * word n % NAT_CHUNK of chunk n / NAT_CHUNK. */
#define NAT_CHUNK 1024
struct nat_chunk {
	__u32 word[NAT_CHUNK];
};
_Static_assert(sizeof(struct nat_chunk) == 4096, "nat_chunk");

/*
 * A port's use. Low 20 bits: tuples that are claimed with it, and its binding.
 * High 12 bits: when the last of them was given back, in units of 8 ticks. The
 * datapath counts up when it claims and down when it removes a stub; ctd
 * recounts after a crash (from ct_stub*.nat and nat_bound_v1).
 */
#define NAT_USES	      0xfffff
#define nat_uses(w)	      ((w)&NAT_USES)
#define nat_use_released(w)   ((w) >> 20)
#define nat_use_now(tick)     ((tick) >> 3)
#define nat_use_stamp(tick)   (nat_use_now(tick) & 0xfff)
#define nat_use_make(n, tick) (((n)&NAT_USES) | nat_use_stamp(tick) << 20)

/* ct_stub*.nat: the pool and port to give back when the stub goes; 0: none. */
#define NAT_REF(pool, port) ((__u32)(pool) << 16 | (__u16)(port))
#define nat_ref_pool(ref)   ((__u16)((ref) >> 16))
#define nat_ref_port(ref)   ((__u16)(ref))

/*
 * Ports that are never handed out, kept ones and random ones included. Index: class,
 * what `set nat reserved` says; NAT_CLASSES + class: that and the host's own
 * sockets, looked at for LOCAL pools. Port p is bit p % 64 of word p / 64.
 */
struct nat_reserved {
	__u64 word[1024];
};
_Static_assert(sizeof(struct nat_reserved) == 8192, "nat_reserved");

/* nat_config.flags */
#define NAT_HAVE_BINDINGS 0x01 /* a pool is EIM: packets from outside look for a binding */

struct nat_config {
	/* written by ctd */
	__u32 flags;
	__u32 pools; /* indexes in use lie below this */
	__u32 pad[14];
	/* written by the datapath */
	__u32 told_tick; /* exhaustion told in this tick ... */
	__u32 told;	 /* ... so many times: at most NAT_TOLD_A_TICK */
	__u32 pad2[14];
};
_Static_assert(sizeof(struct nat_config) == 128, "nat_config");
#define NAT_TOLD_A_TICK 16

/*
 * Bindings (RFC 4787). nat_bound says who owns an external endpoint and counts the
 * connections through it; nat_bind leads there from the inside endpoint. The
 * generation ties the two: one without the other, or with another's, is dead.
 * A binding without connections whose time is over is dead at once, whatever the
 * sweep does. word: generation (63..32) | connections (31..0), NAT_BOUND_DEAD
 * while its deleter is at work; changes by compare-and-swap only.
 */
struct nat_bound_key {
	__be32 addr[4]; /* external */
	__be16 port;
	__u16 zone;
	__u8 class;
	__u8 family;
	__u8 pad[2];
};
_Static_assert(sizeof(struct nat_bound_key) == 24, "nat_bound_key");

struct nat_bound {
	__u64 word;
	__be32 addr[4]; /* inside */
	__be16 port;
	__u16 pool;
	__u16 pool_base; /* of the rule: part of the inside key */
	__u16 flags;	 /* NAT_BOUND_* */
	__u32 expires;	 /* tick; only while there are no connections */
	__u32 born;
};
_Static_assert(sizeof(struct nat_bound) == 40, "nat_bound");
#define NAT_BOUND_DEAD	  0xffffffffU
#define NAT_BOUND_LIMITED 0x01 /* counted as a port of its subscriber */

struct nat_bind_key {
	__be32 addr[4]; /* inside */
	__be16 port;
	__u16 zone;
	__u16 pool_base; /* of the rule: a host has one binding a rule */
	__u8 class;
	__u8 family;
};
_Static_assert(sizeof(struct nat_bind_key) == 24, "nat_bind_key");

struct nat_bind {
	__be32 addr[4]; /* external */
	__be16 port;
	__u16 pool;
	__u32 gen; /* of the nat_bound it leads to */
};
_Static_assert(sizeof(struct nat_bind) == 24, "nat_bind");

/* An address that the owner of an ADF binding has sent to. */
struct nat_peer_key {
	struct nat_bound_key bound;
	__be32 addr[4];
};
_Static_assert(sizeof(struct nat_peer_key) == 40, "nat_peer_key");

struct nat_peer {
	__u32 gen; /* of the binding: a later one's sender has to send anew */
	__u32 tick;
};

/* A subscriber: an inside address that a rule with limits translates. Entries
 * without states and ports are deleted by the sweep after a minute. */
struct nat_sub_key {
	__be32 addr[4];
	__u16 zone;
	__u8 family;
	__u8 pad;
};
_Static_assert(sizeof(struct nat_sub_key) == 20, "nat_sub_key");

struct nat_sub {
	__u32 states; /* connections; NAT_SUB_DEAD while its deleter is at work */
	__u32 ports;  /* external ports: bindings, or translated connections without one */
	__u64 bucket; /* tokens, in parts (63..32), of the rate limit; tick of the last refill
			 (31..0) */
	__u32 last;   /* tick of the last connection */
	__u32 refused;
	__be32 addr[4]; /* as the key: a node that changed hands is noticed */
};
_Static_assert(sizeof(struct nat_sub) == 40, "nat_sub");
#define NAT_SUB_DEAD 0x80000000U

/* nat_need.kind */
#define NAT_NEED_PORTS	   1 /* a ring is low or empty; at most one under way a pool */
#define NAT_NEED_EXHAUSTED 2 /* no port for this packet: log, ICMP if NAT_NEED_ICMP */
#define NAT_NEED_BLOCKED   3 /* `block return`: RST or ICMP to its sender */

#define NAT_NEED_HEAD 128

struct nat_need {
	__u32 kind;
	__u32 pool; /* 0: the rule has none */
	__u32 cpu;
	__u32 tick;
	__u32 ifindex; /* where the packet came in; 0: the host's own */
	__u32 flags;   /* NAT_NEED_* */
	__u16 reason;  /* enum ct_drop */
	__u8 family;   /* 4, 6; of NAT_NEED_PORTS 0 */
	__u8 pad;
	__u16 len; /* bytes of head that are valid; from the IP header on */
	__u16 pad2;
	__u8 head[NAT_NEED_HEAD];
};
_Static_assert(sizeof(struct nat_need) == 160, "nat_need");
/* nat_need.flags */
#define NAT_NEED_ICMP	0x01 /* the rule wants the sender told */
#define NAT_NEED_INSIDE 0x02 /* begun from an inside interface */

#endif
