/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FRAG_POOL_H
#define BPFCT_FRAG_POOL_H

#include "../lib/ct_clock.h"
#include "../lib/ct_hash.h"
#include "../lib/ct_stats.h"
#include "frag_maps.h"

/*
 * Slots, chunks and what they count for. All of it lies in arrays, so memory is
 * bounded by construction, and a pointer that was read before leads at worst to
 * another datagram's slot, which its key and serial tell under the lock.
 */

/* Fragments under work on this CPU: too much for the stack, and map keys. */
struct frag_work {
	struct frag_key key;
	__u32 off;   /* of the payload in the datagram's */
	__u32 len;   /* of the payload */
	__u32 hlen;  /* from the IP header to the payload */
	__u32 more;  /* not the last */
	__u32 bytes; /* of chunks, counted in the uses */
	__u32 chunk; /* the first, from 1; 0: none */
	__u32 csum;  /* of the payload */
	__u32 source;
	__u32 now; /* tick */
	__u32 slot;
	__u32 serial;
	__u32 other; /* a duplicate: the chunk that holds what came first */
	__u32 other_hlen;
	__u32 ttl;
};
CT_SCRATCH_FITS(struct frag_work);

static __always_inline struct frag_work *frag_work(void)
{
	return ct_scratch(CT_SCRATCH_FRAG);
}

static __always_inline struct frag_slot *frag_slot(__u32 slot)
{
	return bpf_map_lookup_elem(&frag_head_v1, &slot);
}

/* chunk counts from 1 */
static __always_inline struct frag_chunk *frag_chunk(__u32 chunk)
{
	__u32 at = chunk - 1;

	return bpf_map_lookup_elem(&frag_data_v1, &at);
}

/* The piece at off, looked for from `from` on; FRAG_PIECES: none. A global function:
 * its loop is verified once. */
__noinline int frag_search(__u32 slot, __u32 off, __u32 from)
{
	struct frag_slot *h = frag_slot(slot);
	__u32 i, at;

	if (!h)
		return FRAG_PIECES;
	for (i = 0; i < FRAG_PIECES; i++) {
		at = (from + i) & (FRAG_PIECES - 1);
		if (at < h->pieces && h->piece[at].off == off)
			return at;
	}
	return FRAG_PIECES;
}

/* As frag_search(). Fragments that came in order are where one looks first. */
static __always_inline __u32 frag_find(const struct frag_slot *h, __u32 slot, __u32 off, __u32 from)
{
	__u32 at = from & (FRAG_PIECES - 1);

	if (at < h->pieces && h->piece[at].off == off)
		return at;
	return frag_search(slot, off, from);
}

/* A number of 1 to 2048 in a form whose bounds every verifier since 6.1 follows. */
static __always_inline __u64 frag_bound(__u64 n)
{
	n -= 1;
	asm volatile("" : "+r"(n));
	n &= FRAG_CHUNK - 1;
	asm volatile("" : "+r"(n));
	return n + 1;
}

static __always_inline __u32 frag_add(__u32 *counter, __u32 n)
{
	return __sync_fetch_and_add(counter, n) + n;
}

/* A lost race between two CPUs costs the smaller of two maxima. Above the limit it
 * is only what another CPU has asked for, and does not get. */
static __always_inline void frag_high(__u32 *high, __u32 now, __u32 limit)
{
	if (limit && now > limit)
		now = limit;
	if (now > *high)
		*high = now;
}

static __always_inline void frag_drop_n(__u32 reason, __u32 n)
{
	__u64 *v = bpf_map_lookup_elem(&ct_drop_v1, &reason);

	if (v)
		*v += n;
}

static __always_inline void frag_uncount(struct frag_use *use, __u32 datagrams, __u32 bytes)
{
	if (datagrams)
		__sync_fetch_and_add(&use->datagrams, -datagrams);
	if (bytes)
		__sync_fetch_and_add(&use->bytes, -bytes);
}

static __always_inline int frag_over(struct frag_use *use, const struct frag_limit *limit,
				     __u32 datagrams, __u32 bytes)
{
	int over = 0;

	if (datagrams)
		over |= frag_add(&use->datagrams, datagrams) > limit->datagrams && limit->datagrams;
	if (bytes)
		over |= frag_add(&use->bytes, bytes) > limit->bytes && limit->bytes;
	if (over)
		frag_uncount(use, datagrams, bytes);
	return over;
}

static __always_inline __u32 frag_source_of(const struct ct_settings *set, const struct frag_key *k)
{
	__u64 h = ct_mix(set->secret[1], ((__u64)k->saddr[0] << 32) | k->saddr[1]);

	return ct_mix(h, set->secret[0] + (k->family == 6)) & (FRAG_SOURCES - 1);
}

/* Gives back what a datagram or a fragment counted for. */
__noinline int frag_give_back(__u32 zone, __u32 source, __u32 datagrams, __u32 bytes)
{
	struct frag_table *t = frag_table();
	struct frag_use *use;

	use = bpf_map_lookup_elem(&frag_zone_v1, &zone);
	if (use)
		frag_uncount(use, datagrams, bytes);
	use = bpf_map_lookup_elem(&frag_source_v1, &source);
	if (use)
		frag_uncount(use, datagrams, bytes);
	if (t)
		frag_uncount(&t->use, datagrams, bytes);
	return 0;
}

struct frag_walk {
	__u32 slot;
	__u32 piece;
	__u32 chunk; /* from 1 */
};

/* bpf_loop callback: one chunk, then the next piece's first. A piece has one always. */
static long frag_free_chunk(__u32 i, struct frag_walk *w)
{
	struct frag_chunk *c = frag_chunk(w->chunk);
	struct frag_slot *h;
	__u32 at = w->chunk - 1;

	w->chunk = c ? c->next : 0;
	bpf_map_push_elem(&frag_chunks_v1, &at, BPF_ANY);
	if (w->chunk)
		return 0;
	h = frag_slot(w->slot);
	if (!h || ++w->piece >= h->pieces)
		return 1;
	w->chunk = h->piece[w->piece & (FRAG_PIECES - 1)].chunk;
	return 0;
}

#define FRAG_PIECE_CHUNKS ((FRAG_PIECE_MAX + FRAG_CHUNK - 1) / FRAG_CHUNK)

/* Frees a chain of chunks that belongs to no datagram. */
static __always_inline void frag_free_chain(__u32 chunk)
{
	/* Past its last chunk the walk looks for a piece of no slot, and ends. */
	struct frag_walk w = {.slot = ~0U, .chunk = chunk};

	bpf_loop(FRAG_PIECE_CHUNKS, frag_free_chunk, &w, 0);
}

/* Frees the chunks of a datagram that the caller owns (FRAG_RELEASE). */
__noinline int frag_free_data(__u32 slot)
{
	struct frag_walk w = {.slot = slot};
	struct frag_slot *h = frag_slot(slot);
	__u32 bytes;

	if (!h || !h->pieces)
		return 0;
	w.chunk = h->piece[0].chunk;
	bpf_loop(FRAG_PIECES * FRAG_PIECE_CHUNKS, frag_free_chunk, &w, 0);
	bytes = h->bytes;
	h->bytes = 0;
	frag_give_back(h->key.zone, h->source, 0, bytes);
	return 0;
}

/* Empties a slot that the caller owns; its key is in the index no more. */
__noinline int frag_free_slot(__u32 slot)
{
	struct frag_slot *h = frag_slot(slot);
	__u32 at = slot;

	if (!h)
		return 0;
	frag_give_back(h->key.zone, h->source, 1, 0);
	h->pieces = 0;
	*(volatile __u32 *)&h->state = FRAG_FREE;
	bpf_map_push_elem(&frag_heads_v1, &at, BPF_ANY);
	return 0;
}

/* Makes a datagram ours, whatever it waits for. serial: of the one that was meant.
 * Its state until then, FRAG_FREE: it is not to be had. */
static __always_inline __u32 frag_take(struct frag_slot *h, __u32 serial)
{
	__u32 state;

	bpf_spin_lock(&h->lock);
	state = h->serial == serial ? h->state : FRAG_FREE;
	if (state == FRAG_RELEASE)
		state = FRAG_FREE;
	if (state != FRAG_FREE)
		h->state = FRAG_RELEASE;
	bpf_spin_unlock(&h->lock);
	return state;
}

/* Ends a datagram that frag_take() gave; reason is counted for its fragments. */
__noinline int frag_finish(__u32 slot, __u32 state, __u32 reason)
{
	struct frag_slot *h = frag_slot(slot);

	if (!h || state == FRAG_FREE)
		return 0;
	if (state != FRAG_RETURN)
		bpf_map_delete_elem(&frag_index_v1, &h->key);
	if (state == FRAG_HOLDING) {
		frag_drop_n(reason, h->pieces);
		frag_stat(h->key.family,
			  reason == CT_DROP_FRAG_TIMEOUT ? FRAG_STAT_EXPIRED : FRAG_STAT_EVICTED,
			  1);
		frag_free_data(slot);
	}
	frag_free_slot(slot);
	return 1;
}

static __always_inline int frag_end(__u32 slot, __u32 serial, __u32 reason)
{
	struct frag_slot *h = frag_slot(slot);

	return h ? frag_finish(slot, frag_take(h, serial), reason) : 0;
}

/* Slots looked at for what is expired. */
#define FRAG_LOOK 16
/* Slots looked at for the oldest, whose turn it is to give way: until so many held
 * ones have been seen. A flood of large datagrams leaves most slots empty. */
#define FRAG_LOOK_FAR  128
#define FRAG_LOOK_HELD 16

struct frag_look {
	__u32 hand;
	__u32 slots;
	__u32 now;
	__u32 held; /* seen */
	__u32 slot; /* the oldest of them */
	__u32 serial;
	__u32 age;
};

/* bpf_loop callback: one slot. */
static long frag_look_at(__u32 i, struct frag_look *p)
{
	__u32 slot = (p->hand + i) % p->slots, age;
	struct frag_slot *h = frag_slot(slot);

	if (!h || (h->state != FRAG_HOLDING && h->state != FRAG_DEAD))
		return 0;
	/* Expiry lies ahead by the same time-out for all. */
	age = p->now - h->expires;
	if (!p->held || (__s32)(age - p->age) > 0) {
		p->slot = slot;
		p->serial = h->serial;
		p->age = age;
	}
	p->held++;
	return p->held >= FRAG_LOOK_HELD;
}

/* Makes room: of a few datagrams the oldest ends. With newest refused instead, a
 * handful of packets a second would shut out everybody for the time-out. */
static __always_inline int frag_evict(__u32 now)
{
	struct frag_look p = {.now = now};
	struct frag_table *t = frag_table();
	int looked;

	if (!t)
		return 0;
	p.slots = t->heads_used < t->slots ? t->heads_used : t->slots;
	if (!p.slots)
		return 0;
	p.hand = *(volatile __u32 *)&t->hand;
	looked = bpf_loop(FRAG_LOOK_FAR, frag_look_at, &p, 0);
	__sync_fetch_and_add(&t->hand, looked);
	if (!p.held)
		return 0;
	return frag_end(p.slot, p.serial,
			(__s32)p.age < 0 ? CT_DROP_FRAG_TOTAL : CT_DROP_FRAG_TIMEOUT);
}

/* What has timed out goes, of the next slots: the quota of a source or zone may be
 * full of it while ctd is away. */
__noinline int frag_reap(__u32 now)
{
	struct frag_table *t = frag_table();
	__u32 hand, n, i, slot;
	struct frag_slot *h;

	if (!t)
		return 0;
	n = t->heads_used < t->slots ? t->heads_used : t->slots;
	if (!n)
		return 0;
	hand = __sync_fetch_and_add(&t->hand, FRAG_LOOK);
	for (i = 0; i < FRAG_LOOK; i++) {
		slot = (hand + i) % n;
		h = frag_slot(slot);
		if (!h || (h->state != FRAG_HOLDING && h->state != FRAG_DEAD))
			continue;
		if ((__s32)(now - h->expires) >= 0)
			frag_end(slot, h->serial, CT_DROP_FRAG_TIMEOUT);
	}
	return 0;
}

#define FRAG_EVICT_TRIES 4

/* Counts a datagram (datagrams 1) or a fragment's bytes for all it counts for. 0,
 * or a drop reason and nothing is counted. */
__noinline int frag_count(__u32 datagrams, __u32 bytes)
{
	struct frag_table *t = frag_table();
	struct frag_work *w = frag_work();
	struct frag_use *zone, *source;
	__u32 at, i;

	if (!t || !w)
		return -CT_DROP_MAP_MISSING;
	at = w->key.zone;
	zone = bpf_map_lookup_elem(&frag_zone_v1, &at);
	at = w->source;
	source = bpf_map_lookup_elem(&frag_source_v1, &at);
	if (!zone || !source)
		return -CT_DROP_MAP_MISSING;
	if (frag_over(source, &t->source, datagrams, bytes)) {
		frag_reap(w->now);
		if (frag_over(source, &t->source, datagrams, bytes))
			return -CT_DROP_FRAG_SOURCE;
	}
	if (frag_over(zone, &t->zone, datagrams, bytes)) {
		frag_reap(w->now);
		if (frag_over(zone, &t->zone, datagrams, bytes)) {
			frag_uncount(source, datagrams, bytes);
			return -CT_DROP_FRAG_ZONE;
		}
	}
	for (i = 0; i < FRAG_EVICT_TRIES; i++) {
		if (!frag_over(&t->use, &t->total, datagrams, bytes)) {
			frag_high(&t->high.datagrams, t->use.datagrams, t->total.datagrams);
			frag_high(&t->high.bytes, t->use.bytes, t->total.bytes);
			return 0;
		}
		frag_evict(w->now);
	}
	frag_uncount(zone, datagrams, bytes);
	frag_uncount(source, datagrams, bytes);
	return -CT_DROP_FRAG_TOTAL;
}

/* A chunk (from 1), 0: none. Those counted are never more than there are. */
static __always_inline __u32 frag_chunk_get(void)
{
	struct frag_table *t = frag_table();
	__u32 at = 0;

	if (!bpf_map_pop_elem(&frag_chunks_v1, &at))
		return at + 1;
	if (!t || t->chunks_used >= t->chunks)
		return 0;
	at = __sync_fetch_and_add(&t->chunks_used, 1);
	return at < t->chunks ? at + 1 : 0;
}

static __always_inline int frag_slot_get(__u32 *slot)
{
	struct frag_table *t = frag_table();

	if (!bpf_map_pop_elem(&frag_heads_v1, slot))
		return 1;
	if (!t || t->heads_used >= t->slots)
		return 0;
	*slot = __sync_fetch_and_add(&t->heads_used, 1);
	return *slot < t->slots;
}

#endif
