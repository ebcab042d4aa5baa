// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <arpa/inet.h>

#include "expectplay.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

struct ct_label_key master;
static uint32_t next_gen = 1;

struct ct_expect_state *st(void)
{
	return core.pins.expect;
}

static void empty(int fd)
{
	struct ct_tuple key;

	while (!bpf_map_get_next_key(fd, NULL, &key))
		bpf_map_delete_elem(fd, &key);
}

int fresh(void **state)
{
	empty(core.pins.expect_fd);
	empty(core.pins.gre_fd);
	memset(st(), 0, sizeof(*st()));
	return reset(state);
}

void open_master(int six, uint16_t port)
{
	struct packet p = {.src = C[six],
			   .dst = S[six],
			   .proto = IPPROTO_TCP,
			   .sport = 1999,
			   .dport = port,
			   .tcp = CT_TH_SYN,
			   .seq = 1};
	struct ct_flow f;

	SAME(&p, NEW);
	f = flow_of(six ? 6 : 4);
	memset(&master, 0, sizeof(master));
	if (six) {
		master.key = f.key6;
	} else {
		for (int i = 0; i < 2; i++) {
			master.key.addr[i][0] = f.key4.addr[i];
			master.key.port[i] = f.key4.port[i];
		}
		master.key.proto = f.key4.proto;
	}
	master.key.pad = six ? 6 : 4;
	master.gen = ct_w_gen(f.c.word);
}

struct ct_tuple data_tuple(int six, uint8_t proto)
{
	struct ct_tuple t = {.proto = proto, .family = six ? 6 : 4, .dport = htons(2000)};

	set_addr(t.saddr, S[six]);
	set_addr(t.daddr, C[six]);
	return t;
}

struct packet data_packet(int six, uint8_t proto, uint16_t sport)
{
	return (struct packet){.src = S[six],
			       .dst = C[six],
			       .proto = proto,
			       .sport = sport,
			       .dport = 2000,
			       .tcp = CT_TH_SYN,
			       .seq = 7000};
}

uint32_t in_secs(int secs)
{
	return bpfct_now(&core.pins) + (uint32_t)(secs * (int)core.pins.settings->hz / 32);
}

static enum ct_expect_shape shape_of(const struct ct_tuple *t)
{
	return t->sport ? CT_X_EXACT : t->saddr[0] ? CT_X_ANY_PORT : CT_X_ANY_SOURCE;
}

void expect(const struct ct_tuple *t, const struct ct_expect *how_so)
{
	struct ct_expect x = *how_so;

	x.word = (uint64_t)next_gen++ << 32;
	x.master = master;
	if (!x.expires)
		x.expires = in_secs(30);
	st()->entries[shape_of(t)]++;
	st()->count++;
	assert_int_equal(bpf_map_update_elem(core.pins.expect_fd, t, &x, BPF_ANY), 0);
}

struct ct_expect plain(const struct ct_tuple *t)
{
	return (struct ct_expect){.nat = *t};
}

struct ct_expect entry(const struct ct_tuple *t)
{
	struct ct_expect x;

	assert_int_equal(bpf_map_lookup_elem(core.pins.expect_fd, t, &x), 0);
	return x;
}

void wants_expected(const struct pkt_case *c, bool expected, int line)
{
	bool rel = c->state & S_REL, status = ct_w_status(c->word) & CT_S_EXPECTED;

	if (rel != expected || status != expected)
		fail_msg("line %d: state %02x, status %04x, expected should be %d", line, c->state,
			 ct_w_status(c->word), expected);
}
