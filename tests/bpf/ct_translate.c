// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Translated packets by BPF_PROG_RUN. What comes out is compared byte by byte with
 * a packet built from scratch, so every checksum is the one that a sender of the
 * translated packet would have put in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bpf/ct/ct_tcp_table.h"
#include "tests/bpf/lib/play.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* Shapes that translation must not care about. */
struct shape {
	uint8_t vlans, options, ext;
	bool bare;
};
static const struct shape shapes[] = {
	{0},
	{.vlans = 1},
	{.vlans = 2},
	{.options = 4},
	{.options = 40, .vlans = 1},
	{.ext = EXT_HOP},
	{.ext = EXT_HOP | EXT_DST | EXT_ROUTE | EXT_AH | EXT_ATOM},
	{.bare = true},
};

static void shape_it(struct packet *p, const struct shape *s)
{
	p->vlans = s->vlans;
	p->options = s->options;
	p->ext = s->ext;
	p->bare = s->bare;
}

static void both_ways(uint8_t proto, uint16_t port, bool no_csum)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
		for (int six = 0; six < 2; six++) {
			struct packet out = {.src = C[six],
					     .dst = S[six],
					     .proto = proto,
					     .sport = 5000,
					     .dport = 80,
					     .tcp = CT_TH_SYN,
					     .seq = 1000,
					     .payload = 7,
					     .no_csum = no_csum},
				      xout, back, xback;

			if (proto == IPPROTO_TCP)
				out.payload = 0;
			reset(NULL);
			translate(CT_NAT_SRC, E[six], port);
			shape_it(&out, &shapes[i]);
			xout = out;
			xout.src = E[six];
			xout.sport = port ? port : 5000;
			THROUGH(&out, NEW, &xout);
			back = xout;
			back.src = xout.dst;
			back.dst = xout.src;
			back.sport = xout.dport;
			back.dport = xout.sport;
			back.tcp = CT_TH_SYN | CT_TH_ACK;
			back.seq = 7000;
			back.ack = 1001;
			xback = back;
			xback.dst = C[six];
			xback.dport = 5000;
			THROUGH(&back, REPLIED, &xback);
			out.tcp = xout.tcp = CT_TH_ACK;
			out.seq = xout.seq = 1001;
			out.ack = xout.ack = 7001;
			out.payload = xout.payload = 33;
			THROUGH(&out, ESTABLISHED, &xout);
		}
}

static void tcp_source_is_translated_both_ways(void **state)
{
	(void)state;
	both_ways(IPPROTO_TCP, 0, false);
	both_ways(IPPROTO_TCP, 40000, false);
}

static void udp_source_is_translated_both_ways(void **state)
{
	(void)state;
	both_ways(IPPROTO_UDP, 0, false);
	both_ways(IPPROTO_UDP, 40001, false);
	both_ways(IPPROTO_UDPLITE, 40002, false);
}

static void udp_without_checksum_stays_without(void **state)
{
	(void)state;
	both_ways(IPPROTO_UDP, 40000, true);
}

/* 0 in the field would say that there is none. */
static void a_udp_sum_of_0_is_written_as_ffff(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet in, x = {.src = E[six],
				       .dst = S[six],
				       .proto = IPPROTO_UDP,
				       .sport = 40000,
				       .payload = 10};
		size_t at = 14 + (six ? 40 : 20) + 6;
		uint8_t frame[600] = {0};

		while (frame[at] != 0xff || frame[at + 1] != 0xff) {
			assert_int_not_equal(++x.dport, 0);
			build(frame, &x);
		}
		in = x;
		in.src = C[six];
		in.sport = 5000;
		reset(NULL);
		translate(CT_NAT_SRC, E[six], 40000);
		THROUGH(&in, NEW, &x);
	}
}

static void destination_is_translated_both_ways(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet in = {.src = S[six],
				    .dst = E[six],
				    .proto = IPPROTO_TCP,
				    .sport = 999,
				    .dport = 80,
				    .tcp = CT_TH_SYN,
				    .seq = 5},
			      xin = in, back, xback;

		reset(NULL);
		translate(CT_NAT_DST, I[six], 8080);
		xin.dst = I[six];
		xin.dport = 8080;
		THROUGH(&in, NEW, &xin);
		back = (struct packet){.src = I[six],
				       .dst = S[six],
				       .proto = IPPROTO_TCP,
				       .sport = 8080,
				       .dport = 999,
				       .tcp = CT_TH_SYN | CT_TH_ACK,
				       .seq = 9,
				       .ack = 6};
		xback = back;
		xback.src = E[six];
		xback.sport = 80;
		THROUGH(&back, REPLIED, &xback);
	}
}

static void echo_id_is_translated_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
		for (int six = 0; six < 2; six++) {
			struct packet out = {.src = C[six],
					     .dst = S[six],
					     .proto = ICMP_OF(six),
					     .type = six ? 128 : 8,
					     .id = 77,
					     .payload = 56},
				      xout, back, xback;

			reset(NULL);
			translate(CT_NAT_SRC, E[six], 600);
			shape_it(&out, &shapes[i]);
			xout = out;
			xout.src = E[six];
			xout.id = 600;
			THROUGH(&out, NEW, &xout);
			back = xout;
			back.src = xout.dst;
			back.dst = xout.src;
			back.type = six ? 129 : 0;
			xback = back;
			xback.dst = C[six];
			xback.id = 77;
			THROUGH(&back, REPLIED, &xback);
		}
}

/* Protocols without a checksum over the addresses, or without ports. */
static void other_protocols_are_translated_by_address(void **state)
{
	static const uint8_t protos[] = {IPPROTO_GRE, IPPROTO_ESP, IPPROTO_SCTP, 99};

	(void)state;
	for (size_t i = 0; i < sizeof(protos); i++)
		for (int six = 0; six < 2; six++) {
			struct packet out = {.src = C[six],
					     .dst = S[six],
					     .proto = protos[i],
					     .sport = 5000,
					     .dport = 80,
					     .payload = 12},
				      xout, back, xback;

			reset(NULL);
			core.pins.settings->checksum = 0; /* SCTP's CRC is not built here */
			out.payload = protos[i] == IPPROTO_SCTP ? 0 : 12;
			translate(CT_NAT_SRC, E[six], 0);
			xout = out;
			xout.src = E[six];
			THROUGH(&out, NEW, &xout);
			if (protos[i] == IPPROTO_SCTP)
				continue;
			back = xout;
			back.src = xout.dst;
			back.dst = xout.src;
			xback = back;
			xback.dst = C[six];
			THROUGH(&back, REPLIED, &xback);
			/* another inside host has no tuple left */
			out.src = I[six];
			THROUGH(&out, -CT_DROP_NAT_EXHAUSTED, NULL);
		}
}

/* ---- ICMP errors ---- */

/* How much of the packet is quoted, and what is in its header. */
static const struct {
	uint8_t quoted[2]; /* IPv4, IPv6; 0: header and 8 bytes */
	uint8_t options, ext;
} quotes[] = {
	{{0, 0}},
	{{40, 60}},
	{{255, 255}},
	{{0, 72}, .options = 8, .ext = EXT_HOP | EXT_DST},
	{{80, 100}, .options = 40, .ext = EXT_AH},
};

static const uint8_t quotable[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_GRE};

static void errors_from_outside_show_the_inside_packet(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++)
		for (size_t i = 0; i < sizeof(quotable); i++)
			for (size_t q = 0; q < sizeof(quotes) / sizeof(*quotes); q++) {
				uint8_t proto =
					quotable[i] == IPPROTO_ICMP ? ICMP_OF(six) : quotable[i];
				struct packet inside, outside, error, want;

				open_flow(six, proto, &inside, &outside);
				inside.options = outside.options = quotes[q].options;
				inside.ext = outside.ext = quotes[q].ext;
				error = (struct packet){.src = M[six],
							.dst = E[six],
							.proto = ICMP_OF(six),
							.type = 3,
							.code = 1,
							.quote = &outside,
							.quoted = quotes[q].quoted[six]};
				want = error;
				want.dst = C[six];
				want.quote = &inside;
				THROUGH(&error, RELATED, &want);
			}
}

static void errors_from_inside_show_the_outside_packet(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++)
		for (size_t i = 0; i < 2; i++)
			for (size_t q = 0; q < sizeof(quotes) / sizeof(*quotes); q++) {
				struct packet inside, outside, in, ex, error, want;

				open_flow(six, quotable[i], &inside, &outside);
				/* the server's answer as the client and as the net saw it */
				ex = outside;
				ex.src = outside.dst;
				ex.dst = outside.src;
				ex.sport = outside.dport;
				ex.dport = outside.sport;
				ex.options = quotes[q].options;
				ex.ext = quotes[q].ext;
				in = ex;
				in.dst = C[six];
				in.dport = 5000;
				error = (struct packet){.src = C[six],
							.dst = S[six],
							.proto = ICMP_OF(six),
							.type = six ? 1 : 3,
							.code = 3,
							.quote = &in,
							.quoted = quotes[q].quoted[six]};
				want = error;
				want.src = E[six];
				want.quote = &ex;
				THROUGH(&error, RELATED, &want);
			}
}

static void errors_that_belong_to_nothing_are_invalid(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet inside, outside, error, wrong;
		uint8_t frame[600], out[600];
		size_t len, n;

		open_flow(six, IPPROTO_UDP, &inside, &outside);
		error = (struct packet){.src = M[six],
					.dst = E[six],
					.proto = ICMP_OF(six),
					.type = 3,
					.code = 1,
					.quote = &outside};
		wrong = error;
		wrong.dst = S[six];
		THROUGH(&wrong, -CT_DROP_ICMP_ADDRESS, NULL);
		wrong = outside;
		wrong.sport++;
		error.quote = &wrong;
		THROUGH(&error, -CT_DROP_ICMP_UNRELATED, NULL);
		error.quote = &outside;
		error.quoted = six ? 47 : 27;
		THROUGH(&error, -CT_DROP_ICMP_INNER, NULL);
		error.quoted = 0;
		len = build(frame, &error);
		frame[len - 1] ^= 1;
		how.l2 = 1;
		assert_int_equal(play_frame(frame, len, out, &n).verdict, -CT_DROP_L4_CHECKSUM);
		core.pins.settings->checksum = 0;
		frame[len - 1] ^= 1;
		if (!six) {
			frame[14 + 20 + 8 + 8]++; /* TTL of the quoted header */
			assert_int_equal(play_frame(frame, len, out, &n).verdict,
					 -CT_DROP_ICMP_INNER_CSUM);
		}
	}
}

#define TEST(f) cmocka_unit_test_setup(f, reset)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(tcp_source_is_translated_both_ways),
		TEST(udp_source_is_translated_both_ways),
		TEST(udp_without_checksum_stays_without),
		TEST(a_udp_sum_of_0_is_written_as_ffff),
		TEST(destination_is_translated_both_ways),
		TEST(echo_id_is_translated_both_ways),
		TEST(other_protocols_are_translated_by_address),
		TEST(errors_from_outside_show_the_inside_packet),
		TEST(errors_from_inside_show_the_outside_packet),
		TEST(errors_that_belong_to_nothing_are_invalid),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("ct_translate", tests, set_up, tear_down) ? 1 : 0;
}
