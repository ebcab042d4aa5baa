/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_EXPECTPLAY_H
#define BPFCT_TESTS_EXPECTPLAY_H

#include "bpf/ct/ct_tcp_table.h"
#include "play.h"

/* Expectations as ctd would enter them, and the connections that meet them: for cmocka tests. */

extern struct ct_label_key master; /* of the family under test */

struct ct_expect_state *st(void);

/* Test fixture: no expectations, no calls; the table is empty already. */
int fresh(void **state);

/* A control connection from the client to this port of the server, and its name in `master`. */
void open_master(int six, uint16_t port);

/* From the server to the client's port 2000: what an active transfer opens. */
struct ct_tuple data_tuple(int six, uint8_t proto);
struct packet data_packet(int six, uint8_t proto, uint16_t sport);
uint32_t in_secs(int secs);

/* Enters it, of `master`, for 30 s if it says no time. */
void expect(const struct ct_tuple *t, const struct ct_expect *how_so);
/* One that translates nothing; and what stands in the map. */
struct ct_expect plain(const struct ct_tuple *t);
struct ct_expect entry(const struct ct_tuple *t);

/* Declares the packet p, the tuple t that it has, and the plain expectation x of that. */
#define DATA(six, proto, sport)                                                                    \
	struct packet p = data_packet((six), (proto), (sport));                                    \
	struct ct_tuple t = data_tuple((six), (proto));                                            \
	struct ct_expect x = plain(&t)

/* Was the packet's connection expected, and is it so for life? */
void wants_expected(const struct pkt_case *c, bool expected, int line);
#define EXPECTED(c, yes) wants_expected(&(c), yes, __LINE__)

#endif
