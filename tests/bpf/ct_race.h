/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_CT_RACE_H
#define BPFCT_TESTS_CT_RACE_H

#include <linux/types.h>

/* What two CPUs do in step, filled in by ct_race.c, run by ct_race.bpf.c. */
#define RACE_STEPS 8

enum race_kind {
	RACE_NONE = 0,
	RACE_PACKET,	/* lookup, and commit if it is NEW and `commit` */
	RACE_DELETE,	/* what ct_control does for ctctl -D */
	RACE_VISIT,	/* what the sweep does with one record */
	RACE_AGE,	/* the clock goes on by `age` jiffies */
	RACE_AGE_VISIT, /* at once, so that the other CPU still has the old time */
	RACE_REPLACE,	/* DELETE, then PACKET */
	RACE_CREATE,	/* what ct_control does for ctctl -I */
};

/* Client, server, and the external address of the client's translation. */
enum race_way {
	RACE_C_S = 0,
	RACE_S_C,
	RACE_E_S,
	RACE_S_E,
};

struct race_op {
	__u8 kind;
	__u8 way;
	__u8 tcp_flags;
	__u8 commit;
	__u8 nat;   /* source to the external address */
	__u8 label; /* sets one, also on a connection that is there */
	__u8 pad[2];
	__u32 seq;
	__u32 ack;
	__u32 age;
};

/* One a CPU; each run of the program is one step of one round, and round r is
 * about tuple r % tuples. */
struct race_cpu {
	struct race_op op[RACE_STEPS];
	__u32 steps;
	__u32 step;
	__u32 alone;	/* steps to go without waiting: the other CPU is off */
	__u32 together; /* steps that both began within the wait */
	__u64 packets;
	__u64 passed;
	__u64 refused;
	__u64 pad[4];
};

struct race_conf {
	__u32 family;
	__u32 proto;
	__u32 tuples;
	__u32 jitter; /* up to 2^n spins after both have met */
};

/* What came of the last round of a tuple, one a CPU: bits by step. */
struct race_out {
	__u8 met;    /* the other CPU began the step at the same time */
	__u8 passed; /* the packet passed, and opened what it was to open */
	__u8 pad[2];
};

#define RACE_TUPLES   1024
#define RACE_EXTERNAL 0xcb007101 /* 203.0.113.1 */
#define RACE_SERVER   0x08080808
#define RACE_PORT     10000

#endif
