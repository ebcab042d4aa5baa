/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_WORD_H
#define BPFCT_CT_WORD_H

#include "../lib/ct_clock.h"
#include "ct_maps.h"

/*
 * The word of a record, and the fields that are swapped only while it stands: read,
 * judged, changed. What a change of life brings with it is in ct_life.h.
 */

static __always_inline int ct_cas(struct ct_conn *conn, __u64 old, __u64 new)
{
	return __sync_val_compare_and_swap(&conn->word, old, new) == old;
}

static __always_inline __u64 ct_w_with_life(__u64 w, __u32 life)
{
	return (w & ~CT_W_LIFE_MASK) | CT_W_LIFE(life);
}

static __always_inline __u64 ct_word(const struct ct_conn *conn)
{
	return *(volatile const __u64 *)&conn->word;
}

/*
 * What was written before is seen by others before anything is read after. A map
 * insert is not enough: its lock's release lets later loads overtake the stores,
 * so two CPUs may each insert and then each miss the other's. (Seen: 1 of 200,000
 * claims that raced with a plain commit.)
 */
static __always_inline void ct_barrier(struct ct_build *b)
{
	__u64 w = __sync_val_compare_and_swap(&b->found.word, 0, 0);

	asm volatile("" : : "r"(w));
}

static __always_inline int ct_w_live(__u64 word)
{
	__u32 life = ct_w_life(word);

	return life == CT_LIFE_HALF_OPEN || life == CT_LIFE_CONFIRMED;
}

/* Not dead, not dying, not expired. The word is looked at again after the time,
 * which might be that of the connection that takes an expired one's place. */
static __always_inline int ct_alive(const struct ct_conn *conn, __u64 word, __u32 now)
{
	__u64 again;

	if (!ct_w_live(word) || ct_before(*(volatile const __u32 *)&conn->expires, now))
		return 0;
	again = ct_word(conn);
	return ct_w_gen(again) == ct_w_gen(word) && ct_w_live(again);
}

/* Tries of a compare-and-swap that other CPUs keep winning. */
#define CT_TOUCH_TRIES 6

/* Sets status bits of a connection whose word was `word`, whatever packets change meanwhile.
 * 0 when it has ended. */
static __always_inline int ct_set_status(struct ct_conn *conn, __u64 word, __u16 status)
{
	__u32 gen = ct_w_gen(word);
	int i;

	for (i = 0; i < CT_TOUCH_TRIES; i++) {
		if (ct_cas(conn, word, word | CT_W_STATUS(status)))
			return 1;
		word = ct_word(conn);
		if (ct_w_gen(word) != gen || !ct_w_live(word))
			return 0;
	}
	return 0;
}

/* Sets the mark of a connection whose word was `word`, from where we may be preempted: it is
 * swapped together with the time of the start beside it, which the node's next life has not. */
static __always_inline int ct_set_mark(struct ct_conn *conn, __u64 word, __u32 mark)
{
	__u64 *both = (__u64 *)&conn->start, was, want;
	__u64 now;
	int i;

	for (i = 0; i < CT_TOUCH_TRIES; i++) {
		was = *(volatile __u64 *)both;
		now = ct_word(conn);
		if (ct_w_gen(now) != ct_w_gen(word) || !ct_w_live(now))
			return 0;
		want = (was & 0xffffffff) | (__u64)mark << 32;
		if (__sync_val_compare_and_swap(both, was, want) == was)
			return 1;
	}
	return 0;
}
_Static_assert(__builtin_offsetof(struct ct_conn, start) % 8 == 0 &&
		       __builtin_offsetof(struct ct_conn, mark) ==
			       __builtin_offsetof(struct ct_conn, start) + 4,
	       "start and mark are swapped as one");

/*
 * Starts the timer of a connection anew, whose word was `word` when the caller
 * was done with it. Who kills writes the time of death there, who changes the
 * state or takes the node over another time-out: theirs must stand. So the old
 * time is read before the word, and replaced only while it is still that.
 */
static __always_inline void ct_set_timer(struct ct_conn *conn, __u64 word, __u32 expires)
{
	__u32 was;
	__u64 w;
	int i;

	for (i = 0; i < CT_TOUCH_TRIES; i++) {
		was = *(volatile __u32 *)&conn->expires;
		w = ct_word(conn);
		if (was == expires || ct_w_gen(w) != ct_w_gen(word) ||
		    ct_w_state(w) != ct_w_state(word) || !ct_w_live(w))
			return;
		if (__sync_val_compare_and_swap(&conn->expires, was, expires) == was)
			return;
	}
}

/* As ct_set_timer() from where we may be preempted: swapped together with the time of the last
 * packet beside it, which no later life of the node has. 1, or 0 when it has ended. */
static __always_inline int ct_set_timer_alone(struct ct_conn *conn, __u64 word, __u32 expires)
{
	__u64 *both = (__u64 *)&conn->expires, was, want, w;
	int i;

	for (i = 0; i < CT_TOUCH_TRIES; i++) {
		was = *(volatile __u64 *)both;
		w = ct_word(conn);
		if (ct_w_gen(w) != ct_w_gen(word) || !ct_w_live(w))
			return 0;
		want = (was & ~0xffffffffULL) | expires;
		if (__sync_val_compare_and_swap(both, was, want) == was)
			return 1;
	}
	return 0;
}
_Static_assert(__builtin_offsetof(struct ct_conn, expires) % 8 == 0 &&
		       __builtin_offsetof(struct ct_conn, last) ==
			       __builtin_offsetof(struct ct_conn, expires) + 4,
	       "expires and last are swapped as one");

static __always_inline __u32 ct_add(__u32 *n, __s32 by)
{
	return __sync_fetch_and_add(n, by) + by;
}

/* Two CPUs may both raise the mark; the lower one may win by one. */
static __always_inline void ct_high(__u32 *high, __u32 n)
{
	if (n > *(volatile __u32 *)high)
		*(volatile __u32 *)high = n;
}

#endif
