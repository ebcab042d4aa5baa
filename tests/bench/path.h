/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef TESTS_BENCH_PATH_H
#define TESTS_BENCH_PATH_H

#include <linux/types.h>

/*
 * Shared by path.bpf.c and path.c. Flow number i is a UDP flow of client
 * 10.64.0.2 + i % clients, source port 1024 + i % 60000, to the server's port
 * 7000 + i / 60000. So (source port, destination port) is unique and a
 * masquerade need not resolve a port clash: the common case is what is timed.
 */
#define PATH_CLIENT    0x0a400002u /* 10.64.0.2, host byte order */
#define PATH_SERVER    0xc6336402u /* 198.51.100.2 */
#define PATH_WAN       0xc6336401u /* 198.51.100.1: the router, outside */
#define PATH_SPORTS    60000
#define PATH_FLOWS_MAX (1 << 20)
#define PATH_MAGIC     0x62656e63u /* first word of each payload; the flow number follows */
#define PATH_FRAME     60
#define PATH_RECORDS   (1 << 20) /* of the maps of two inserts; newflow.conf has as many */

/* What the generator sends; set from user space before each run. */
struct path_gen {
	__u32 ifindex;
	__u32 first; /* flows first .. first + flows - 1, in turn */
	__u32 flows;
	__u32 clients;
	__u32 next;	/* written by the generator: offset of the next flow */
	__u32 one_port; /* all flows to the server's port 7000: external ports run out */
	__u64 begun_ns; /* set to 0 by user space; the generator notes its first frame */
	__u8 dmac[6];
	__u8 smac[6];
	__u8 pad2[4];
};

/* The sink reads the clock every so many frames: a reading costs 30 ns. */
#define PATH_TIME_EVERY 256

/* What arrived; one CPU runs it all, so plain adds do. */
struct path_sink {
	__u64 frames;
	__u64 translated; /* of those, source (or destination, when a reply) as expected after NAT
			   */
	__u64 bad_csum;	  /* counted only while learning */
	__u64 timed;	  /* frames at .. */
	__u64 timed_ns;	  /* .. the last reading of the clock */
	__u64 learn;	  /* set by user space: 1: note tuples and verify checksums */
	__u64 time_each;  /* set by user space: 1: read the clock at every frame */
};

#define PATH_ORIG  0
#define PATH_REPLY 1

/* The one global of path.bpf.c, mapped into path.c as it lies in .bss. */
struct path_state {
	struct path_gen gen[2];	  /* by direction */
	struct path_sink sink[2]; /* where frames of that direction end */
	__u32 redirect_ifindex[2];
	__u8 redirect_dmac[6];
	__u8 bridged; /* no router: the TTL is to stay */
	__u8 pad;
};

/* What the server saw of flow i, in network byte order: replies go back to it. */
struct path_seen {
	__be32 saddr;
	__be16 sport;
	__be16 dport;
};

#endif
