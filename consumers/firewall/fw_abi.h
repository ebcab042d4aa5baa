/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FW_ABI_H
#define BPFCT_FW_ABI_H

#include <linux/types.h>

/*
 * What the firewall's BPF programs and user space share. Maps:
 *
 * fw_config_v1 ARRAY[1]                       struct fw_config
 * fw_rule_v2   ARRAY[2 * FW_RULES]            struct fw_rule, half 0 | half 1
 * fw_nat_v2    ARRAY[2 * FW_NATS]             struct fw_nat_rule, half 0 | half 1
 * fw_iface_v2  HASH   __u32 ifindex ->        struct fw_iface; | FW_WATCHED: see struct fw_late
 * fw_near_v2   ARRAY[FW_NEAR + 1]             struct fw_iface; the same for low indexes, and
 *                                             struct fw_late at FW_LATE_CTD and FW_LATE_WATCH
 * fw_hit_v1    PERCPU_ARRAY[2 * FW_HITS]      struct fw_hit, half 0 | half 1
 * fw_table_v1  LPM_TRIE struct fw_table_key -> struct fw_table_entry
 * fw_rate_v1   LRU_HASH struct fw_rate_key ->  __u64, see fw_limit.h
 * fw_alg_v1    HASH struct fw_alg_key ->       struct fw_alg
 * fw_midway_v1 LRU_HASH struct ct_tuple ->     struct ct_tuple, see fw_midway.h
 *
 * A rule set is loaded into the half that is not active, then fw_config.active
 * changes: a packet is judged by the old rules or by the new ones, never by a
 * mixture (fw_load.c).
 */
#define FW_ABI_VERSION 3

#define FW_RULES 1024 /* pass and block rules of one half, after expansion of lists */
#define FW_NATS	 256  /* nat, forward and redirect rules of one half, after expansion */
#define FW_HITS	 2048 /* counters of one half, by rule number; 0: the default */

/* Direction of a rule and of a question, seen from the router. */
#define FW_IN  0
#define FW_OUT 1

enum fw_action {
	FW_NO_MATCH = 0,
	FW_PASS = 1,
	FW_BLOCK = 2,
	FW_RETURN = 3, /* blocked, and the sender is told: TCP RST, or an ICMP error */
};

/* fw_match.flags: which fields count. What is not named matches everything. */
#define FW_M_PROTO	 0x001
#define FW_M_SRC	 0x002
#define FW_M_DST	 0x004
#define FW_M_SRC_NOT	 0x008 /* with FW_M_SRC: any source but this */
#define FW_M_DST_NOT	 0x010
#define FW_M_SPORT	 0x020
#define FW_M_DPORT	 0x040
#define FW_M_ICMP_TYPE	 0x080
#define FW_M_ICMP_CODE	 0x100
#define FW_M_TO_SELF	 0x200	/* only packets for the router itself */
#define FW_M_TO_NOT_SELF 0x400	/* only packets that it forwards */
#define FW_M_IN_NOT	 0x800	/* arrives by any interface but in_ifindex */
#define FW_M_SRC_TABLE	 0x1000 /* saddr[0] is the number of a table; SRC_NOT counts */
#define FW_M_DST_TABLE	 0x2000

/* What a rule looks at, lists already expanded to one rule a combination. */
struct fw_match {
	__be32 saddr[4]; /* masked; IPv4 uses word 0, the other words are zero */
	__be32 smask[4];
	__be32 daddr[4];
	__be32 dmask[4];
	__u32 in_ifindex; /* 0: any */
	__u32 out_ifindex;
	__u16 sport_min; /* host byte order, inclusive */
	__u16 sport_max;
	__u16 dport_min;
	__u16 dport_max;
	__u8 family; /* 0: any, 4, 6 */
	__u8 proto;
	__u8 icmp_type;
	__u8 icmp_code;
	__u32 flags; /* FW_M_* */
};
_Static_assert(sizeof(struct fw_match) == 88, "fw_match");

struct fw_rule {
	struct fw_match match;
	__u32 number; /* of the rule in the file, from 1; nat rules count too */
	__u8 dir;     /* FW_IN, FW_OUT */
	__u8 action;  /* enum fw_action */
	__u8 pad[2];
	__u32 limit; /* connections of a source in limit_secs; 0: no limit */
	__u32 limit_secs;
	__u32 overload; /* table that a source over the limit goes into; 0: none */
};
_Static_assert(sizeof(struct fw_rule) == 108, "fw_rule");

/* Of all tables together; those that rules put there (overload) at most half. */
#define FW_TABLE_ENTRIES  65536
#define FW_TABLE_OVERLOAD 32768
/* Of sources that a limit counts. */
#define FW_RATES 65536
/* Of connections translated on both sides that go by the stack, two each. */
#define FW_MIDWAYS 8192

/* fw_table_entry.flags: who put it there */
#define FW_TE_FILE     1 /* the rule file: goes when the file names it no more */
#define FW_TE_HAND     2 /* ctctl fw table add */
#define FW_TE_OVERLOAD 4 /* a rule */

/* The number of a table is a hash of its name, so that it stays over reloads. */
struct fw_table_key {
	__u32 plen; /* bits that count: 64 + those of the address */
	__u32 table;
	__u32 family; /* 4, 6 */
	__be32 addr[4];
};
_Static_assert(sizeof(struct fw_table_key) == 28, "fw_table_key");

struct fw_table_entry {
	__u32 flags; /* FW_TE_* */
	__u32 since; /* seconds since boot */
	__u32 plen;  /* of its key: a lookup may find a larger network than was asked for */
};
_Static_assert(sizeof(struct fw_table_entry) == 12, "fw_table_entry");

struct fw_rate_key {
	__u32 rule; /* its number */
	__u32 family;
	__be32 addr[4];
};
_Static_assert(sizeof(struct fw_rate_key) == 24, "fw_rate_key");

/* Index 0 of fw_over_v1: how many entries rules have made; ctd counts them anew. */
struct fw_over {
	__u32 entries;
	__u32 refused; /* for want of room */
};
_Static_assert(sizeof(struct fw_over) == 8, "fw_over");

/* fw_nat_rule.kind */
#define FW_NAT_SRC 1 /* nat out: asked where the connection leaves */
#define FW_NAT_DST 2 /* forward, redirect, static from outside: asked where it arrives */

/* fw_nat_rule.flags */
#define FW_N_EIM	0x0001 /* endpoint-independent mapping, RFC 4787 REQ-1 */
#define FW_N_EIF	0x0002 /* with EIM: endpoint-independent filtering, REQ-8 */
#define FW_N_ADF	0x0004 /* with EIM: address-dependent filtering */
#define FW_N_HAIRPIN	0x0008 /* inside hosts reach each other by external addresses, REQ-9 */
#define FW_N_PARITY	0x0010 /* an even port stays even, REQ-4 */
#define FW_N_PAIRED	0x0020 /* an inside host keeps its external address or gets none, REQ-2 */
#define FW_N_RANDOM	0x0040 /* the source port is never kept */
#define FW_N_HASH	0x0080 /* another port begins its search at a hash of the tuple */
#define FW_N_PERSISTENT 0x0100 /* the address depends on the inside address only */
#define FW_N_STATIC	0x0200 /* prefix to prefix, ports kept */
#define FW_N_SELF	0x0400 /* destination: the address of the interface where it arrived */
#define FW_N_NO_ICMP	0x0800 /* exhaustion is not answered */
#define FW_N_INSIDE	0x1000 /* only what arrives on the trusted side: hairpin of a forward */

#define FW_N_NONE 0x2000 /* source: not translated, and no later rule is asked */

#define FW_NO_POOL ~0U

/*
 * Source (FW_NAT_SRC): to_min to to_max; to_ifindex not 0: the address of that
 * interface. Addresses in several ranges are a rule each, with the same number and
 * match: a source belongs to the one that its hash modulo addrs_all falls in.
 * Destination (FW_NAT_DST): by a hash of the source one of to_min to to_max, or the
 * interface's own with FW_N_SELF; ports as from match.dport_min on. With
 * FW_N_HAIRPIN the source becomes the address of to_ifindex.
 * FW_N_STATIC: the first plen bits become to_min's.
 */
struct fw_nat_rule {
	struct fw_match match;
	__u32 number;	  /* as in struct fw_rule */
	__u32 flags;	  /* FW_N_* */
	__be32 to_min[4]; /* of the family in match.family */
	__be32 to_max[4];
	__u32 to_ifindex;
	__u32 pool;	 /* of struct fw_rules, for ctd; FW_NO_POOL: none */
	__u32 pool_base; /* index of the first of its pools in nat_pool_v1, by ctd; 0: none */
	__u32 addrs;	 /* external addresses, to_min to to_max */
	__u32 addr_from; /* those of the ranges before this one */
	__u32 addrs_all;
	__u32 max_ports; /* of a subscriber (inside address); 0: no limit */
	__u32 max_states;
	__u32 max_rate; /* new connections a second */
	__u16 port_min; /* host byte order; 0: source: any of its class, destination: kept */
	__u16 port_max;
	__u16 block; /* ports of a deterministic block (RFC 7422); 0: none */
	__u8 kind;   /* FW_NAT_* */
	__u8 plen;
};
_Static_assert(sizeof(struct fw_nat_rule) == 172, "fw_nat_rule");

/* An `alg` rule: connections that arrive by this interface for this port. */
#define FW_ALGS 256
struct fw_alg_key {
	__u32 ifindex;
	__be16 port;
	__u8 proto;
	__u8 pad;
};
struct fw_alg {
	__u32 helper; /* enum alg_helper */
	__u32 number; /* of the rule */
};
_Static_assert(sizeof(struct fw_alg_key) == 8 && sizeof(struct fw_alg) == 8, "fw_alg");

struct fw_half {
	__u32 rules;
	__u32 nats;
	__u32 nats_dst;	   /* FW_NAT_DST among them: none, and no packet is asked for it */
	__u8 default_pass; /* what `in` packets get that no rule matches; 0: drop */
	__u8 judges_out;   /* there are `out` rules: none, and no packet is asked for it */
	__u8 antispoof;	   /* FW_SPOOF_* */
	__u8 mss_clamp;	   /* SYNs that are forwarded get an MSS that fits the way */
};
_Static_assert(sizeof(struct fw_half) == 16, "fw_half");

/* fw_half.antispoof */
#define FW_SPOOF_OFF	0
#define FW_SPOOF_LOOSE	1 /* there must be a way back to the source */
#define FW_SPOOF_STRICT 2 /* by the interface where it arrived */

/* Written by ctd only. All zero (nothing loaded yet): every `in` is denied. */
struct fw_config {
	__u32 abi_version;
	__u32 active;	  /* 0 or 1 */
	__u64 generation; /* of the rule set, from 1 */
	struct fw_half half[2];
};
_Static_assert(sizeof(struct fw_config) == 48, "fw_config");

/* fw_iface.flags */
#define FW_IF_INSIDE   0x01 /* trusted side of the half-open rings */
#define FW_IF_ATTACHED 0x02 /* our programs are on it */
#define FW_IF_MASQ4    0x04 /* masq4 is valid */
#define FW_IF_MASQ6    0x08
#define FW_IF_NO_L2    0x10 /* frames start with the IP header */
#define FW_IF_SKIP     0x20 /* `set skip on`: what comes from there is the router's own */
#define FW_IF_NETS     0x40 /* the rules hold its addresses or networks as they were compiled */
#define FW_IF_KNOWN    0x80 /* in fw_near_v1: the entry is one */

/* Written by ctd on every link or address change. */
struct fw_iface {
	__be32 masq4; /* what masquerade uses on this interface */
	__be32 masq6[4];
	union {
		struct {
			__u16 mtu;  /* 65535 at most, as a packet */
			__u16 zone; /* `set zone N on`: its packets are tracked there */
		};
		__u32 changes; /* FW_WATCHED: struct fw_late.changes, which this follows */
	};
	__u8 mac[6];
	__u8 flags; /* FW_IF_* */
	__u8 pad;
};
_Static_assert(sizeof(struct fw_iface) == 32, "fw_iface");

#define FW_IFACES 1024
#define FW_NEAR	  1024 /* interface indexes that an array serves: several looks a packet */

/*
 * Which changes of addresses are known. The watch (fw_watch.bpf.c) sees each while the kernel
 * makes it and counts it; ctd reads the count, then the addresses, and writes the count
 * beside what follows from them. Where the two differ ctd is late: then the watch's own entry
 * of an interface, under FW_WATCHED in fw_iface_v2, says what masquerade uses, if
 * it follows a change that ctd has not seen; and rules that name a network which
 * has changed open no connection.
 */
struct fw_late {
	__u32 changes; /* of any interface's addresses, counted from 1 */
	__u32 nets;    /* FW_LATE_WATCH: the last one on an interface with FW_IF_NETS */
	__u8 pad[24];
};
_Static_assert(sizeof(struct fw_late) == sizeof(struct fw_iface), "both in fw_near_v2");

/* Indexes of fw_near_v2; no interface has index 0. */
#define FW_LATE_CTD   0
#define FW_LATE_WATCH FW_NEAR
#define FW_WATCHED    0x80000000

struct fw_hit {
	__u64 packets; /* that opened a connection or were judged alone */
	__u64 bytes;   /* layer 3 */
};
_Static_assert(sizeof(struct fw_hit) == 16, "fw_hit");

/* Answer of fw_judge(). */
struct fw_verdict {
	__u32 action; /* enum fw_action of the rule that matched */
	__u32 rule;   /* its number; 0: none matched */
};
_Static_assert(sizeof(struct fw_verdict) == 8, "fw_verdict");

#endif
