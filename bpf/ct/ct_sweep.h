/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_SWEEP_H
#define BPFCT_CT_SWEEP_H

#include <linux/errno.h>

#include "../abi/ct_sweep.h"
#include "ct_half.h"

/*
 * The regular pass: ctd's, every second. It goes through half-open rings and clock, which
 * lie in a row in memory, and fetches a record, which does not, only where it may have
 * expired; after each stretch it frees the nodes in the grave. What no slot names is found by
 * the walks over the maps (ct_sweep4 and the others of ct_core.bpf.c).
 *
 * A run may be preempted between any two instructions, for longer than a dead node rests:
 * so what it decides it decides by a word that was read once and has the generation of the
 * slot: such a word is of the very life that the slot names, and a compare-and-swap
 * with it fails as soon as that is over. It uses nothing per CPU but counters.
 */
#define CT_SWEEP_STRIDE	 32   /* slots a step: a call costs more than to pass a slot */
#define CT_SWEEP_STRETCH 1024 /* steps a run */
#define CT_SWEEP_LOOKS	 2048 /* records a run looks at; and graves */

/*
 * How long a confirmed record need not be looked at again, though its packets may have given it a
 * shorter time-out meanwhile: 16,384 a second have their turn, but none waits for more than 16 s,
 * up to a million; from there on it is 65,536 a second (docs/limits.md).
 */
#define CT_SWEEP_REST_MAX 16 /* seconds; of a million */

static __always_inline __u32 ct_sweep_rest(const struct ct_settings *set,
					   const struct ct_table *tab)
{
	__u32 confirmed = *(volatile __u32 *)&tab->confirmed, second = ct_ticks(set, 1);
	__u32 rest = second * (confirmed >> 11) / 8, max = second * CT_SWEEP_REST_MAX;

	if (rest < max)
		return rest;
	rest = second * (confirmed >> 13) / 8;
	return rest > max ? rest : max;
}

/* Is a slot of the clock that says `born` worth a look? What it says counts for a rest at most:
 * the clock may have been set back, the table shrunk, or a commit without ctd said more. */
static __always_inline int ct_sweep_due(__u32 born, __u32 now, __u32 rest)
{
	return born - now - 1 >= rest;
}

/* Looks at the record that a slot names; life as of ct_slot_look(). */
static __always_inline int ct_sweep_slot(struct ct_slot *slot, __u32 life, __u32 now, __u32 rest,
					 __u8 family)
{
	const struct ct_settings *set = ct_settings();
	__u32 gen = *(volatile __u32 *)&slot->gen;
	union ct_key key = {};
	struct ct_conn *conn;
	__u64 word;

	if (!set)
		return 0;
	ct_slot_key(slot, &key, family);
	conn = ct_conn_at(&key, family);
	word = conn ? ct_word(conn) : 0;
	if (conn && ct_w_gen(word) == gen) {
		if (ct_alive(conn, word, now)) {
			if (life == CT_LIFE_CONFIRMED)
				slot->born = ct_look_again(set, conn, gen, now, rest);
			return 0;
		}
		ct_visit(conn, &key, word, now, family);
		word = ct_word(conn);
		/* While it is dead it keeps its slot: its node is freed from here if the grave has
		 * lost it; or a packet was faster and it lives. */
		if (ct_w_gen(word) == gen && ct_w_life(word) != CT_LIFE_DEAD)
			return 0;
	} else if (life == CT_LIFE_HALF_OPEN &&
		   ct_before(now, slot->born + ct_ticks(set, 2 * CT_DYING_SECS))) {
		return 0; /* its commit may be under way */
	}
	__sync_val_compare_and_swap(&slot->gen, gen, 0);
	return 0;
}

__noinline int ct_sweep_half4(struct ct_slot4 *slot, __u32 now)
{
	return slot ? ct_sweep_slot(&slot->s, CT_LIFE_HALF_OPEN, now, 0, 4) : 0;
}

__noinline int ct_sweep_half6(struct ct_slot6 *slot, __u32 now)
{
	return slot ? ct_sweep_slot(&slot->s, CT_LIFE_HALF_OPEN, now, 0, 6) : 0;
}

__noinline int ct_sweep_clock4(struct ct_slot4 *slot, __u32 now, __u32 rest)
{
	return slot ? ct_sweep_slot(&slot->s, CT_LIFE_CONFIRMED, now, rest, 4) : 0;
}

__noinline int ct_sweep_clock6(struct ct_slot6 *slot, __u32 now, __u32 rest)
{
	return slot ? ct_sweep_slot(&slot->s, CT_LIFE_CONFIRMED, now, rest, 6) : 0;
}

/* A run of the pass. */
struct ct_sweep_run {
	__u32 at; /* slots of the rings, then those of the clock */
	__u32 half;
	__u32 end; /* of rings, or of rings and clock */
	__u32 now;
	__u32 rest;
	__u32 looks;
};

/* A stride of slots. 1: enough for this run. */
static __always_inline long ct_sweep_half_step(struct ct_sweep_run *run, __u8 family)
{
	struct ct_slot *s;
	__u32 i, at, gen;

	for (i = 0; i < CT_SWEEP_STRIDE; i++) {
		at = run->at + i;
		s = at < run->end ? ct_half_at(&at, family) : NULL;
		gen = s ? *(volatile __u32 *)&s->gen : 0;
		if (!gen)
			continue;
		run->looks++;
		if (family == 4)
			ct_sweep_half4(ct_slot4_of(s), run->now);
		else
			ct_sweep_half6(ct_slot6_of(s), run->now);
	}
	run->at += CT_SWEEP_STRIDE;
	return run->at >= run->end || run->looks >= CT_SWEEP_LOOKS;
}

static __always_inline long ct_sweep_clock_step(struct ct_sweep_run *run, __u8 family)
{
	struct ct_slot *s;
	__u32 i, at, gen;

	for (i = 0; i < CT_SWEEP_STRIDE; i++) {
		at = run->at - run->half + i;
		s = ct_clock_at(&at, family);
		gen = s ? *(volatile __u32 *)&s->gen : 0;
		if (!gen || gen == CT_SLOT_BUSY || !ct_sweep_due(s->born, run->now, run->rest))
			continue;
		run->looks++;
		if (family == 4)
			ct_sweep_clock4(ct_slot4_of(s), run->now, run->rest);
		else
			ct_sweep_clock6(ct_slot6_of(s), run->now, run->rest);
	}
	run->at += CT_SWEEP_STRIDE;
	return run->at >= run->end || run->looks >= CT_SWEEP_LOOKS;
}

static long ct_sweep_half4_step(__u32 i, void *run)
{
	return ct_sweep_half_step(run, 4);
}

static long ct_sweep_half6_step(__u32 i, void *run)
{
	return ct_sweep_half_step(run, 6);
}

static long ct_sweep_clock4_step(__u32 i, void *run)
{
	return ct_sweep_clock_step(run, 4);
}

static long ct_sweep_clock6_step(__u32 i, void *run)
{
	return ct_sweep_clock_step(run, 6);
}

static long ct_sweep_grave4_step(__u32 i, void *run)
{
	return !ct_grave_step(((struct ct_sweep_run *)run)->now, 4);
}

static long ct_sweep_grave6_step(__u32 i, void *run)
{
	return !ct_grave_step(((struct ct_sweep_run *)run)->now, 6);
}

static __always_inline int ct_sweep_listed_body(struct ct_sweep_req *req, __u8 family)
{
	const struct ct_settings *set = ct_settings();
	struct ct_table *tab = ct_table(family);
	struct ct_sweep_run run = {};
	long graves;

	if (!set || !tab)
		return -EINVAL;
	run.at = req->at;
	run.now = ct_now(set);
	run.rest = ct_sweep_rest(set, tab);
	run.half = set->half_size[0] + set->half_size[1] + set->half_size[2];
	run.end = run.half;
	if (run.at < run.half) {
		if (family == 4)
			bpf_loop(CT_SWEEP_STRETCH, ct_sweep_half4_step, &run, 0);
		else
			bpf_loop(CT_SWEEP_STRETCH, ct_sweep_half6_step, &run, 0);
		/* The stride may have led beyond the last ring: the clock begins there. */
		if (run.at > run.half)
			run.at = run.half;
	} else {
		run.end = run.half + set->clock_size;
		if (family == 4)
			bpf_loop(CT_SWEEP_STRETCH, ct_sweep_clock4_step, &run, 0);
		else
			bpf_loop(CT_SWEEP_STRETCH, ct_sweep_clock6_step, &run, 0);
	}
	if (family == 4)
		graves = bpf_loop(CT_SWEEP_LOOKS, ct_sweep_grave4_step, &run, 0);
	else
		graves = bpf_loop(CT_SWEEP_LOOKS, ct_sweep_grave6_step, &run, 0);
	ct_stat_add(CT_STAT_SWEEP_SEEN, run.looks);
	req->at = run.at;
	req->looks = run.looks;
	req->more = run.at < run.half + set->clock_size || graves == CT_SWEEP_LOOKS;
	return 0;
}

#endif
