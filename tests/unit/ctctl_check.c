// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* `ctctl check`'s judgement, on tables with one thing wrong at a time. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "ctctl_fake.h"
#include "userspace/ctctl/check.h"

#define NOW 5000u

/* One translated and one plain connection, everything right. */
static struct check_record rec[3];
static struct check_stub stub[2];
static struct check_tables tab;
static struct check_findings found;
static uint32_t zones[65536];

static void make_record(struct check_record *r, const char *src, const char *dst, uint16_t sport,
			const char *nat, uint16_t nat_port, uint32_t gen)
{
	struct ct_flow f = {.family = 4};
	bool hi;

	f.key4.proto = IPPROTO_UDP;
	hi = inet_addr(src) > inet_addr(dst);
	f.key4.addr[hi] = inet_addr(src);
	f.key4.addr[!hi] = inet_addr(dst);
	f.key4.port[hi] = htons(sport);
	f.key4.port[!hi] = htons(53);
	f.conn4.reply_saddr = inet_addr(dst);
	f.conn4.reply_daddr = inet_addr(nat ? nat : src);
	f.c.reply_sport = htons(53);
	f.c.reply_dport = htons(nat ? nat_port : sport);
	f.c.word = CT_W_GEN(gen) | CT_W_LIFE(CT_LIFE_CONFIRMED) |
		   CT_W_STATUS(nat ? CT_S_SRC_NAT : 0) | (hi ? CT_W_ORIG_HI : 0);
	check_flow_key(&f, &r->key);
	r->reply_src = check_reply_key(&f, &r->reply);
	r->word = f.c.word;
	r->expires = NOW + 100;
}

static void set_counts(uint32_t confirmed, uint32_t half, uint32_t nodes, uint32_t stubs)
{
	tab.before = tab.after = (struct check_counts){confirmed, half, nodes, stubs};
}

static int setup(void **state)
{
	(void)state;
	make_record(&rec[0], "10.0.0.2", "198.51.100.7", 1000, "203.0.113.1", 1024, 11);
	make_record(&rec[1], "10.0.0.3", "198.51.100.7", 1000, NULL, 0, 12);
	stub[0] = (struct check_stub){
		.key = rec[0].reply, .conn = rec[0].key, .gen = 11, .born = NOW - 100};
	tab = (struct check_tables){.family = 4,
				    .now = NOW,
				    .grace = 8,
				    .rec = rec,
				    .recs = 2,
				    .stub = stub,
				    .stubs = 1};
	set_counts(2, 0, 2, 1);
	found.n = 0;
	memset(zones, 0, sizeof(zones));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(found.v);
	memset(&found, 0, sizeof(found));
	return 0;
}

static void verify(void)
{
	found.n = 0;
	assert_int_equal(check_verify(&tab, zones, &found), 0);
}

static void finds_only(enum check_kind kind)
{
	verify();
	assert_int_equal(found.n, 1);
	assert_int_equal(found.v[0].kind, kind);
}

static void set_life(struct check_record *r, uint32_t life)
{
	r->word = (r->word & ~CT_W_LIFE_MASK) | CT_W_LIFE(life);
}

static void right_tables_are_right(void **state)
{
	(void)state;
	verify();
	assert_int_equal(found.n, 0);
	assert_int_equal(zones[0], 2);
}

static void stub_without_record_is_found(void **state)
{
	(void)state;
	tab.rec = rec + 1;
	tab.recs = 1;
	set_counts(1, 0, 1, 1);
	finds_only(CHECK_STUB_ORPHAN);
	stub[0].born = NOW - 4; /* the record may be a moment away */
	verify();
	assert_int_equal(found.n, 0);
}

static void stub_of_an_older_life_is_found(void **state)
{
	(void)state;
	rec[0].word = (rec[0].word & UINT32_MAX) | CT_W_GEN(99);
	verify();
	assert_int_equal(found.n, 2);
	assert_int_equal(found.v[0].kind, CHECK_STUB_ORPHAN);
	assert_int_equal(found.v[1].kind, CHECK_NO_STUB);
}

static void stub_under_another_tuple_is_found(void **state)
{
	(void)state;
	stub[0].key.port[0] ^= htons(1);
	verify();
	assert_int_equal(found.n, 2);
	assert_int_equal(found.v[0].kind, CHECK_STUB_OTHER_TUPLE);
	assert_int_equal(found.v[1].kind, CHECK_NO_STUB);
}

static void tuple_of_two_connections_is_found(void **state)
{
	(void)state;
	make_record(&rec[2], "203.0.113.1", "198.51.100.7", 1024, NULL, 0, 13);
	tab.recs = 3;
	set_counts(3, 0, 3, 1);
	finds_only(CHECK_TUPLE_TWICE);
	set_life(&rec[2], CT_LIFE_DYING); /* the loser is on its way out */
	set_counts(2, 0, 3, 1);
	verify();
	assert_int_equal(found.n, 0);
}

/* The router's own connection keeps the key of a masqueraded one's replies, and
 * a second port: each direction still has one owner. */
static void tuple_shared_by_direction_is_right(void **state)
{
	(void)state;
	make_record(&rec[2], "203.0.113.1", "198.51.100.7", 1024, "203.0.113.1", 2000, 13);
	stub[1] = (struct check_stub){
		.key = rec[2].reply, .conn = rec[2].key, .gen = 13, .born = NOW - 100};
	tab.recs = 3;
	tab.stubs = 2;
	set_counts(3, 0, 3, 2);
	verify();
	assert_int_equal(found.n, 0);
	rec[2].word ^= CT_W_ORIG_HI; /* the other way it would be the stub's own direction */
	verify();
	assert_true(found.n > 0);
	assert_int_equal(found.v[0].kind, CHECK_TUPLE_TWICE);
}

/* The same of IPv6, whose stubs lie under the hash of the tuple, keyed by the instance. */
static void stub_of_ipv6_lies_under_the_hash_of_its_tuple(void **state)
{
	(void)state;
	tab.family = 6;
	tab.secret[0] = 7;
	check_stub_key(&tab, &rec[0].reply, &stub[0].key);
	verify();
	assert_int_equal(found.n, 0);
	stub[0].key.addr[0][1] ^= 1;
	verify();
	assert_int_equal(found.n, 2);
	assert_int_equal(found.v[0].kind, CHECK_STUB_OTHER_TUPLE);
	assert_int_equal(found.v[1].kind, CHECK_NO_STUB);
	stub[0].key.addr[0][1] ^= 1;
	make_record(&rec[2], "203.0.113.1", "198.51.100.7", 1024, NULL, 0, 13);
	tab.recs = 3;
	set_counts(3, 0, 3, 1);
	finds_only(CHECK_TUPLE_TWICE);
	tab.recs = 2;
	set_counts(2, 0, 2, 1);
	tab.secret[1] = 1; /* another instance's */
	verify();
	assert_int_equal(found.n, 2);
}

static void translated_record_without_stub_is_found(void **state)
{
	(void)state;
	tab.stubs = 0;
	set_counts(2, 0, 2, 0);
	finds_only(CHECK_NO_STUB);
	rec[0].expires = NOW - 1; /* dead to look-ups already */
	verify();
	assert_int_equal(found.n, 0);
}

/* Masquerading what has the address already needs no second key. */
static void translation_to_itself_needs_no_stub(void **state)
{
	(void)state;
	make_record(&rec[0], "203.0.113.1", "198.51.100.7", 1024, "203.0.113.1", 1024, 11);
	tab.stubs = 0;
	set_counts(2, 0, 2, 0);
	verify();
	assert_int_equal(found.n, 0);
}

static void foreign_reply_tuple_is_found(void **state)
{
	(void)state;
	rec[1].reply.port[0] ^= htons(1);
	finds_only(CHECK_REPLY_TUPLE);
}

static void setup_and_dead_do_not_stay(void **state)
{
	(void)state;
	set_life(&rec[1], CT_LIFE_SETUP);
	set_counts(1, 0, 2, 1);
	finds_only(CHECK_STUCK);
	set_life(&rec[1], CT_LIFE_DEAD);
	finds_only(CHECK_STUCK);
	set_life(&rec[1], CT_LIFE_DYING);
	verify();
	assert_int_equal(found.n, 0);
}

static void wrong_counts_are_found(void **state)
{
	static const struct check_counts wrong[] = {
		{3, 0, 2, 1}, {2, 1, 2, 1}, {2, 0, 1, 1}, {2, 0, 2, 2}};
	static const char *const names[] = {"confirmed", "half-open", "nodes", "stubs"};

	(void)state;
	for (int i = 0; i < 4; i++) {
		tab.before = tab.after = wrong[i];
		tab.churn = 0;
		finds_only(CHECK_COUNT);
		assert_string_equal(found.v[0].what, names[i]);
		tab.churn = 1; /* traffic explains it */
		verify();
		assert_int_equal(found.n, 0);
	}
}

static void icmp_replies_have_their_key(void **state)
{
	struct ct_flow f = {.family = 4};
	struct ct_key6 key, reply;

	(void)state;
	f.key4.proto = IPPROTO_ICMP;
	f.key4.addr[0] = inet_addr("198.51.100.9"); /* the higher one asks */
	f.key4.addr[1] = inet_addr("10.0.0.1");
	f.key4.port[0] = htons(77);
	f.key4.port[1] = htons(8 << 8);
	f.conn4.reply_saddr = f.key4.addr[1];
	f.conn4.reply_daddr = f.key4.addr[0];
	f.c.reply_sport = f.key4.port[0];
	f.c.reply_dport = f.key4.port[1];
	check_flow_key(&f, &key);
	check_reply_key(&f, &reply);
	assert_memory_equal(&key, &reply, sizeof(key));
	f.c.reply_sport = htons(78);
	check_reply_key(&f, &reply);
	assert_int_equal(ntohs(reply.port[0]), 78);
}

static void ipv6_replies_have_their_key(void **state)
{
	struct ct_flow f = {.family = 6};
	struct ct_key6 key, reply;

	(void)state;
	f.key6.proto = IPPROTO_TCP;
	f.key6.addr[0][3] = 1;
	f.key6.addr[1][3] = 2;
	f.key6.port[0] = htons(1);
	f.key6.port[1] = htons(2);
	memcpy(f.conn6.reply_saddr, f.key6.addr[1], 16);
	memcpy(f.conn6.reply_daddr, f.key6.addr[0], 16);
	f.c.reply_sport = f.key6.port[1];
	f.c.reply_dport = f.key6.port[0];
	check_flow_key(&f, &key);
	check_reply_key(&f, &reply);
	assert_memory_equal(&key, &reply, sizeof(key));
}

static void findings_are_told_apart(void **state)
{
	struct check_finding a = {.kind = CHECK_STUCK, .family = 4, .gen = 1}, b = a;

	(void)state;
	assert_true(check_same(&a, &b));
	b.gen = 2; /* another life of the node: not the same trouble */
	assert_false(check_same(&a, &b));
	a = b = (struct check_finding){.kind = CHECK_COUNT, .family = 4, .what = "nodes"};
	b.walk = 5;
	assert_true(check_same(&a, &b));
	b.what = "stubs";
	assert_false(check_same(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(right_tables_are_right),
		T(stub_without_record_is_found),
		T(stub_of_an_older_life_is_found),
		T(stub_under_another_tuple_is_found),
		T(tuple_of_two_connections_is_found),
		T(tuple_shared_by_direction_is_right),
		T(stub_of_ipv6_lies_under_the_hash_of_its_tuple),
		T(translated_record_without_stub_is_found),
		T(translation_to_itself_needs_no_stub),
		T(foreign_reply_tuple_is_found),
		T(setup_and_dead_do_not_stay),
		T(wrong_counts_are_found),
		T(icmp_replies_have_their_key),
		T(ipv6_replies_have_their_key),
		T(findings_are_told_apart),
	};

	fake_reset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
