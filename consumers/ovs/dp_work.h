/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_OVS_DP_WORK_H
#define BPFCT_OVS_DP_WORK_H

#include "../../bpf/ct/ct_result.h"
#include "dp_maps.h"

/*
 * What the programs that a packet goes through tell each other: per CPU, a level for each
 * packet that is being worked on inside bpf_clone_redirect() of another. All that makes a
 * copy raises the level around it (ovs_copy(), ovs_send()), so that whatever runs inside
 * works one level up and leaves this one alone.
 */
#define OVS_LEVELS    8 /* a power of two */
#define OVS_LEVEL_MAX 5

/* A tail call away from the kernel's 33 the packet goes through the execute device, which
 * begins a new chain; the kernel allows 8 devices inside each other. */
#define OVS_TAILS   30
#define OVS_RESUMES 2

struct ovs_work {
	struct ovs_key key;
	__u64 netns; /* cookie of the namespace that the packet is in; 0: not asked */
	__u32 flow;  /* slot whose actions are run */
	__u32 pc;    /* the action in hand */
	__u32 end;   /* the first that is not run */
	__u32 l3_off;
	__u32 l4_off;
	__u32 trunc; /* bytes to leave at the next output; 0: all */
	__u32 mru;   /* largest fragment of the datagram that this was part of; 0: none */
	__u32 recircs;
	__u32 tails;
	__u32 resumes;
	__u16 l4_len;	/* of the transport header and what follows, as the IP header has it */
	__u8 stale;	/* the packet has changed since the key was taken */
	__u8 resume;	/* the packet comes by the execute device and goes on here */
	__u8 ct_valid;	/* ct holds what the last ct() found, in key.ct_zone */
	__u8 ct_done;	/* the packet has been translated in that zone */
	__u8 asked;	/* ct_lookup() has been: ct and verdict hold what it found and said */
	__u8 found;	/* OVS_CT_* of the ct() in hand */
	__u32 alg_zone; /* zone + 1 whose connection's helper has had the packet; 0: none yet */
	/* behind this line nothing is cleared for a new packet */
	struct ct_result ct;
	__u32 token; /* mark of the packet while it is on its way there, and what to restore */
	__u32 mark;
	__s32 verdict; /* with asked */
	/* beyond this line nothing is handed to a copy */
	__u32 copy_pc;
	__u32 copy_end;
	__u32 copying; /* the packet at the execute device is a copy of this one */
	__u32 hash;    /* of the key, for the cache */
	struct ovs_match match;
};
#define OVS_WORK_CLEARED __builtin_offsetof(struct ovs_work, ct)
#define OVS_WORK_HANDED	 __builtin_offsetof(struct ovs_work, copy_pc)

/* What the packets of a port were found to be of lately, by its number modulo OVS_GUESSES: a
 * flow's slot, with OVS_GUESS_SURE once two in turn were. */
#define OVS_GUESSES    64
#define OVS_GUESS_SURE 0x80000000U

struct ovs_cpu {
	__u32 level;
	__u32 guess[OVS_GUESSES];
	__u32 pad;
	struct ovs_work work[OVS_LEVELS];
};
CT_MAP(ovs_cpu_v4, BPF_MAP_TYPE_PERCPU_ARRAY, 1, __u32, struct ovs_cpu);

static __always_inline struct ovs_cpu *ovs_cpu(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&ovs_cpu_v4, &zero);
}

static __always_inline struct ovs_work *ovs_work_at(struct ovs_cpu *cpu, __u32 level)
{
	__u64 at = level;

	asm volatile("" : "+r"(at));
	at &= OVS_LEVELS - 1;
	return &cpu->work[at];
}

/* Of the packet in hand; NULL cannot happen. */
static __always_inline struct ovs_work *ovs_work(void)
{
	struct ovs_cpu *cpu = ovs_cpu();

	return cpu ? ovs_work_at(cpu, cpu->level) : NULL;
}

/* The action in hand, of type `type` or NULL. */
static __always_inline const struct ovs_action *ovs_action(const struct ovs_work *w)
{
	struct ovs_flow *f = ovs_flow_of(w->flow);
	__u64 pc = w->pc;
	__u32 id;

	if (!f)
		return NULL;
	asm volatile("" : "+r"(pc));
	pc &= OVS_FLOW_ACTIONS - 1;
	id = f->action[pc];
	return bpf_map_lookup_elem(&ovs_action_v1, &id);
}

#endif
