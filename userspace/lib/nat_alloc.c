// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "nat_alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIFE	 0x03
#define LEASED	 0x04
#define RESERVED 0x08

static enum nat_life life(const struct nat_alloc *a, uint32_t i)
{
	return a->state[i] & LIFE;
}

/* Uniform in 0 .. n-1; the few values that would favour the low ones are drawn again. */
static uint32_t below(struct nat_alloc *a, uint32_t n)
{
	uint32_t limit = UINT32_MAX - UINT32_MAX % n, r;

	do {
		r = a->conf.random(a->conf.random_arg);
	} while (r >= limit);
	return r % n;
}

/* In the list of its class: nobody has it and it may be leased. */
static bool listed(uint8_t state)
{
	return (state & (LIFE | LEASED | RESERVED)) == NAT_FREE;
}

static void list_add(struct nat_alloc *a, uint32_t i)
{
	struct nat_free_list *l = &a->free[nat_set_of(a->conf.port_min + i)];

	a->place[i] = l->n;
	a->list[l->first + l->n++] = i;
}

static void list_remove(struct nat_alloc *a, uint32_t i)
{
	struct nat_free_list *l = &a->free[nat_set_of(a->conf.port_min + i)];
	uint16_t last = a->list[l->first + --l->n];

	a->list[l->first + a->place[i]] = last;
	a->place[last] = a->place[i];
}

/* The one place where a state changes: counts and lists follow. */
static void set_state(struct nat_alloc *a, uint32_t i, uint8_t state)
{
	uint8_t was = a->state[i];

	if (was == state)
		return;
	if (listed(was))
		list_remove(a, i);
	a->state[i] = state;
	if (listed(state))
		list_add(a, i);
	a->lives[was & LIFE]--;
	a->lives[state & LIFE]++;
	a->leased += !!(state & LEASED) - !!(was & LEASED);
	a->reserved += !!(state & RESERVED) - !!(was & RESERVED);
}

static void set_life(struct nat_alloc *a, uint32_t i, enum nat_life l)
{
	set_state(a, i, (a->state[i] & ~LIFE) | l);
}

static bool ours(const struct nat_alloc *a, uint16_t port)
{
	return port >= a->conf.port_min && port <= a->conf.port_max;
}

int nat_alloc_init(struct nat_alloc *a, const struct nat_alloc_conf *conf)
{
	uint32_t first = 0, i;

	memset(a, 0, sizeof(*a));
	if (conf->port_max < conf->port_min || conf->hold > NAT_ALLOC_TIME_MAX ||
	    conf->grace > NAT_ALLOC_TIME_MAX || !conf->random)
		return -EINVAL;
	a->conf = *conf;
	a->ports = conf->port_max - conf->port_min + 1u;
	a->state = calloc(a->ports, sizeof(*a->state));
	a->seen = calloc(a->ports, sizeof(*a->seen));
	a->until = calloc(a->ports, sizeof(*a->until));
	a->place = calloc(a->ports, sizeof(*a->place));
	a->list = calloc(a->ports, sizeof(*a->list));
	if (!a->state || !a->seen || !a->until || !a->place || !a->list) {
		nat_alloc_fini(a);
		return -ENOMEM;
	}
	for (i = 0; i < a->ports; i++)
		a->free[nat_set_of(conf->port_min + i)].room++;
	for (i = 0; i < NAT_SETS; i++) {
		a->free[i].first = first;
		first += a->free[i].room;
	}
	a->lives[NAT_FREE] = a->ports;
	for (i = 0; i < a->ports; i++)
		list_add(a, i);
	return 0;
}

void nat_alloc_fini(struct nat_alloc *a)
{
	free(a->state);
	free(a->seen);
	free(a->until);
	free(a->place);
	free(a->list);
	memset(a, 0, sizeof(*a));
}

/* Of the 12 bits of time in a word of uses. */
static uint16_t cut(uint32_t time)
{
	return time & 0xfff;
}

static bool past(uint16_t time, uint32_t now)
{
	return cut(now - time) < 0x800;
}

/* A use may end between the reading of the clock and that of the word. */
#define FUTURE 0x40

/* Its last use ended at `rel`. */
static void hold(struct nat_alloc *a, uint32_t i, uint16_t rel, uint32_t now)
{
	uint16_t age = cut(now - rel);
	bool over = age >= a->conf.hold && age < 0x1000 - FUTURE;

	a->seen[i] = rel;
	a->until[i] = cut(rel + a->conf.hold);
	set_life(a, i, over ? NAT_FREE : NAT_HELD);
}

void nat_alloc_rebuild(struct nat_alloc *a, const uint32_t *use, uint32_t now)
{
	uint32_t i;

	for (i = 0; i < a->ports; i++) {
		uint32_t w = *(volatile const uint32_t *)&use[i];

		a->seen[i] = nat_use_released(w);
		if (nat_uses(w)) {
			set_life(a, i, NAT_USED);
			continue;
		}
		/* A word of 0 was never written. An age beyond any hold-down may be one of
		 * many turns of the 12 bits; then there is only the grace time to wait. */
		if (w)
			hold(a, i, a->seen[i], now);
		if (life(a, i) == NAT_HELD && cut(a->until[i] - now) >= a->conf.grace)
			continue;
		a->until[i] = cut(now + a->conf.grace);
		set_life(a, i, NAT_TAKEN);
	}
	a->scanned = now;
}

bool nat_alloc_adopt(struct nat_alloc *a, uint16_t port)
{
	uint32_t i = port - a->conf.port_min;

	if (!ours(a, port) || (a->state[i] & (LEASED | RESERVED)) ||
	    (a->conf.one_owner && life(a, i) == NAT_USED))
		return false;
	/* In a ring is not in a program's hands. */
	set_state(a, i, LEASED | (life(a, i) == NAT_TAKEN ? NAT_FREE : life(a, i)));
	return true;
}

static void scan_port(struct nat_alloc *a, uint32_t i, uint32_t w, uint32_t now, bool overdue)
{
	uint16_t rel = nat_use_released(w);
	enum nat_life l = life(a, i);

	if (nat_uses(w)) {
		a->seen[i] = rel;
		set_life(a, i, NAT_USED);
	} else if (l == NAT_USED || rel != a->seen[i]) {
		/* Used until now, or used and over since we looked. */
		hold(a, i, rel, now);
	} else if (l != NAT_FREE && (overdue || past(a->until[i], now))) {
		set_life(a, i, NAT_FREE);
	}
}

void nat_alloc_scan(struct nat_alloc *a, const uint32_t *use, uint32_t now)
{
	/* So long ago that 12 bits no longer tell past from future. */
	bool overdue = now - a->scanned > NAT_ALLOC_TIME_MAX;
	uint32_t i;

	for (i = 0; i < a->ports; i++) {
		uint32_t w = *(volatile const uint32_t *)&use[i];

		/* Nearly all: free, and as they were. */
		if (!nat_uses(w) && life(a, i) == NAT_FREE && nat_use_released(w) == a->seen[i])
			continue;
		scan_port(a, i, w, now, overdue);
	}
	a->scanned = now;
}

uint32_t nat_alloc_free_ports(const struct nat_alloc *a, unsigned int classes)
{
	uint32_t n = 0, c;

	for (c = 0; c < NAT_SETS; c++)
		if (classes & NAT_SET_BIT(c))
			n += a->free[c].n;
	return n;
}

int nat_alloc_take(struct nat_alloc *a, unsigned int classes, uint16_t *port)
{
	uint32_t n = nat_alloc_free_ports(a, classes), r, c, i;

	if (!n)
		return -ENOSPC;
	r = below(a, n);
	/* r is below the sum over these sets: the last of them needs no look. */
	for (c = 0; c < NAT_SETS - 1; c++) {
		if (!(classes & NAT_SET_BIT(c)))
			continue;
		if (r < a->free[c].n)
			break;
		r -= a->free[c].n;
	}
	i = a->list[a->free[c].first + r];
	set_state(a, i, a->state[i] | LEASED);
	*port = a->conf.port_min + i;
	return 0;
}

/* May be leased although it is used or held. */
static bool overloadable(const struct nat_alloc *a, uint32_t i, unsigned int classes)
{
	return !(a->state[i] & (LEASED | RESERVED)) &&
	       (classes & NAT_SET_BIT(nat_set_of(a->conf.port_min + i)));
}

/* Ports that may be overloaded, by uses; the last level holds all with more. */
#define LEVELS 256

struct levels {
	uint32_t n[LEVELS];
	uint32_t last; /* ports of fewer uses are all wanted, of this level as many as it takes */
	uint32_t of_last;
};

static uint32_t level_of(const uint32_t *use, uint32_t i)
{
	uint32_t uses = nat_uses(use[i]);

	return uses < LEVELS ? uses : LEVELS - 1;
}

static void count_levels(const struct nat_alloc *a, const uint32_t *use, unsigned int classes,
			 uint32_t want, struct levels *l)
{
	uint32_t i, n = 0;

	memset(l, 0, sizeof(*l));
	for (i = 0; i < a->ports; i++)
		if (overloadable(a, i, classes))
			l->n[level_of(use, i)]++;
	while (l->last < LEVELS - 1 && n + l->n[l->last] < want)
		n += l->n[l->last++];
	l->of_last = want - n < l->n[l->last] ? want - n : l->n[l->last];
}

static void shuffle(struct nat_alloc *a, uint16_t *port, uint32_t n)
{
	for (; n > 1; n--) {
		uint32_t j = below(a, n);
		uint16_t t = port[n - 1];

		port[n - 1] = port[j];
		port[j] = t;
	}
}

uint32_t nat_alloc_take_least(struct nat_alloc *a, const uint32_t *use, unsigned int classes,
			      uint32_t want, uint16_t *out)
{
	uint32_t got = 0, i, level, left;
	struct levels l;

	if (a->conf.one_owner || !want)
		return 0;
	count_levels(a, use, classes, want, &l);
	left = l.n[l.last];
	for (i = 0; i < a->ports && got < want; i++) {
		if (!overloadable(a, i, classes))
			continue;
		/* BPF goes on counting: a port may have left its level since. */
		level = level_of(use, i);
		if (level > l.last)
			continue;
		if (level == l.last) {
			/* Each of the `left` that are still to come has the same chance. */
			if (!left || below(a, left--) >= l.of_last)
				continue;
			l.of_last--;
		}
		set_state(a, i, a->state[i] | LEASED);
		out[got++] = a->conf.port_min + i;
	}
	shuffle(a, out, got);
	return got;
}

void nat_alloc_taken(struct nat_alloc *a, uint16_t port, uint32_t now)
{
	uint32_t i = port - a->conf.port_min;
	uint8_t state;

	if (!ours(a, port) || !(a->state[i] & LEASED))
		return;
	state = a->state[i] & ~LEASED;
	/* One that is held (leased for overloading) waits no shorter for it. */
	if (life(a, i) == NAT_FREE) {
		a->until[i] = cut(now + a->conf.grace);
		state |= NAT_TAKEN;
	}
	set_state(a, i, state);
}

void nat_alloc_return(struct nat_alloc *a, uint16_t port)
{
	uint32_t i = port - a->conf.port_min;

	if (ours(a, port))
		set_state(a, i, a->state[i] & ~LEASED);
}

bool nat_alloc_reserve(struct nat_alloc *a, uint16_t port, bool reserved)
{
	uint32_t i = port - a->conf.port_min;

	if (!ours(a, port))
		return false;
	set_state(a, i, reserved ? a->state[i] | RESERVED : a->state[i] & ~RESERVED);
	return reserved && (a->state[i] & LEASED);
}

bool nat_alloc_is_leased(const struct nat_alloc *a, uint16_t port)
{
	return ours(a, port) && (a->state[port - a->conf.port_min] & LEASED);
}

bool nat_alloc_is_reserved(const struct nat_alloc *a, uint16_t port)
{
	return ours(a, port) && (a->state[port - a->conf.port_min] & RESERVED);
}

enum nat_life nat_alloc_life(const struct nat_alloc *a, uint16_t port)
{
	return life(a, port - a->conf.port_min);
}
