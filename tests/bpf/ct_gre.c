// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Enhanced GRE by BPF_PROG_RUN: calls that ctd knows, by their ids; all other GRE by address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <arpa/inet.h>

#include "tests/bpf/lib/expectplay.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* One end of a call: its own address and id, and as what the other end knows them. */
struct end {
	const char *own, *shown;
	uint16_t id, shown_id;
};

static uint32_t next_gen = 1;

/* Bit 0 of kind: the client's end is translated, bit 1: the server's. */
static void shown(int kind, int six, struct end *a, struct end *b)
{
	if (kind & 1) {
		a->shown = E[six];
		a->shown_id = 7007;
	}
	if (kind & 2) {
		b->shown = M[six];
		b->shown_id = 9009;
	}
}

static void know(const struct ct_tuple *src, const struct ct_tuple *dst)
{
	struct ct_gre g = {.master = master, .group = 1, .id = src->sport};
	struct ct_tuple k = *dst;

	memcpy(k.saddr, src->saddr, sizeof(k.saddr));
	k.sport = 0;
	bpf_map_update_elem(core.pins.gre_fd, &k, &g, BPF_NOEXIST);
}

/* GRE from one end to the other is expected, as ctd says so. */
static void expect_way(int six, const struct end *from, const struct end *to)
{
	struct ct_tuple t = {.proto = IPPROTO_GRE, .family = six ? 6 : 4};
	struct ct_expect x = {.flags = CT_X_NAT | CT_X_PERMANENT, .master = master};

	x.nat = t;
	set_addr(t.saddr, from->own);
	set_addr(t.daddr, to->shown);
	t.sport = htons(from->id);
	t.dport = htons(to->shown_id);
	set_addr(x.nat.saddr, from->shown);
	set_addr(x.nat.daddr, to->own);
	x.nat.sport = htons(from->shown_id);
	x.nat.dport = htons(to->id);
	know(&t, &t);
	know(&t, &x.nat);
	know(&x.nat, &t);
	know(&x.nat, &x.nat);
	x.word = (uint64_t)next_gen++ << 32;
	x.expires = bpfct_now(&core.pins) + (uint32_t)(30 * (int)core.pins.settings->hz / 32);
	core.pins.expect->entries[t.sport ? CT_X_EXACT : CT_X_ANY_PORT]++;
	core.pins.expect->count++;
	assert_int_equal(bpf_map_update_elem(core.pins.expect_fd, &t, &x, BPF_NOEXIST), 0);
}

static void call(int six, const struct end *a, const struct end *b)
{
	expect_way(six, a, b);
	expect_way(six, b, a);
}

static struct packet gre(const char *src, const char *dst, uint16_t id)
{
	return (struct packet){.src = src,
			       .dst = dst,
			       .proto = IPPROTO_GRE,
			       .gre = {0x30, 0x01},
			       .id = id,
			       .seq = 77,
			       .payload = 20};
}

/* A packet from one end to the other, the whole of it before and behind translation. */
static struct pkt_case sent(const struct end *from, const struct end *to, int verdict, int line)
{
	struct packet in = gre(from->own, to->shown, to->shown_id);
	struct packet out = gre(from->shown, to->own, to->id);

	return through(&in, verdict, &out, line);
}
#define SENT(from, to, verdict) sent(&(from), &(to), verdict, __LINE__)

static unsigned int records(int six)
{
	return core.pins.table[six].nodes;
}

/* Either end first; the rules' own translation, to another address, is not asked. */
static void a_call_is_translated_by_its_ids(void **state)
{
	for (int six = 0; six < 2; six++)
		for (int first = 0; first < 2; first++)
			for (int kind = 0; kind < 4; kind++) {
				struct end a = {C[six], C[six], 7, 7}, b = {S[six], S[six], 9, 9};
				struct pkt_case c;

				fresh(state);
				open_master(six, 1723);
				shown(kind, six, &a, &b);
				call(six, &a, &b);
				translate(CT_NAT_SRC, I[six], 0);
				c = first ? SENT(b, a, NEW) : SENT(a, b, NEW);
				assert_true(c.state & S_REL);
				assert_true(ct_w_status(c.word) & CT_S_EXPECTED);
				memset(&how.nat, 0, sizeof(how.nat));
				c = first ? SENT(a, b, REPLIED) : SENT(b, a, REPLIED);
				assert_true(c.state & S_REL);
				c = first ? SENT(b, a, ESTABLISHED) : SENT(a, b, ESTABLISHED);
				assert_true(c.state & S_REL);
				assert_int_equal(records(six), 2);
			}
}

/* An id of 0, and shown as what alg/pptp.c shows it. */
static void an_id_may_be_0(void **state)
{
	static const struct {
		uint16_t a, a_shown, b, b_shown;
	} ids[] = {{7, 7, 0, 0}, {0, 7007, 9, 9}, {0, 7007, 0, 9009}};

	for (int six = 0; six < 2; six++)
		for (size_t i = 0; i < 3; i++)
			for (int kind = 0; kind < 8; kind++) {
				struct end a = {C[six], C[six], ids[i].a, ids[i].a_shown};
				struct end b = {S[six], S[six], ids[i].b, ids[i].b_shown};
				struct packet p = gre(C[six], b.shown, 4711);
				int first = kind >> 2;

				fresh(state);
				open_master(six, 1723);
				shown(kind, six, &a, &b);
				call(six, &a, &b);
				first ? SENT(b, a, NEW) : SENT(a, b, NEW);
				first ? SENT(a, b, REPLIED) : SENT(b, a, REPLIED);
				first ? SENT(b, a, ESTABLISHED) : SENT(a, b, ESTABLISHED);
				/* and no other GRE is of the call */
				p.dst = b.shown;
				SAME(&p, NEW);
				assert_int_equal(records(six), 3);
			}
}

/* What the router is for: two clients chose the same id, the server sees two. */
static void clients_with_the_same_id_share_an_address(void **state)
{
	for (int six = 0; six < 2; six++) {
		struct end a = {C[six], E[six], 7, 7}, b = {I[six], E[six], 7, 5007};
		struct end sa = {S[six], S[six], 9, 9}, sb = {S[six], S[six], 10, 10};

		fresh(state);
		open_master(six, 1723);
		call(six, &a, &sa);
		call(six, &b, &sb);
		SENT(a, sa, NEW);
		SENT(b, sb, NEW);
		for (int i = 0; i < 2; i++) {
			SENT(sa, a, REPLIED);
			SENT(sb, b, REPLIED);
			SENT(a, sa, ESTABLISHED);
			SENT(b, sb, ESTABLISHED);
		}
		assert_int_equal(records(six), 3);
	}
}

/* All expectations, from now on, with these flags more. */
static void all_expected(uint8_t flags)
{
	struct ct_tuple at = {0}, next;
	struct ct_expect x;

	while (!bpf_map_get_next_key(core.pins.expect_fd, at.proto ? &at : NULL, &next)) {
		at = next;
		assert_int_equal(bpf_map_lookup_elem(core.pins.expect_fd, &at, &x), 0);
		x.expires = bpfct_now(&core.pins) + 1000;
		x.flags |= flags;
		assert_int_equal(bpf_map_update_elem(core.pins.expect_fd, &at, &x, BPF_EXIST), 0);
	}
}

/* A call that fell silent for longer than its time-out is the same call when it goes on. */
static void a_silent_call_opens_again(void **state)
{
	struct end a = {C[0], E[0], 7, 7007}, b = {S[0], S[0], 9, 9};

	(void)state;
	open_master(0, 1723);
	call(0, &a, &b);
	SENT(a, b, NEW);
	SENT(b, a, REPLIED);
	age(200);
	/* ctd's expectations live on, and the control connection */
	all_expected(CT_X_OUTLIVES);
	SENT(b, a, NEW);
	SENT(a, b, REPLIED);
}

/* The server's GRE is faster than its answer, which ctd has in hand: no connection of another kind
 * comes of it, and what follows is the call's. */
static void gre_before_its_call(void **state)
{
	for (int six = 0; six < 2; six++) {
		struct end a = {C[six], E[six], 7, 7007}, b = {S[six], S[six], 9, 9};
		struct packet early = gre(S[six], E[six], 7007);
		struct ct_xport_key k = {.port = htons(7007), .proto = IPPROTO_GRE};
		struct ct_xport x = {.held = 1};

		fresh(state);
		open_master(six, 1723);
		k.family = six ? 6 : 4;
		set_addr(k.addr, E[six]);
		x.master = master;
		assert_int_equal(bpf_map_update_elem(core.pins.xport_fd, &k, &x, BPF_ANY), 0);
		THROUGH(&early, -CT_DROP_GRE_EARLY, NULL);
		assert_int_equal(records(six), 1);
		/* another host's, with another id, or of version 0: as ever */
		early.id = 7008;
		SAME(&early, NEW);
		early.id = 7007;
		early.gre[1] = 0;
		SAME(&early, OPENING);
		early.gre[1] = 1;
		early.src = M[six];
		SAME(&early, NEW);
		x.group = 1;
		assert_int_equal(bpf_map_update_elem(core.pins.xport_fd, &k, &x, BPF_ANY), 0);
		call(six, &a, &b);
		SENT(b, a, NEW);
		SENT(a, b, REPLIED);
		SENT(b, a, ESTABLISHED);
		assert_int_equal(records(six), 4);
		bpf_map_delete_elem(core.pins.xport_fd, &k);
	}
}

/* Between the ids of a call and its expectation, or when that is over: the rules' translation would
 * make another connection of it, which stood in the way of the right one. */
static void a_call_is_opened_by_its_expectation_alone(void **state)
{
	for (int six = 0; six < 2; six++) {
		struct end a = {C[six], E[six], 7, 7007}, b = {S[six], S[six], 9, 9};
		struct packet p = gre(C[six], S[six], 9), q = gre(S[six], E[six], 7007);

		fresh(state);
		open_master(six, 1723);
		call(six, &a, &b);
		all_expected(CT_X_INACTIVE);
		translate(CT_NAT_SRC, E[six], 0);
		THROUGH(&p, -CT_DROP_GRE_EARLY, NULL);
		THROUGH(&q, -CT_DROP_GRE_EARLY, NULL);
		assert_int_equal(records(six), 1);
	}
}

/* Ids that no helper has seen agreed upon: as GRE ever was, one connection of two addresses. */
static void unhelped_gre_goes_by_address(void **state)
{
	for (int six = 0; six < 2; six++) {
		struct packet p = gre(C[six], S[six], 9), q = gre(S[six], C[six], 7);
		struct end a = {I[six], E[six], 7, 7}, b = {S[six], S[six], 9, 9};
		struct pkt_case c;

		for (int known = 0; known < 2; known++) {
			fresh(state);
			if (known) {
				open_master(six, 1723);
				call(six, &a, &b); /* another client's */
			}
			c = SAME(&p, NEW);
			assert_false(c.state & S_REL);
			SAME(&q, REPLIED);
			p.id = 1234;
			SAME(&p, ESTABLISHED);
			assert_int_equal(records(six), 1 + known);
			p.id = 9;
		}
		/* translated: the address alone, the id stays */
		fresh(state);
		translate(CT_NAT_SRC, E[six], 0);
		struct packet out = gre(E[six], S[six], 9), back = gre(S[six], E[six], 7);

		THROUGH(&p, NEW, &out);
		memset(&how.nat, 0, sizeof(how.nat));
		THROUGH(&back, REPLIED, &q);
	}
}

/* Headers that are not enhanced GRE's, with the id of a known call in its place. */
static void only_enhanced_gre_has_ids(void **state)
{
	static const struct {
		uint8_t b[2];
		bool call;
	} first[] = {
		{{0x30, 0x01}, true},  {{0x30, 0x81}, true},  {{0x20, 0x81}, true},
		{{0x20, 0x01}, true},  {{0x30, 0x00}, false}, {{0x10, 0x01}, false},
		{{0xb0, 0x01}, false}, {{0x70, 0x01}, false}, {{0x38, 0x01}, false},
		{{0x31, 0x01}, false}, {{0x30, 0x09}, false}, {{0x30, 0x02}, false},
	};

	for (int six = 0; six < 2; six++)
		for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
			struct end a = {C[six], C[six], 7, 7}, b = {S[six], S[six], 9, 9};
			struct packet p = gre(C[six], S[six], 9);
			struct pkt_case c;

			fresh(state);
			open_master(six, 1723);
			call(six, &a, &b);
			memcpy(p.gre, first[i].b, 2);
			c = SAME(&p, NEW);
			if (!!(c.state & S_REL) != first[i].call)
				fail_msg("%02x%02x: related should be %d", first[i].b[0],
					 first[i].b[1], first[i].call);
		}
	/* and one that ends before the id */
	struct packet p = {.src = C[0], .dst = S[0], .proto = IPPROTO_GRE, .payload = 7};

	fresh(state);
	SAME(&p, NEW);
}

/* An error about a call's packet, from a router on either side, with nothing quoted but eight
 * bytes: to who sent it, with the addresses and the id that it knows. */
static void icmp_errors_are_of_the_call(void **state)
{
	for (int six = 0; six < 2; six++)
		for (int kind = 0; kind < 4; kind++) {
			struct end a = {C[six], C[six], 7, 7}, b = {S[six], S[six], 9, 9};
			struct end *ends[2] = {&a, &b};

			fresh(state);
			open_master(six, 1723);
			shown(kind, six, &a, &b);
			call(six, &a, &b);
			SENT(a, b, NEW);
			SENT(b, a, REPLIED);
			for (int who = 0; who < 2; who++) {
				const struct end *from = ends[who], *to = ends[!who];
				struct packet was = gre(from->shown, to->own, to->id);
				struct packet is = gre(from->own, to->shown, to->shown_id);
				struct packet error = {.src = to->own,
						       .dst = from->shown,
						       .proto = ICMP_OF(six),
						       .type = six ? 1 : 3,
						       .code = six ? 4 : 2,
						       .quote = &was};
				struct packet want = error;
				struct pkt_case c;

				want.src = to->shown;
				want.dst = from->own;
				want.quote = &is;
				c = THROUGH(&error, RELATED, &want);
				assert_true(c.state & S_REL);
			}
		}
}

/* About GRE that goes by address it is as ever, whatever its id. */
static void icmp_errors_about_other_gre_go_by_address(void **state)
{
	struct packet p = gre(C[0], S[0], 9), out = gre(E[0], S[0], 9);
	struct packet error = {.src = M[0],
			       .dst = E[0],
			       .proto = IPPROTO_ICMP,
			       .type = 3,
			       .code = 2,
			       .quote = &out};
	struct packet want = error;

	(void)state;
	translate(CT_NAT_SRC, E[0], 0);
	THROUGH(&p, NEW, &out);
	want.dst = C[0];
	want.quote = &p;
	THROUGH(&error, RELATED, &want);
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_call_is_translated_by_its_ids),
		TEST(an_id_may_be_0),
		TEST(gre_before_its_call),
		TEST(a_call_is_opened_by_its_expectation_alone),
		TEST(clients_with_the_same_id_share_an_address),
		TEST(a_silent_call_opens_again),
		TEST(unhelped_gre_goes_by_address),
		TEST(only_enhanced_gre_has_ids),
		TEST(icmp_errors_are_of_the_call),
		TEST(icmp_errors_about_other_gre_go_by_address),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("ct_gre", tests, set_up, tear_down) ? 1 : 0;
}
