/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_ABI_CT_EVENT_H
#define BPFCT_ABI_CT_EVENT_H

#include <linux/types.h>
#include "ct_conn.h"

enum ct_event_type {
	CT_EVENT_NEW = 0,
	CT_EVENT_UPDATE = 1,
	CT_EVENT_DESTROY = 2,
};

/* One flow as it leaves the kernel: in the event ring, and in the stream of the
 * pinned dump iterators. IPv4 uses key4 and conn4, IPv6 key6 and conn6. */
struct ct_flow {
	__u8 family; /* 4 or 6 */
	__u8 type;   /* enum ct_event_type; dumps: 0 */
	__u16 pad;
	__u32 tick; /* when the event happened, when the dump read it */
	union {
		struct ct_key4 key4;
		struct ct_key6 key6;
	};
	union {
		struct ct_conn c;
		struct ct_conn4 conn4;
		struct ct_conn6 conn6;
	};
	struct ct_label label;
};
_Static_assert(sizeof(struct ct_flow) == 216, "ct_flow");

/* Requests of user space to the SEC("syscall") program ct_control; the answer
 * is written back into the same struct. */
enum ct_control_op {
	CT_CONTROL_DELETE = 1, /* kill the record of flow.key if gen is 0 or equal */
	CT_CONTROL_UPDATE = 2, /* set what `set` names from flow.c and flow.label */
	CT_CONTROL_CLOCK = 3,  /* answer jiffies64 and ktime_ns */
	/*
	 * Insert flow as a new record (import, ctctl -I): key, and of the record status,
	 * protocol state, ORIG_HI, reply tuple, counters, mark, tcp or sctp. expires holds
	 * seconds from now. Of a source translation route[0] names the port that it
	 * holds (NAT_REF, a live pool of its external endpoint; 0: none) and route[1]
	 * the pool_base of the rule, for pools with bindings (0: not known).
	 */
	CT_CONTROL_CREATE = 4,
};
#define CT_SET_MARK    1
#define CT_SET_TIMEOUT 2 /* flow.c.expires holds seconds from now */
#define CT_SET_LABEL   4
#define CT_SET_START   16 /* CREATE: flow.c.start holds seconds ago; else it begins now */
#define CT_SET_STATUS  8  /* only ASSURED, SEEN_REPLY, FIXED_TIMEOUT, TAKEN can be set */

struct ct_control {
	__u32 op;
	__u32 set;
	__s32 result; /* 0, -ENOENT, -EEXIST, -EINVAL, -EAGAIN, -ENOSPC */
	__u32 gen;
	__u64 jiffies;
	__u64 ktime_ns;
	struct ct_flow flow;
};
_Static_assert(sizeof(struct ct_control) == 248, "ct_control");

#endif
