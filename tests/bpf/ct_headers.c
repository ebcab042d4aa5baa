// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Headers that lie, and fragments: what the parser says of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "bpf/ct/ct_tcp_table.h"
#include "tests/bpf/lib/play.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

static struct bpf_object *fw;
static int ingress_fd;

static void headers_that_lie_are_counted(void **state)
{
	static const struct {
		const char *what;
		bool six;
		uint8_t proto;
		int cut; /* to so many bytes of frame, 0: whole */
		struct {
			uint16_t at;
			uint8_t v;
		} poke[2];
		enum ct_drop reason;
		uint8_t vlans; /* BPF_PROG_RUN refuses cut IP headers unless it sees none */
	} t[] = {
		{"tag cut", false, IPPROTO_UDP, 16, {{12, 0x81}, {13, 0}}, CT_DROP_L2_TRUNCATED},
		{"IPv4 cut", false, IPPROTO_UDP, 37, {}, CT_DROP_IP_TRUNCATED, 1},
		{"IPv6 cut", true, IPPROTO_UDP, 57, {}, CT_DROP_IP_TRUNCATED, 1},
		{"version 6 in 4", false, IPPROTO_UDP, 0, {{14, 0x65}}, CT_DROP_IP_VERSION},
		{"version 4 in 6", true, IPPROTO_UDP, 0, {{14, 0x45}}, CT_DROP_IP_VERSION},
		{"IHL 4", false, IPPROTO_UDP, 0, {{14, 0x44}}, CT_DROP_IP_HEADER_LEN},
		{"IHL beyond", false, IPPROTO_UDP, 0, {{14, 0x4f}}, CT_DROP_IP_HEADER_LEN},
		{"length beyond", false, IPPROTO_UDP, 0, {{17, 0xff}}, CT_DROP_IP_TOTAL_LEN},
		{"length below", false, IPPROTO_UDP, 0, {{17, 19}}, CT_DROP_IP_TOTAL_LEN},
		{"IPv6 length", true, IPPROTO_UDP, 0, {{19, 0xff}}, CT_DROP_IP_TOTAL_LEN},
		{"endless chain",
		 true,
		 IPPROTO_UDP,
		 0,
		 {{20, 60}, {54, 60}},
		 CT_DROP_IP6_EXT_CHAIN},
		{"UDP cut", false, IPPROTO_UDP, 41, {{17, 27}}, CT_DROP_L4_TRUNCATED},
		{"TCP cut", false, IPPROTO_TCP, 53, {{17, 39}}, CT_DROP_L4_TRUNCATED},
		{"UDP length 7", false, IPPROTO_UDP, 0, {{39, 7}}, CT_DROP_L4_LENGTH},
		{"UDP length beyond", false, IPPROTO_UDP, 0, {{39, 99}}, CT_DROP_L4_LENGTH},
		{"TCP offset 4", false, IPPROTO_TCP, 0, {{46, 0x40}}, CT_DROP_L4_LENGTH},
		{"TCP offset beyond", false, IPPROTO_TCP, 0, {{46, 0xf0}}, CT_DROP_L4_LENGTH},
		{"UDP-Lite without sum",
		 false,
		 IPPROTO_UDPLITE,
		 0,
		 {{40, 0}, {41, 0}},
		 CT_DROP_L4_CHECKSUM},
		{"SYN and FIN", false, IPPROTO_TCP, 0, {{47, 3}}, CT_DROP_TCP_FLAGS},
		{"no flags", true, IPPROTO_TCP, 0, {{67, 0}}, CT_DROP_TCP_FLAGS},
		{"answer to nothing", false, IPPROTO_TCP, 0, {{47, 0x12}}, CT_DROP_TCP_STATE},
		{"router advertisement", false, IPPROTO_ICMP, 0, {{34, 9}}, CT_DROP_ICMP_TYPE},
		{"bad sum", false, IPPROTO_ICMP, 0, {{36, 1}}, CT_DROP_L4_CHECKSUM},
	};
	unsigned int wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct packet p = {.src = C[t[i].six],
				   .dst = S[t[i].six],
				   .proto = t[i].proto,
				   .sport = 1,
				   .dport = 2,
				   .tcp = CT_TH_SYN,
				   .type = 8,
				   .payload = 8,
				   .vlans = t[i].vlans};
		uint8_t frame[600];
		size_t len = build(frame, &p);
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .repeat = 1);
		uint64_t before = drops(t[i].reason), invalid = drops(CT_DROP_FW_INVALID);

		for (int k = 0; k < 2; k++)
			if (t[i].poke[k].at)
				frame[t[i].poke[k].at] = t[i].poke[k].v;
		opts.data_size_in = t[i].cut ? (size_t)t[i].cut : len;
		/* the firewall's own entry: it is who counts */
		if (bpf_prog_test_run_opts(ingress_fd, &opts)) {
			print_error("%s: %s\n", t[i].what, strerror(errno));
			wrong++;
			continue;
		}
		if (opts.retval != 2 || drops(t[i].reason) != before + 1 ||
		    drops(CT_DROP_FW_INVALID) != invalid + 1) {
			print_error("%s: action %u, counted %d\n", t[i].what, opts.retval,
				    (int)(drops(t[i].reason) - before));
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
	assert_int_equal(core.pins.table[0].nodes, 0);
}

/* A sender that leaves the sum to its device has written the pseudo header's; near it is no sum. */
static void a_sum_left_to_the_device_is_not_wrong(void **state)
{
	(void)state;
	for (int off = -1; off < 2; off++) {
		struct packet p = {.src = C[1],
				   .dst = S[1],
				   .proto = IPPROTO_ICMPV6,
				   .type = 128,
				   .id = 5,
				   .payload = 8};
		uint8_t frame[600], out[600], tail[8] = {0, 0, 0, 16, 0, 0, 0, IPPROTO_ICMPV6};
		size_t len = build(frame, &p), outlen;

		reset(NULL);
		how.l2 = 1;
		put2(frame + 56, sum(frame + 22, 32, sum(tail, 8, 0)) + off);
		assert_int_equal(play_frame(frame, len, out, &outlen).verdict,
				 off ? -CT_DROP_L4_CHECKSUM : NEW);
	}
}

static void fragments_follow_the_setting(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++)
		for (int later = 0; later < 2; later++) {
			struct packet p = {.src = C[six],
					   .dst = S[six],
					   .proto = IPPROTO_UDP,
					   .sport = 5,
					   .dport = 6,
					   .payload = 24};

			/* more fragments, or the second one */
			p.frag = six ? (later ? 8 : 1) : (later ? 1 : 0x2000);
			reset(NULL);
			core.pins.settings->fragments[six] = FRAG_MODE_DROP;
			THROUGH(&p, -CT_DROP_FRAGMENT, NULL);
			core.pins.settings->fragments[six] = FRAG_MODE_PASS;
			SAME(&p, 1 /* FRAG_PASS */);
			assert_int_equal(core.pins.table[six].nodes, 0);
		}
}

static int set_up_firewall(void **state)
{
	if (set_up(state))
		return -1;
	fw = open_shared("../../consumers/firewall/fw_tc.bpf.o");
	ingress_fd = prog(fw, "fw_ingress");
	return 0;
}

static int tear_down_firewall(void **state)
{
	bpf_object__close(fw);
	return tear_down(state);
}

#define TEST(f) cmocka_unit_test_setup(f, reset)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(headers_that_lie_are_counted),
		TEST(a_sum_left_to_the_device_is_not_wrong),
		TEST(fragments_follow_the_setting),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("ct_headers", tests, set_up_firewall, tear_down_firewall)
		       ? 1
		       : 0;
}
