// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What rules would say of the session over which they are loaded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <string.h>

#include "consumers/firewall/fw_judge.h"

enum { WAN = 2, LAN = 3 };
static struct fw_ifs ifs;

static int make_ifs(void **state)
{
	struct fw_ifaddr a = {.family = 4, .prefixlen = 24};

	(void)state;
	inet_pton(AF_INET, "203.0.113.1", a.addr);
	fw_if_add_addr(fw_ifs_add(&ifs, "wan0", WAN), &a);
	inet_pton(AF_INET, "10.0.0.1", a.addr);
	return fw_if_add_addr(fw_ifs_add(&ifs, "lan0", LAN), &a);
}

static int free_ifs(void **state)
{
	(void)state;
	fw_ifs_free(&ifs);
	return 0;
}

/* TCP from this address, port 40000, to port 22; the number of the rule in *number. */
static bool admitted(const char *text, uint32_t in, const char *from, const char *to,
		     uint32_t *number)
{
	struct fw_ask ask = {.in_ifindex = in, .proto = IPPROTO_TCP, .sport = 40000, .dport = 22};
	int family = strchr(from, ':') ? AF_INET6 : AF_INET;
	struct fw_rules rules = {0};
	struct fw_conf *conf;
	bool yes;

	ask.family = family == AF_INET ? 4 : 6;
	inet_pton(family, from, ask.saddr);
	inet_pton(family, to, ask.daddr);
	assert_int_equal(fw_conf_parse_text("rules", text, strlen(text), &conf, stderr), 0);
	assert_int_equal(fw_conf_compile(conf, &ifs, &rules, stderr), 0);
	yes = fw_rules_admit(&rules, &ask, number);
	fw_rules_free(&rules);
	fw_conf_free(conf);
	return yes;
}

struct row {
	const char *rules;
	uint32_t in;
	bool admits;
	uint32_t number;
};

static void check(const struct row *row, size_t n, const char *from, const char *to)
{
	uint32_t number;

	for (; n; n--, row++) {
		number = ~0U;
		if (admitted(row->rules, row->in, from, to, &number) != row->admits)
			fail_msg("%s admitted by: %s", row->admits ? "not" : "", row->rules);
		if (number != row->number)
			fail_msg("rule %u decides, not %u, of: %s", number, row->number,
				 row->rules);
	}
}
#define CHECK(from, to, ...)                                                                       \
	do {                                                                                       \
		const struct row rows[] = {__VA_ARGS__};                                           \
		check(rows, sizeof(rows) / sizeof(*rows), from, to);                               \
	} while (0)

static void the_first_rule_that_matches_decides(void **state)
{
	(void)state;
	CHECK("10.0.0.2", "10.0.0.1", {"", LAN, false, 0}, {"set default pass\n", LAN, true, 0},
	      {"pass in on lan0\n", LAN, true, 1}, {"pass in on lan0\n", WAN, false, 0},
	      {"block in on lan0\npass in on lan0\n", LAN, false, 1},
	      {"set default pass\nblock in on lan0 proto tcp port 22\n", LAN, false, 1},
	      {"block in on lan0 proto udp\npass in on lan0\n", LAN, true, 2},
	      {"pass out on lan0\n", LAN, false, 0});
}

static void each_part_of_a_match_counts(void **state)
{
	(void)state;
	CHECK("10.0.0.2", "10.0.0.1", {"pass in on lan0 proto tcp port 22\n", LAN, true, 1},
	      {"pass in on lan0 proto tcp port 80\n", LAN, false, 0},
	      {"pass in on lan0 proto tcp to self port 22\n", LAN, true, 1},
	      {"pass in on lan0 proto tcp to ! self port 22\n", LAN, false, 0},
	      {"pass in on lan0 from 10.0.0.0/24\n", LAN, true, 1},
	      {"pass in on lan0 from 10.0.1.0/24\n", LAN, false, 0},
	      {"pass in on lan0 from ! 10.0.0.0/24\n", LAN, false, 0},
	      {"pass in on lan0 inet6\n", LAN, false, 0},
	      {"pass in on lan0 proto tcp from any port 40000-40001\n", LAN, true, 1},
	      {"pass in on lan0 proto tcp from any port 1-1023\n", LAN, false, 0});
	CHECK("fd00::2", "fd00::1", {"pass in on lan0 inet6\n", LAN, true, 1},
	      {"pass in on lan0 from fd00::/64\n", LAN, true, 1},
	      {"pass in on lan0 inet\n", LAN, false, 0});
}

static void tables_of_the_file_count(void **state)
{
	(void)state;
	CHECK("10.0.0.2", "10.0.0.1",
	      {"table admins { 10.0.0.0/30, 192.0.2.1 }\npass in on lan0 from <admins>\n", LAN,
	       true, 1},
	      {"table admins { 10.0.0.4/30, 192.0.2.1 }\npass in on lan0 from <admins>\n", LAN,
	       false, 0},
	      {"table bad { 10.0.0.2 }\nblock in on lan0 from <bad>\npass in on lan0\n", LAN, false,
	       1});
}

static void antispoof_is_no_matter_where_the_net_is(void **state)
{
	(void)state;
	CHECK("10.0.0.2", "10.0.0.1", {"antispoof for lan0\npass in on lan0\n", LAN, true, 2},
	      {"antispoof for lan0\npass in on wan0\n", WAN, false, 1});
}

static void what_is_led_elsewhere_is_not_let_in(void **state)
{
	(void)state;
	CHECK("198.51.100.9", "203.0.113.1",
	      {"pass in on wan0\nforward in on wan0 proto tcp port 22 -> 10.0.0.5\n", WAN, false,
	       2},
	      {"pass in on wan0\nforward in on wan0 proto tcp port 80 -> 10.0.0.5\n", WAN, true, 1},
	      {"pass in on wan0\nnat out on wan0 from 10.0.0.0/24 -> (wan0)\n", WAN, true, 1});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_rule_that_matches_decides),
		cmocka_unit_test(each_part_of_a_match_counts),
		cmocka_unit_test(tables_of_the_file_count),
		cmocka_unit_test(antispoof_is_no_matter_where_the_net_is),
		cmocka_unit_test(what_is_led_elsewhere_is_not_let_in),
	};

	return cmocka_run_group_tests(tests, make_ifs, free_ifs);
}
