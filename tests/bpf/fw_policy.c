// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The firewall's rules, from the language to the verdict in the running kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

#include "bpf/abi/ct_drop.h"
#include "tests/bpf/lib/fwt.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define PASSED(n)  .action = FW_PASS, .rule = (n)
#define BLOCKED(n) .ret = -CT_DROP_FW_BLOCK, .action = FW_BLOCK, .rule = (n)
#define DENIED	   .ret = -CT_DROP_FW_DEFAULT
#define NOT_JUDGED .ret = 0 /* no rule, and the default does not govern it */

struct judged {
	const char *what;
	struct packet p;
	uint32_t in, out, dir, to_self;
	int ret;
	uint32_t action, rule;
};

static void check_all(const struct judged *t, size_t n)
{
	unsigned int wrong = 0;

	for (; n; n--, t++) {
		struct fwt_case q = {.in_ifindex = t->in	     ? t->in
						   : t->dir == FW_IN ? ETH0
								     : 0,
				     .out_ifindex = t->out,
				     .dir = t->dir,
				     .to_self = t->to_self};
		struct fwt_case c = ask(&t->p, &q);

		if (c.judged == t->ret && c.verdict.action == t->action &&
		    c.verdict.rule == t->rule)
			continue;
		print_error("%s: got %d, action %u, rule %u, expected %d, %u, %u\n", t->what,
			    c.judged, c.verdict.action, c.verdict.rule, t->ret, t->action, t->rule);
		wrong++;
	}
	assert_int_equal(wrong, 0);
}
#define CHECK(...)                                                                                 \
	do {                                                                                       \
		const struct judged t[] = {__VA_ARGS__};                                           \
		check_all(t, sizeof(t) / sizeof(*t));                                              \
	} while (0)

static void first_match_wins(void **state)
{
	(void)state;
	load("block in proto tcp port 25\n"
	     "pass in proto tcp port 1-1023\n"
	     "block in from 198.51.100.0/24\n"
	     "pass in proto tcp port 25\n"
	     "pass in proto tcp port 8080\n");
	CHECK({"25", TCP4("198.51.100.7", 1, "203.0.113.5", 25), BLOCKED(1)},
	      {"80", WEB, PASSED(2)},
	      {"8080", TCP4("198.51.100.7", 1, "203.0.113.5", 8080), BLOCKED(3)},
	      {"8080 of others", TCP4("198.51.101.7", 1, "203.0.113.5", 8080), PASSED(5)},
	      {"8081 of others", TCP4("198.51.101.7", 1, "203.0.113.5", 8081), DENIED});
}

static void default_governs_in_only(void **state)
{
	(void)state;
	load("set default deny\n");
	CHECK({"in, deny", WEB, DENIED},
	      {"out, deny", WEB, .dir = FW_OUT, .out = ETH0, NOT_JUDGED});
	load("set default pass\nblock in proto tcp port 23\nblock out proto tcp port 25");
	CHECK({"in, pass", WEB, NOT_JUDGED},
	      {"in, 23", TCP4("1.1.1.1", 1, "2.2.2.2", 23), BLOCKED(1)},
	      {"in, 25", TCP4("1.1.1.1", 1, "2.2.2.2", 25), NOT_JUDGED},
	      {"out, 25", TCP4("1.1.1.1", 1, "2.2.2.2", 25), .dir = FW_OUT, .out = ETH0,
	       BLOCKED(2)},
	      {"out, 23", TCP4("1.1.1.1", 1, "2.2.2.2", 23), .dir = FW_OUT, .out = ETH0,
	       NOT_JUDGED});
}

static void interfaces_match_by_direction(void **state)
{
	(void)state;
	load("pass in on { eth1, eth2 }\nblock out on eth2\npass out on eth0");
	CHECK({"in eth1", WEB, .in = ETH1, PASSED(1)}, {"in eth2", WEB, .in = ETH2, PASSED(1)},
	      {"in eth0", WEB, .in = ETH0, DENIED},
	      {"in eth1, leaves by eth2", WEB, .in = ETH1, .out = ETH2, PASSED(1)},
	      {"out eth2", WEB, .in = ETH1, .out = ETH2, .dir = FW_OUT, BLOCKED(2)},
	      {"out eth0, local", WEB, .out = ETH0, .dir = FW_OUT, PASSED(3)},
	      {"out eth1", WEB, .out = ETH1, .dir = FW_OUT, NOT_JUDGED});
}

static void families_match(void **state)
{
	(void)state;
	load("pass in inet proto tcp\nblock in inet6 proto tcp\npass in proto udp");
	CHECK({"v4", WEB, PASSED(1)}, {"v6", TCP4("2001:db8::1", 1, "2001:db8::2", 80), BLOCKED(2)},
	      {"v4 udp", UDP4("1.1.1.1", 1, "2.2.2.2", 53), PASSED(3)},
	      {"v6 udp", UDP4("2001:db8::1", 1, "2001:db8::2", 53), PASSED(3)});
}

static void protocols_match(void **state)
{
	(void)state;
	load("pass in proto { udp, gre }\npass in proto 50\npass in proto sctp port 5000");
	CHECK({"udp", UDP4("1.1.1.1", 1, "2.2.2.2", 53), PASSED(1)},
	      {"gre", PROTO("1.1.1.1", "2.2.2.2", IPPROTO_GRE), PASSED(1)},
	      {"esp", PROTO("1.1.1.1", "2.2.2.2", IPPROTO_ESP), PASSED(2)},
	      {"sctp", {"1.1.1.1", "2.2.2.2", IPPROTO_SCTP, 1, 5000}, PASSED(3)},
	      {"sctp 5001", {"1.1.1.1", "2.2.2.2", IPPROTO_SCTP, 1, 5001}, DENIED},
	      {"tcp", WEB, DENIED});
}

static void addresses_match(void **state)
{
	(void)state;
	load("pass in from 10.0.0.0/8 to 192.0.2.1\n"
	     "pass in from { 10.1.2.3, fd00:1::/64 }\n"
	     "block in from 0.0.0.0/0 to 192.0.2.128/25\n"
	     "pass in from 2001:db8:0:8000::/49\n"
	     "pass in to ::/0");
	CHECK({"both", TCP4("10.255.0.1", 1, "192.0.2.1", 1), PASSED(1)},
	      {"other destination", TCP4("10.255.0.1", 1, "192.0.2.2", 1), DENIED},
	      {"other source", TCP4("11.0.0.1", 1, "192.0.2.1", 1), DENIED},
	      {"host of a list", TCP4("10.1.2.3", 1, "192.0.2.9", 1), PASSED(2)},
	      {"net of a list", TCP4("fd00:1::77", 1, "fd00:9::1", 1), PASSED(2)},
	      {"beside the net", TCP4("fd00:1:0:1::77", 1, "fd00:9::1", 1), PASSED(5)},
	      {"upper half", TCP4("11.0.0.1", 1, "192.0.2.200", 1), BLOCKED(3)},
	      {"odd mask", TCP4("2001:db8:0:ffff::1", 1, "fd00:9::1", 1), PASSED(4)},
	      {"odd mask, beside", TCP4("2001:db8:0:7fff::1", 1, "fd00:9::1", 1), PASSED(5)});
}

static void negated_addresses_match(void **state)
{
	(void)state;
	load("block in on eth1 from ! 192.168.1.0/24\n"
	     "pass in proto tcp to ! fd00:1::/64\n"
	     "pass in inet");
	CHECK({"spoofed", TCP4("192.168.2.5", 1, "1.1.1.1", 1), .in = ETH1, BLOCKED(1)},
	      {"own", TCP4("192.168.1.5", 1, "1.1.1.1", 1), .in = ETH1, PASSED(3)},
	      {"v6 elsewhere", TCP4("fd00:2::1", 1, "fd00:2::2", 1), .in = ETH1, PASSED(2)},
	      {"v6 there", TCP4("fd00:2::1", 1, "fd00:1::2", 1), .in = ETH1, DENIED});
}

static void ports_match_source_and_destination(void **state)
{
	(void)state;
	load("pass in proto udp from any port 67 to any port 68\n"
	     "pass in proto { tcp, udp } port { 53, 80-90 }\n"
	     "pass in proto tcp from any port 1024-65535 to any port 443\n"
	     "pass in proto 136 port 7");
	CHECK({"dhcp", UDP4("1.1.1.1", 67, "2.2.2.2", 68), PASSED(1)},
	      {"not from 67", UDP4("1.1.1.1", 66, "2.2.2.2", 68), DENIED},
	      {"swapped", UDP4("1.1.1.1", 68, "2.2.2.2", 67), DENIED},
	      {"53", UDP4("1.1.1.1", 9, "2.2.2.2", 53), PASSED(2)},
	      {"79", TCP4("1.1.1.1", 9, "2.2.2.2", 79), DENIED},
	      {"80", TCP4("1.1.1.1", 9, "2.2.2.2", 80), PASSED(2)},
	      {"90", TCP4("1.1.1.1", 9, "2.2.2.2", 90), PASSED(2)},
	      {"91", TCP4("1.1.1.1", 9, "2.2.2.2", 91), DENIED},
	      {"443 from a low port", TCP4("1.1.1.1", 1023, "2.2.2.2", 443), DENIED},
	      {"443 from 1024", TCP4("1.1.1.1", 1024, "2.2.2.2", 443), PASSED(3)},
	      {"443 from 65535", TCP4("1.1.1.1", 65535, "2.2.2.2", 443), PASSED(3)},
	      {"udplite", {"1.1.1.1", "2.2.2.2", IPPROTO_UDPLITE, 1, 7}, PASSED(4)},
	      {"udplite 8", {"1.1.1.1", "2.2.2.2", IPPROTO_UDPLITE, 1, 8}, DENIED});
}

static void later_fragments_match_no_ports(void **state)
{
	(void)state;
	load("block in proto udp port 53\npass in proto udp from 10.0.0.0/8\n"
	     "pass in proto icmp icmp-type echorep");
	CHECK({"first", UDP4("10.0.0.1", 1, "2.2.2.2", 53), BLOCKED(1)},
	      {"later", {"10.0.0.1", "2.2.2.2", IPPROTO_UDP, .frag = 1, .payload = 24}, PASSED(2)},
	      {"later, other",
	       {"11.0.0.1", "2.2.2.2", IPPROTO_UDP, .frag = 1, .payload = 24},
	       DENIED},
	      {"later icmp",
	       {"11.0.0.1", "2.2.2.2", IPPROTO_ICMP, .frag = 1, .payload = 24},
	       DENIED},
	      {"icmp 0", ICMP("11.0.0.1", "2.2.2.2", IPPROTO_ICMP, 0, 0), PASSED(3)});
}

static void icmp_types_and_codes_match(void **state)
{
	(void)state;
	load("pass in proto icmp icmp-type { echoreq, unreach code 4 }\n"
	     "block in proto icmp icmp-type echorep\n"
	     "pass in proto icmp6 icmp-type { echoreq, toobig code 0 }\n"
	     "block in proto tcp port 8");
	CHECK({"echo request", ICMP("1.1.1.1", "2.2.2.2", 1, 8, 0), PASSED(1)},
	      {"frag needed", ICMP("1.1.1.1", "2.2.2.2", 1, 3, 4), PASSED(1)},
	      {"port unreachable", ICMP("1.1.1.1", "2.2.2.2", 1, 3, 3), DENIED},
	      {"echo reply", ICMP("1.1.1.1", "2.2.2.2", 1, 0, 0), BLOCKED(2)},
	      {"v6 echo request", ICMP("fd00::1", "fd00::2", 58, 128, 0), PASSED(3)},
	      {"v6 too big", ICMP("fd00::1", "fd00::2", 58, 2, 0), PASSED(3)},
	      {"v6 too big code 1", ICMP("fd00::1", "fd00::2", 58, 2, 1), DENIED},
	      {"v6 type 8 is not echo", ICMP("fd00::1", "fd00::2", 58, 8, 0), DENIED},
	      {"proto 1 in IPv6 is no ICMP", ICMP("fd00::1", "fd00::2", 1, 8, 0), DENIED});
}

static void self_and_not_self_match(void **state)
{
	(void)state;
	load("pass in proto tcp to self port 22\n"
	     "block in proto tcp to ! self port 25\n"
	     "pass in on eth1 to ! self");
	CHECK({"ssh to self", TCP4("1.1.1.1", 1, "2.2.2.2", 22), .to_self = 1, PASSED(1)},
	      {"ssh forwarded", TCP4("1.1.1.1", 1, "2.2.2.2", 22), .out = ETH1, DENIED},
	      {"smtp forwarded", TCP4("1.1.1.1", 1, "2.2.2.2", 25), .in = ETH1, BLOCKED(2)},
	      {"smtp to self", TCP4("1.1.1.1", 1, "2.2.2.2", 25), .in = ETH1, .to_self = 1, DENIED},
	      {"web forwarded", TCP4("1.1.1.1", 1, "2.2.2.2", 80), .in = ETH1, PASSED(3)});
}

static void networks_of_interfaces_match(void **state)
{
	(void)state;
	load("lan = { eth1, eth2 }\npass in on $lan from $lan.net\nblock in on $lan");
	CHECK({"eth1's", TCP4("192.168.1.9", 1, "1.1.1.1", 1), .in = ETH1, PASSED(1)},
	      {"eth2's", TCP4("192.168.2.9", 1, "1.1.1.1", 1), .in = ETH2, PASSED(1)},
	      {"v6", TCP4("fd00:1::9", 1, "fd00:9::1", 1), .in = ETH1, PASSED(1)},
	      {"nobody's", TCP4("192.168.3.9", 1, "1.1.1.1", 1), .in = ETH1, BLOCKED(2)},
	      {"link-local", TCP4("fe80::9", 1, "fe80::1", 1), .in = ETH1, BLOCKED(2)});
}

/* clang-format off */
#define LINK(t, hops) \
	{.src = "fe80::2", .dst = "fe80::1", .proto = IPPROTO_ICMPV6, .type = (t), .ttl = (hops)}
/* clang-format on */

static void neighbour_discovery_passes_unless_blocked(void **state)
{
	(void)state;
	load("set default deny");
	CHECK({"RS", LINK(133, 255), NOT_JUDGED}, {"RA", LINK(134, 255), NOT_JUDGED},
	      {"NS", LINK(135, 255), NOT_JUDGED}, {"NA", LINK(136, 255), NOT_JUDGED},
	      {"redirect", LINK(137, 255), NOT_JUDGED}, {"NS from afar", LINK(135, 254), DENIED},
	      {"RA from afar", LINK(134, 64), DENIED}, {"MLD query", LINK(130, 1), NOT_JUDGED},
	      {"MLD report", LINK(131, 1), NOT_JUDGED}, {"MLDv2 report", LINK(143, 1), NOT_JUDGED},
	      {"MLD from afar", LINK(130, 64), DENIED}, {"echo", LINK(128, 255), DENIED},
	      {"type 138", LINK(138, 255), DENIED},
	      {"IPv4 type 135", ICMP("1.1.1.1", "2.2.2.2", 1, 135, 0), DENIED});
	load("set default pass\nblock in proto icmp6 icmp-type { routeradv, redir }");
	CHECK({"RA", LINK(134, 255), BLOCKED(1)}, {"redirect", LINK(137, 255), BLOCKED(1)},
	      {"NS", LINK(135, 255), NOT_JUDGED});
}

static void tagged_frames_match_alike(void **state)
{
	struct packet p = WEB;

	(void)state;
	p.vlans = 1;
	load("pass in proto tcp port 80");
	CHECK({"802.1Q", .p = p, PASSED(1)});
}

/* The bound of the language is the bound of the walk. */
static void a_thousand_rules_are_walked(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	for (int i = 1; i < FW_RULES; i++)
		fprintf(f, "block in proto tcp port %d\n", 1000 + i);
	fprintf(f, "pass in proto udp\n");
	fclose(f);
	load(text);
	free(text);
	CHECK({"first", TCP4("1.1.1.1", 1, "2.2.2.2", 1001), BLOCKED(1)},
	      {"last but one", TCP4("1.1.1.1", 1, "2.2.2.2", 2023), BLOCKED(1023)},
	      {"last", UDP4("1.1.1.1", 1, "2.2.2.2", 1), PASSED(1024)},
	      {"none", TCP4("1.1.1.1", 1, "2.2.2.2", 2024), DENIED});
}

static void hits_are_counted_by_rule(void **state)
{
	struct fw_hit hit;

	(void)state;
	load("pass in proto tcp port { 80, 81 }\nblock in proto udp");
	CHECK({"80", WEB, PASSED(1)}, {"81", TCP4("1.1.1.1", 1, "2.2.2.2", 81), PASSED(1)},
	      {"udp", UDP4("1.1.1.1", 1, "2.2.2.2", 1), BLOCKED(2)},
	      {"82", TCP4("1.1.1.1", 1, "2.2.2.2", 82), DENIED},
	      {"out", WEB, .dir = FW_OUT, .out = ETH0, NOT_JUDGED});
	assert_int_equal(fw_hits(&fds, 1, &hit), 0);
	assert_int_equal(hit.packets, 2);
	assert_int_equal(hit.bytes, 80);
	assert_int_equal(fw_hits(&fds, 2, &hit), 0);
	assert_int_equal(hit.packets, 1);
	assert_int_equal(hit.bytes, 28);
	assert_int_equal(fw_hits(&fds, 0, &hit), 0);
	assert_int_equal(hit.packets, 1);
	load("pass in proto tcp port { 80, 81 }\nblock in proto udp");
	assert_int_equal(fw_hits(&fds, 1, &hit), 0);
	assert_int_equal(hit.packets, 0);
	assert_int_equal(fw_hits(&fds, FW_HITS, &hit), -EINVAL);
}

static void nothing_loaded_denies(void **state)
{
	struct fw_config zero = {0}, old;
	uint32_t key = 0;

	(void)state;
	assert_int_equal(bpf_map_lookup_elem(fds.config, &key, &old), 0);
	assert_int_equal(bpf_map_update_elem(fds.config, &key, &zero, BPF_ANY), 0);
	CHECK({"in", WEB, DENIED}, {"ND", LINK(135, 255), NOT_JUDGED});
	assert_int_equal(bpf_map_update_elem(fds.config, &key, &old, BPF_ANY), 0);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_match_wins),
		cmocka_unit_test(default_governs_in_only),
		cmocka_unit_test(interfaces_match_by_direction),
		cmocka_unit_test(families_match),
		cmocka_unit_test(protocols_match),
		cmocka_unit_test(addresses_match),
		cmocka_unit_test(negated_addresses_match),
		cmocka_unit_test(ports_match_source_and_destination),
		cmocka_unit_test(later_fragments_match_no_ports),
		cmocka_unit_test(icmp_types_and_codes_match),
		cmocka_unit_test(self_and_not_self_match),
		cmocka_unit_test(networks_of_interfaces_match),
		cmocka_unit_test(neighbour_discovery_passes_unless_blocked),
		cmocka_unit_test(tagged_frames_match_alike),
		cmocka_unit_test(a_thousand_rules_are_walked),
		cmocka_unit_test(hits_are_counted_by_rule),
		cmocka_unit_test(nothing_loaded_denies),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("fw_policy", tests, fwt_open, fwt_close) ? 1 : 0;
}
