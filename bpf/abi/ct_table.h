/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_ABI_CT_TABLE_H
#define BPFCT_ABI_CT_TABLE_H

#include <linux/types.h>

/*
 * Map names. <stage>_<noun>_v<N>; a layout change bumps N. All are pinned in
 * /sys/fs/bpf/bpfct/<instance>/.
 *
 * ct_conn4_v1   LRU_HASH  ct_key4 -> ct_conn4      records
 * ct_conn6_v1   LRU_HASH  ct_key6 -> ct_conn6
 * ct_stub4_v1   HASH      ct_key4 -> ct_stub4      second keys of translated connections
 * ct_stub6_v1   HASH      SipHash of the ct_key6 -> ct_stub6
 * ct_half4_v1   ARRAY     -> ct_slot4              half-open rings: outside | inside | retry
 * ct_half6_v1   ARRAY     -> ct_slot6
 * ct_clock4_v1  ARRAY     -> ct_slot4              clock over confirmed records
 * ct_clock6_v1  ARRAY     -> ct_slot6
 * ct_grave4_v1  ARRAY     -> ct_slot4              dead records in order of death
 * ct_grave6_v1  ARRAY     -> ct_slot6
 * ct_label_v1   HASH, no prealloc                  128-bit labels
 * ct_settings_v1 ARRAY[1], mmapable                struct ct_settings
 * ct_timeout_v1 ARRAY[256], mmapable               struct ct_timeouts; index 0: default policy
 * ct_table_v1   ARRAY[2], mmapable                 struct ct_table; 0: IPv4, 1: IPv6
 * ct_zone_v1    ARRAY[65536], mmapable             struct ct_zone
 * ct_prefix_v1  ARRAY[16384]                       __u32: half-open per hash of side and prefix
 * ct_seen_v1    ARRAY[16384]                       struct ct_seen: SYNs refused a moment ago
 * ct_drop_v1    PERCPU_ARRAY[CT_DROP_SLOTS]        __u64 by enum ct_drop
 * ct_stat_v1    PERCPU_ARRAY[CT_STAT_SLOTS]        __u64 by enum ct_stat
 * ct_nexthop_v1 ARRAY[4096]                        struct ct_nexthop
 * ct_event_v1   RINGBUF                            struct ct_event
 * and those of nat_abi.h, frag_abi.h, alg_abi.h
 */
#define CT_PIN_ROOT "/sys/fs/bpf/bpfct"

#define CT_ABI_VERSION 1

#define CT_SIDE_OUTSIDE 0 /* begun from an untrusted interface */
#define CT_SIDE_INSIDE	1
#define CT_SIDE_RETRY	2 /* refused before and sent again: a spoofed flood does not do that */
#define CT_SIDES	3

/*
 * What the kernel does to forwarded packets beside us (xfrm policies, nftables chains,
 * rules of its routing): found by ctd, obeyed where packets are routed.
 */
#define CT_ASIDE_STACK 0x01 /* none is redirected: all go by the stack */
#define CT_ASIDE_LATE  0x02 /* only the stack knows where: connections open where they leave */
#define CT_ASIDE_LOOK  0x04 /* packets of a connection may go different ways: no route is kept */
#define CT_ASIDE_CHAIN 0x08 /* as STACK, but for what was taken over from these very chains */
#define CT_ASIDE_ASKED 0x10 /* told of a change that ctd has not looked at */

/* In ct_settings.ctd: that thread has ended (FUTEX_OWNER_DIED of robust futexes). */
#define CT_CTD_DIED 0x40000000

/* Live settings; written by ctd, read by every program. Seconds unless said. */
struct ct_settings {
	__u32 abi_version;
	__u32 hz;		     /* jiffies a second of the running kernel */
	__s64 clock_offset;	     /* jiffies added to the clock; tests only, else 0 */
	__u64 secret[2];	     /* keys the 16-bit once-only mark and the prefix hashes */
	__u32 heartbeat;	     /* ctd's last sign of life: jiffies64, cut */
	__u32 ctd;		     /* ctd's thread id; CT_CTD_DIED: set by the kernel */
	__u32 route_epoch;	     /* bumped on route, neighbour, address and link changes */
	__u32 event_mask;	     /* 1 << enum ct_event_type; 0 costs nothing */
	__u32 tcp_max_retrans;	     /* netfilter's nf_conntrack_tcp_max_retrans, default 3 */
	__u8 tcp_be_liberal;	     /* default 0 */
	__u8 tcp_loose;		     /* default 1 */
	__u8 tcp_ignore_invalid_rst; /* default 0 */
	__u8 checksum;		     /* verify ICMP and SCTP checksums; default 1 */
	union {
		struct {
			__u8 fragments[2];   /* enum frag_mode of IPv4, IPv6 */
			__u8 imported;	     /* 1: what lived before the first activation is in */
			__u8 route_aside[2]; /* CT_ASIDE_* of IPv4, IPv6; before route_epoch */
			__u8 pad[3];
		};
		__u64 aside_word; /* route_aside: by ctd and fw_watch.bpf.c, each atomically */
	};
	__u32 half_size[CT_SIDES]; /* slots of each half-open ring, a power of two each */
	__u32 half_share;	   /* half-open a source prefix may hold on one side */
	__u32 clock_size;	   /* slots of the clock, a power of two */
	__u32 grave_size;	   /* slots of the grave FIFO, a power of two */
};
_Static_assert(sizeof(struct ct_settings) == 88, "ct_settings");

/* Netfilter's names and defaults, in this order. X(field, default seconds). */
#define CT_TIMEOUTS(X)                                                                             \
	X(tcp_none, 120)                                                                           \
	X(tcp_syn_sent, 120)                                                                       \
	X(tcp_syn_recv, 60)                                                                        \
	X(tcp_established, 432000)                                                                 \
	X(tcp_fin_wait, 120)                                                                       \
	X(tcp_close_wait, 60)                                                                      \
	X(tcp_last_ack, 30)                                                                        \
	X(tcp_time_wait, 120)                                                                      \
	X(tcp_close, 10)                                                                           \
	X(tcp_syn_sent2, 120)                                                                      \
	X(tcp_max_retrans, 300)                                                                    \
	X(tcp_unacknowledged, 300)                                                                 \
	X(udp, 30)                                                                                 \
	X(udp_stream, 120)                                                                         \
	X(icmp, 30)                                                                                \
	X(icmpv6, 30)                                                                              \
	X(sctp_none, 10)                                                                           \
	X(sctp_closed, 10)                                                                         \
	X(sctp_cookie_wait, 3)                                                                     \
	X(sctp_cookie_echoed, 3)                                                                   \
	X(sctp_established, 210)                                                                   \
	X(sctp_shutdown_sent, 3)                                                                   \
	X(sctp_shutdown_recd, 3)                                                                   \
	X(sctp_shutdown_ack_sent, 3)                                                               \
	X(sctp_heartbeat_sent, 30)                                                                 \
	X(gre, 30)                                                                                 \
	X(gre_stream, 180)                                                                         \
	X(generic, 600)

enum ct_timeout {
#define X(field, secs) CT_TIMEOUT_##field,
	CT_TIMEOUTS(X)
#undef X
		CT_TIMEOUT_MAX
};

struct ct_timeouts {
	__u32 secs[32]; /* by enum ct_timeout; the rest is room */
};
_Static_assert(CT_TIMEOUT_MAX <= 32, "ct_timeouts is too small");

/* Use and limits of one family's table. Each group has its own cache line as
 * different packets write them. */
struct ct_table {
	/* written by ctd only */
	__u32 confirmed_limit;
	__u32 nodes_limit; /* map capacity less the LRU's slack: never exceeded, so nothing is
			      evicted */
	__u32 stub_limit;  /* of the stub map, a HASH: what it holds */
	__u32 capacity;	   /* max_entries of ct_conn*_v1 */
	__u32 pad0[12];
	/* atomic adds */
	__u32 confirmed;
	__u32 confirmed_high;
	__u32 pad1[14];
	__u32 nodes; /* records in the map, dying ones included */
	__u32 nodes_high;
	__u32 stubs;
	__u32 half_open;
	__u32 half_high;
	__u32 pad2[11];
	__u32 half_head[CT_SIDES]; /* next slot of each half-open ring */
	__u32 clock_hand;	   /* slot of the clock that is looked at next */
	__u32 grave_head;	   /* next slot that a death takes */
	__u32 grave_tail;	   /* oldest death not yet looked after */
	__u32 grave_lost;	   /* deaths that the grave did not hold for their second */
	__u32 pad3[9];
};
_Static_assert(sizeof(struct ct_table) == 256, "ct_table");

struct ct_zone {
	__u32 count;
	__u32 limit; /* 0: none */
	__u32 high;
	__u32 refused;
};

struct ct_seen {
	__u32 mark[64]; /* hash tag << 16 | low 16 bits of the tick; 0: empty */
};

/* Where forwarded packets go; referenced from ct_conn.route. */
struct ct_nexthop {
	__u32 tag; /* epoch this slot belongs to (20 bits); bit 31: being written */
	__u32 ifindex;
	__u16 mtu; /* of the route, else of the device */
	__u8 dmac[6];
	__u8 smac[6];
	__u8 pad[2];
};
_Static_assert(sizeof(struct ct_nexthop) == 24, "ct_nexthop");
#define CT_NEXTHOPS 4096

/* X(NAME, text): plain counters, per CPU. Append only. */
#define CT_STATS(X)                                                                                \
	X(FOUND, "found")                                                                          \
	X(NEW, "new")                                                                              \
	X(INVALID, "invalid")                                                                      \
	X(IGNORE, "ignore")                                                                        \
	X(INSERT, "insert")                                                                        \
	X(INSERT_FAILED, "insert_failed")                                                          \
	X(DROP, "drop")                                                                            \
	X(EARLY_DROP, "early_drop")                                                                \
	X(ERROR, "error")                                                                          \
	X(SEARCH_RESTART, "search_restart")                                                        \
	X(CLASH_RESOLVE, "clash_resolve")                                                          \
	X(CHAIN_TOO_LONG, "chaintoolong")                                                          \
	X(PROMOTED, "promoted")                                                                    \
	X(DESTROYED, "destroyed")                                                                  \
	X(EXPIRED, "expired")                                                                      \
	X(REOPENED, "reopened")                                                                    \
	X(DELETED, "deleted")                                                                      \
	X(STUB_REPAIRED, "stub_repaired")                                                          \
	X(EVICTED, "evicted")                                                                      \
	X(FAST_FORWARD, "fast_forward")                                                            \
	X(STACK_FORWARD, "stack_forward")                                                          \
	X(UNTRACKED, "untracked")                                                                  \
	X(RETRY_ADMITTED, "retry_admitted")                                                        \
	X(SWEEP_PASSES, "sweep_passes")                                                            \
	X(SWEEP_SEEN, "sweep_seen")                                                                \
	X(SWEEP_WHOLE, "sweep_whole")

enum ct_stat {
#define X(name, text) CT_STAT_##name,
	CT_STATS(X)
#undef X
		CT_STAT_MAX
};
#define CT_STAT_SLOTS 64

#endif
