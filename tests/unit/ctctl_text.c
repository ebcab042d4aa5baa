// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Flows as text and JSON; the fast printer against libnetfilter_conntrack. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <time.h>
#include <cmocka.h>
#include <json-c/json.h>

#include "userspace/ctctl/nfct_text.h"

#define RANDOM_FLOWS 30000

static const struct ct_view_clock clock0 = {250, 5000, 1700000000ULL * 1000000000};

static uint64_t rnd(void)
{
	return ((uint64_t)random() << 42) ^ ((uint64_t)random() << 21) ^ random();
}

static void random_bytes(void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)p)[i] = rnd();
}

/* Addresses with runs of zeros, IPv4-mapped ones, all of what :: can shorten. */
static void random_addr6(__be32 *addr)
{
	uint16_t *w = (uint16_t *)addr;
	unsigned int keep = rnd();

	random_bytes(addr, 16);
	for (int i = 0; i < 8; i++) {
		if (!(keep & 1 << i))
			w[i] = 0;
		else if (keep & 0x100 << i)
			w[i] &= htons(0x00ff);
	}
	if (rnd() % 8 == 0) {
		memset(addr, 0, 10);
		w[5] = rnd() & 1 ? 0xffff : 0;
	}
}

static void random_flow(struct ct_flow *f)
{
	static const uint8_t protos[] = {6, 17, 1, 58, 132, 47, 136, 33, 50, 0, 255};
	uint8_t proto = protos[rnd() % sizeof(protos)];

	random_bytes(f, sizeof(*f));
	f->family = rnd() & 1 ? 4 : 6;
	f->type = rnd() % 3;
	if (f->family == 6) {
		random_addr6(f->key6.addr[0]);
		random_addr6(f->key6.addr[1]);
		random_addr6(f->conn6.reply_saddr);
		random_addr6(f->conn6.reply_daddr);
		f->key6.proto = proto;
		f->key6.zone &= rnd() & 1 ? 0xffff : 0;
	} else {
		f->key4.proto = proto;
		f->key4.zone &= rnd() & 1 ? 0xffff : 0;
	}
	f->c.word &= ~(CT_W_STATE_MASK | CT_W_STATUS(CT_S_LABEL));
	f->c.word |= CT_W_STATE(rnd() % 12); /* past the end of the table too */
	f->tick = 6000 + rnd() % 10000;
	f->c.start = rnd() % 5000;
	f->c.expires = f->tick + rnd() % 100000 - 500;
	f->c.count[0].packets >>= rnd() % 64;
	f->c.count[1].bytes >>= rnd() % 64;
}

static void fast_text_is_the_librarys(void **state)
{
	const struct nfct_style style = {0};
	char fast[CT_TEXT_MAX], lib[4096];
	struct ct_view v;
	struct ct_flow f;

	(void)state;
	for (int i = 0; i < RANDOM_FLOWS; i++) {
		unsigned int show = rnd() & 0x1ff;
		size_t len;

		random_flow(&f);
		/* The library shows delta-time whenever it knows the start; and while
		 * a flow lives it takes the end from time(), which may tick between. */
		if (f.type != CT_EVENT_DESTROY)
			show &= ~(CT_SHOW_DELTA | CT_SHOW_TIMES);
		else if (show & CT_SHOW_TIMES)
			show |= CT_SHOW_DELTA;
		else
			show &= ~CT_SHOW_DELTA;
		ct_view_fill(&v, &f, &clock0);
		len = ct_flow_text(fast, &v, show);
		assert_int_equal(len, strlen(fast));
		nfct_flow_text(lib, sizeof(lib), &v, show, &style);
		assert_string_equal(fast, lib);
	}
}

static void every_event_text_is_the_librarys(void **state)
{
	const struct nfct_style style = {0};
	char fast[CT_TEXT_MAX], lib[4096];
	struct ct_view v;
	struct ct_flow f;

	(void)state;
	for (int i = 0; i < RANDOM_FLOWS / 10; i++) {
		unsigned int show;

		random_flow(&f);
		ct_view_fill(&v, &f, &clock0);
		show = ct_view_event_fields(&v);
		ct_flow_text(fast, &v, show);
		nfct_flow_text(lib, sizeof(lib), &v, show, &style);
		assert_string_equal(fast, lib);
	}
}

static void longest_text_fits(void **state)
{
	char text[CT_TEXT_MAX], json[CT_JSON_MAX];
	struct ct_view v;
	struct ct_flow f;

	(void)state;
	memset(&f, 0xff, sizeof(f));
	memset(f.key6.addr[0], 0xfe, 16);
	f.family = 6;
	f.type = CT_EVENT_DESTROY;
	f.key6.proto = IPPROTO_UDPLITE;
	ct_view_fill(&v, &f, &clock0);
	assert_true(ct_flow_text(text, &v, 0x1ff) < CT_TEXT_MAX);
	assert_true(ct_flow_json(json, &v, 0x1ff) < CT_JSON_MAX);
	assert_true(ct_flow_save(text, &v, "-A") < CT_TEXT_MAX);
}

/* 10.0.0.2:40000 -> 198.51.100.7:80, masqueraded to 203.0.113.1:1234. */
static void nat_flow(struct ct_flow *f, int hi)
{
	memset(f, 0, sizeof(*f));
	f->family = 4;
	f->tick = 100;
	f->key4.addr[hi] = inet_addr("10.0.0.2");
	f->key4.addr[!hi] = inet_addr("198.51.100.7");
	f->key4.port[hi] = htons(40000);
	f->key4.port[!hi] = htons(80);
	f->key4.proto = IPPROTO_TCP;
	f->conn4.reply_saddr = inet_addr("198.51.100.7");
	f->conn4.reply_daddr = inet_addr("203.0.113.1");
	f->c.reply_sport = htons(80);
	f->c.reply_dport = htons(1234);
	f->c.word = CT_W_STATE(CT_TCP_ESTABLISHED) | CT_W_LIFE(CT_LIFE_CONFIRMED) |
		    CT_W_STATUS(CT_S_SEEN_REPLY | CT_S_ASSURED | CT_S_SRC_NAT) |
		    (hi ? CT_W_ORIG_HI : 0);
	f->c.count[0] = (struct ct_count){3, 180};
	f->c.count[1] = (struct ct_count){2, 120};
	f->c.expires = 100 + 250 * 60 / 32 + 1;
	f->c.mark = 42;
}

static void direction_is_the_words(void **state)
{
	const char *want = "tcp      6 60 ESTABLISHED src=10.0.0.2 dst=198.51.100.7 sport=40000 "
			   "dport=80 packets=3 bytes=180 src=198.51.100.7 dst=203.0.113.1 sport=80 "
			   "dport=1234 packets=2 bytes=120 [ASSURED] mark=42 use=1";
	char text[CT_TEXT_MAX];
	struct ct_view v;
	struct ct_flow f;

	(void)state;
	for (int hi = 0; hi < 2; hi++) {
		nat_flow(&f, hi);
		ct_view_fill(&v, &f, &clock0);
		ct_flow_text(text, &v, CT_SHOW_LIST);
		assert_string_equal(text, want);
	}
}

static void icmp_line(uint8_t proto, uint8_t type, const char *want)
{
	char text[CT_TEXT_MAX];
	struct ct_view v;
	struct ct_flow f;

	nat_flow(&f, 0);
	f.key4.proto = proto;
	f.key4.port[0] = htons(7);
	f.key4.port[1] = htons(type << 8);
	f.c.reply_sport = htons(9);
	f.c.reply_dport = htons(type << 8);
	ct_view_fill(&v, &f, &clock0);
	ct_flow_text(text, &v, 0);
	assert_string_equal(text, want);
}

static void icmp_reply_has_its_own_type_and_id(void **state)
{
#define SRC "src=10.0.0.2 dst=198.51.100.7 "
#define DST "src=198.51.100.7 dst=203.0.113.1 "
	(void)state;
	icmp_line(IPPROTO_ICMP, 8,
		  "icmp     1 " SRC "type=8 code=0 id=7 " DST "type=0 code=0 id=9 [ASSURED]");
	icmp_line(IPPROTO_ICMP, 13,
		  "icmp     1 " SRC "type=13 code=0 id=7 " DST "type=14 code=0 id=9 [ASSURED]");
	icmp_line(IPPROTO_ICMP, 15,
		  "icmp     1 " SRC "type=15 code=0 id=7 " DST "type=16 code=0 id=9 [ASSURED]");
	icmp_line(IPPROTO_ICMP, 17,
		  "icmp     1 " SRC "type=17 code=0 id=7 " DST "type=18 code=0 id=9 [ASSURED]");
	icmp_line(IPPROTO_ICMPV6, 128,
		  "icmpv6   58 " SRC "type=128 code=0 id=7 " DST "type=129 code=0 id=9 [ASSURED]");
}

static void dead_or_expired_is_not_listed(void **state)
{
	struct ct_view v;
	struct ct_flow f;

	(void)state;
	for (int life = CT_LIFE_SETUP; life <= CT_LIFE_DEAD; life++) {
		nat_flow(&f, 0);
		f.c.word = (f.c.word & ~CT_W_LIFE_MASK) | CT_W_LIFE(life);
		ct_view_fill(&v, &f, &clock0);
		assert_int_equal(ct_view_listed(&v),
				 life == CT_LIFE_HALF_OPEN || life == CT_LIFE_CONFIRMED);
	}
	nat_flow(&f, 0);
	f.c.expires = f.tick;
	ct_view_fill(&v, &f, &clock0);
	assert_true(ct_view_listed(&v));
	f.c.expires = f.tick - 1;
	ct_view_fill(&v, &f, &clock0);
	assert_false(ct_view_listed(&v));
	assert_int_equal(v.timeout, 0);
}

static void ticks_wrap(void **state)
{
	struct ct_view v;
	struct ct_flow f;

	(void)state;
	nat_flow(&f, 0);
	f.tick = UINT32_MAX - 5;
	f.c.expires = f.tick + 250 * 60 / 32 + 1; /* past 0 */
	ct_view_fill(&v, &f, &clock0);
	assert_int_equal(v.timeout, 60);
	assert_false(v.expired);
}

static void start_is_in_wall_clock(void **state)
{
	struct ct_view v;
	struct ct_flow f;

	(void)state;
	nat_flow(&f, 0);
	f.c.start = clock0.now_tick - 125; /* 16 s at HZ 250 */
	ct_view_fill(&v, &f, &clock0);
	assert_int_equal(v.start_ns / 1000000000, 1700000000 - 16);
}

static void id_changes_with_generation(void **state)
{
	struct ct_view a, b;
	struct ct_flow f;

	(void)state;
	nat_flow(&f, 0);
	ct_view_fill(&a, &f, &clock0);
	f.c.word |= CT_W_GEN(77);
	ct_view_fill(&b, &f, &clock0);
	assert_int_not_equal(a.id, b.id);
	f.c.expires += 5;
	ct_view_fill(&a, &f, &clock0);
	assert_int_equal(a.id, b.id);
}

static void save_names_nat_and_mark(void **state)
{
	char text[CT_TEXT_MAX];
	struct ct_view v;
	struct ct_flow f;

	(void)state;
	nat_flow(&f, 0);
	ct_view_fill(&v, &f, &clock0);
	ct_flow_save(text, &v, "-A");
	assert_string_equal(text,
			    "-A -t 60 -u SEEN_REPLY,ASSURED -m 42 -s 10.0.0.2 -d 198.51.100.7 "
			    "-r 198.51.100.7 -n 203.0.113.1 -p tcp --sport 40000 --dport 80 "
			    "--reply-port-src 80 --reply-port-dst 1234 --state ESTABLISHED");
}

static int64_t json_int(struct json_object *o, const char *group, const char *key)
{
	struct json_object *v = o;

	if (group)
		assert_true(json_object_object_get_ex(o, group, &v));
	assert_true(json_object_object_get_ex(v, key, &v));
	return json_object_get_int64(v);
}

static void json_has_every_field(void **state)
{
	char text[CT_JSON_MAX];
	struct json_object *o, *src;
	struct ct_view v;
	struct ct_flow f;
	size_t len;

	(void)state;
	nat_flow(&f, 1);
	f.c.word |= CT_W_STATUS(CT_S_LABEL);
	f.label.bits[3] = 1u << 31;
	f.key4.zone = 5;
	ct_view_fill(&v, &f, &clock0);
	len = ct_flow_json(text, &v, CT_SHOW_LIST);
	assert_int_equal(len, strlen(text));
	o = json_tokener_parse(text);
	assert_non_null(o);
	assert_int_equal(json_int(o, "orig", "sport"), 40000);
	assert_int_equal(json_int(o, "reply", "dport"), 1234);
	assert_int_equal(json_int(o, "reply", "bytes"), 120);
	assert_int_equal(json_int(o, NULL, "mark"), 42);
	assert_int_equal(json_int(o, NULL, "zone"), 5);
	assert_int_equal(json_int(o, NULL, "snat"), 1);
	assert_int_equal(json_int(o, NULL, "dnat"), 0);
	assert_int_equal(json_int(o, NULL, "assured"), 1);
	assert_int_equal(json_int(o, NULL, "timeout"), 60);
	assert_true(json_object_object_get_ex(o, "orig", &src));
	assert_true(json_object_object_get_ex(src, "src", &src));
	assert_string_equal(json_object_get_string(src), "10.0.0.2");
	assert_true(json_object_object_get_ex(o, "labels", &src));
	assert_int_equal(json_object_get_int(json_object_array_get_idx(src, 0)), 127);
	json_object_put(o);
}

static void random_json_parses(void **state)
{
	char text[CT_JSON_MAX];
	struct ct_view v;
	struct ct_flow f;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		struct json_object *o;

		random_flow(&f);
		ct_view_fill(&v, &f, &clock0);
		ct_flow_json(text, &v, rnd() & 0x1ff);
		o = json_tokener_parse(text);
		if (!o)
			fail_msg("%s", text);
		json_object_put(o);
	}
}

/* A million lines in two seconds leaves 1.5 us for each, the rest is the walk. */
static void text_of_a_flow_is_fast(void **state)
{
	struct timespec a, b;
	char text[CT_TEXT_MAX];
	struct ct_view v;
	struct ct_flow f;
	double us;

	(void)state;
	nat_flow(&f, 1);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	for (int i = 0; i < 100000; i++) {
		ct_view_fill(&v, &f, &clock0);
		ct_flow_text(text, &v, CT_SHOW_LIST);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	us = ((b.tv_sec - a.tv_sec) * 1e9 + b.tv_nsec - a.tv_nsec) / 1e3 / 100000;
	print_message("%.3f us a flow\n", us);
	assert_true(us < 1.5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fast_text_is_the_librarys),
		cmocka_unit_test(every_event_text_is_the_librarys),
		cmocka_unit_test(longest_text_fits),
		cmocka_unit_test(direction_is_the_words),
		cmocka_unit_test(icmp_reply_has_its_own_type_and_id),
		cmocka_unit_test(dead_or_expired_is_not_listed),
		cmocka_unit_test(ticks_wrap),
		cmocka_unit_test(start_is_in_wall_clock),
		cmocka_unit_test(id_changes_with_generation),
		cmocka_unit_test(save_names_nat_and_mark),
		cmocka_unit_test(json_has_every_field),
		cmocka_unit_test(random_json_parses),
		cmocka_unit_test(text_of_a_flow_is_fast),
	};
	unsigned int seed = getenv("SEED") ? atoi(getenv("SEED")) : time(NULL);

	print_message("seed %u\n", seed);
	srandom(seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
