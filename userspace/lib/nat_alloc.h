/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_NAT_ALLOC_H
#define BPFCT_LIB_NAT_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../bpf/abi/nat_abi.h"

/*
 * The port space of one NAT pool, as its owner (ctd) sees it. Pure: no I/O, no
 * globals; the clock and the random numbers are passed in.
 *
 * Who owns a port is never decided by a message that could get lost. BPF counts
 * the uses of each port in a table of words (nat_use_v1); nat_alloc_scan() reads
 * it. What is ours alone is which ports lie in a lease ring. So after a crash the
 * table and the rings together say everything, and nat_alloc_rebuild() reads them.
 *
 *            take                slot found empty       uses > 0
 *   FREE ------------> leased ----------------> TAKEN ------------> USED
 *    ^  ^                                         |                  | uses == 0
 *    |  \------------- after the grace time ------/                  v
 *    \------------------------ after the hold-down ----------------- HELD
 *
 * A port may be leased and used at once: in pools where ports may be overloaded
 * the least used ones are leased again when no free one is left.
 */

/*
 * Time here is in units of 8 ticks, as the words of nat_use_v1 keep it (12 bits):
 * `now` is nat_use_now(tick). Times are compared modulo 4096: longer than this none may be.
 */
#define NAT_ALLOC_TIME_MAX 0x3ff

/* RFC 4787 REQ-3a and REQ-4: a port's class, in which a translation stays. */
#define NAT_ODD	       1
#define NAT_LOW	       2 /* below 1024 */
#define NAT_SETS       4
#define NAT_SET_BIT(c) (1u << (c))
#define NAT_SET_ANY    0xfu

static inline unsigned int nat_set_of(uint16_t port)
{
	return (port & 1 ? NAT_ODD : 0) | (port < 1024 ? NAT_LOW : 0);
}

enum nat_life { NAT_FREE, NAT_TAKEN, NAT_USED, NAT_HELD, NAT_LIVES };

struct nat_alloc_conf {
	uint16_t port_min, port_max;
	bool one_owner; /* a used port is never leased */
	uint16_t hold;	/* hold-down after the last use, at most NAT_ALLOC_TIME_MAX */
	uint16_t grace; /* a port taken from a ring may be waiting for its claim so long */
	uint32_t (*random)(void *arg);
	void *random_arg;
};

/* A list of free ports of one class, in no order. */
struct nat_free_list {
	uint32_t first; /* its room in `list` */
	uint32_t room;
	uint32_t n;
};

struct nat_alloc {
	struct nat_alloc_conf conf;
	uint32_t ports;	 /* port_max - port_min + 1 */
	uint8_t *state;	 /* enum nat_life | NAT_LEASED | NAT_RESERVED */
	uint16_t *seen;	 /* time of release that was last acted on */
	uint16_t *until; /* TAKEN, HELD: when it becomes FREE */
	uint16_t *place; /* FREE: where in the list of its class */
	uint16_t *list;	 /* ports, less port_min */
	struct nat_free_list free[NAT_SETS];
	uint32_t scanned; /* when the last scan was */
	uint32_t lives[NAT_LIVES];
	uint32_t leased;
	uint32_t reserved;
};

/* All ports FREE. 0, -EINVAL, -ENOMEM. */
int nat_alloc_init(struct nat_alloc *a, const struct nat_alloc_conf *conf);
void nat_alloc_fini(struct nat_alloc *a);

/*
 * After a crash, instead of trusting that all is FREE: use[] as left behind.
 * What looks free may be in the hands of a packet program for the grace time.
 * Then nat_alloc_adopt() for every port found in a ring.
 */
void nat_alloc_rebuild(struct nat_alloc *a, const uint32_t *use, uint32_t now);

/* A port lies in a ring. False: it must not (not ours, reserved, there twice, or
 * used in a pool of one owner a port): the caller takes it out. */
bool nat_alloc_adopt(struct nat_alloc *a, uint16_t port);

/* Follows the uses that BPF has counted. use[0] is port_min's word. Any time;
 * the oftener, the sooner ports come back. */
void nat_alloc_scan(struct nat_alloc *a, const uint32_t *use, uint32_t now);

/* A random free port of these classes (NAT_SET_BIT) becomes leased. 0 or -ENOSPC. */
int nat_alloc_take(struct nat_alloc *a, unsigned int classes, uint16_t *port);

/*
 * For pools whose ports may be overloaded, when nothing is free: up to `want`
 * ports with the fewest uses become leased, in random order. Returns how many.
 */
uint32_t nat_alloc_take_least(struct nat_alloc *a, const uint32_t *use, unsigned int classes,
			      uint32_t want, uint16_t *out);

/* The ring slot that held a leased port is empty: a packet program has it. */
void nat_alloc_taken(struct nat_alloc *a, uint16_t port, uint32_t now);

/* The caller has taken a leased port out of its slot before any program did. */
void nat_alloc_return(struct nat_alloc *a, uint16_t port);

/* Reserves a port or gives it free. One that is used stays used until its end.
 * True: it is leased, the caller must take it out of its ring. */
bool nat_alloc_reserve(struct nat_alloc *a, uint16_t port, bool reserved);

bool nat_alloc_is_leased(const struct nat_alloc *a, uint16_t port);
bool nat_alloc_is_reserved(const struct nat_alloc *a, uint16_t port);
enum nat_life nat_alloc_life(const struct nat_alloc *a, uint16_t port);

/* Free ports of these classes. */
uint32_t nat_alloc_free_ports(const struct nat_alloc *a, unsigned int classes);

#endif
