/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_POOL_H
#define BPFCT_TESTS_POOL_H

#include "play.h"

/* Pools as ctd would make and fill them, for tests of what the datapath does with them. */

#define POOL_BASE 1 /* of the rule: address 0, class TCP */
#define POOL_LOW  2048
#define POOL_HIGH 3071

extern struct nat_config *nat_config;
extern struct nat_pool *nat_pools;
extern struct nat_head *nat_heads;
extern struct nat_reserved *nat_reserved;

/* Group fixtures: set_up() and tear_down() of play.h, and the maps of nat_abi.h; the
 * process stays on the first CPU. */
int pools_up(void **state);
int pools_down(void **state);

/* Test fixture: reset() of play.h, nothing left of the last test, every use given
 * back; then pools of E[six], `count` addresses from there on, with these flags. */
int pools_reset(void **state);
void make_pools(int six, unsigned int count, uint16_t flags);

/* The pool of address n and class. */
unsigned int pool_of(unsigned int n, unsigned int class);

/* Puts a port into the ring of a pool. */
void lease(unsigned int pool, unsigned int ring, uint16_t port);

/* The word of a port's use. A counter over all heads of a pool. */
uint32_t use_of(unsigned int pool, uint16_t port);
uint64_t path_of(unsigned int pool, enum nat_path path);
uint64_t claims_of(unsigned int pool); /* claimed - released */

/* commit translates the source to the pools from now on. */
void use_pools(int six, unsigned int count, uint32_t flags);

/* The next message on nat_need_v1: 1, or 0: none. */
int next_need(struct nat_need *need);

#endif
