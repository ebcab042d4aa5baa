// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Translation rules, from the language to the arguments of ct_commit in the running kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <stdio.h>
#include <string.h>

#include "bpf/abi/ct_drop.h"
#include "tests/bpf/lib/fwt.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

struct natted {
	const char *what;
	struct packet p;
	uint32_t out;
	int ret;
	const char *to; /* ret 1 */
	uint16_t port_min, port_max;
};

static void check_nats(const struct natted *t, size_t n)
{
	static const struct ct_nat_args none;

	for (; n; n--, t++) {
		struct fwt_case q = {.in_ifindex = ETH1, .out_ifindex = t->out, .dir = FW_OUT};
		struct fwt_case c = ask(&t->p, &q);
		__be32 want[4] = {0};

		if (c.nat != t->ret)
			print_error("%s: got %d\n", t->what, c.nat);
		assert_int_equal(c.nat, t->ret);
		if (!t->ret)
			assert_memory_equal(&c.args, &none, sizeof(none));
		if (t->ret != 1)
			continue;
		assert_int_equal(inet_pton(strchr(t->to, ':') ? AF_INET6 : AF_INET, t->to, want),
				 1);
		assert_int_equal(c.args.flags & ~CT_NAT_OWN, CT_NAT_SRC | CT_NAT_ICMP);
		assert_memory_equal(c.args.src.addr_min, want, sizeof(want));
		assert_memory_equal(c.args.src.addr_max, want, sizeof(want));
		assert_int_equal(c.args.src.port_min, t->port_min);
		assert_int_equal(c.args.src.port_max, t->port_max);
	}
}
#define CHECK_NAT(...)                                                                             \
	do {                                                                                       \
		const struct natted t[] = {__VA_ARGS__};                                           \
		check_nats(t, sizeof(t) / sizeof(*t));                                             \
	} while (0)

#define LAN4 TCP4("192.168.1.9", 5555, "198.51.100.7", 80)
#define LAN6 TCP4("fd00:1::9", 5555, "2001:db8:9::1", 80)

static void masquerade_takes_the_interfaces_address(void **state)
{
	(void)state;
	load("lan = { eth1, eth2 }\n"
	     "nat out on eth0 from $lan.net -> (eth0)\n"
	     "nat out on wg0 from $lan.net -> (wg0)\n");
	CHECK_NAT({"v4", LAN4, ETH0, 1, "203.0.113.5"}, {"v6", LAN6, ETH0, 1, "2001:db8:1::5"},
		  {"other way out", LAN4, ETH2, 0},
		  {"other source", TCP4("192.168.3.1", 1, "198.51.100.7", 80), ETH0, 0},
		  {"no address v4", LAN4, WG0, -CT_DROP_NAT_NO_ADDRESS},
		  {"no address v6", LAN6, WG0, -CT_DROP_NAT_NO_ADDRESS});
}

/* An array's element is not replaced at once: of one that is being written, either no address is
 * taken or a whole one; IPv6's comes from the hash, whose elements are. */
static void an_interface_half_written_gives_no_half_address(void **state)
{
	struct fw_iface near, torn;
	uint32_t at = ETH0;

	(void)state;
	load("lan = { eth1, eth2 }\nnat out on eth0 from $lan.net -> (eth0)\n");
	assert_int_equal(bpf_map_lookup_elem(fds.near, &at, &near), 0);
	torn = near;
	torn.masq4 = 0;
	memset(torn.masq6, 0xee, 8);
	assert_int_equal(bpf_map_update_elem(fds.near, &at, &torn, BPF_ANY), 0);
	CHECK_NAT({"v4", LAN4, ETH0, -CT_DROP_NAT_NO_ADDRESS},
		  {"v6", LAN6, ETH0, 1, "2001:db8:1::5"});
	assert_int_equal(bpf_map_update_elem(fds.near, &at, &near, BPF_ANY), 0);
	CHECK_NAT({"v4", LAN4, ETH0, 1, "203.0.113.5"});
}

/* The watch has seen a change that ctd has not: its entry counts, until ctd has caught up. */
static void masquerade_takes_the_address_of_now(void **state)
{
	struct fw_iface now = {.flags = FW_IF_MASQ4 | FW_IF_MASQ6, .changes = 2};
	uint32_t watched = ETH0 | FW_WATCHED, watch = FW_LATE_WATCH, ctd = FW_LATE_CTD;
	struct fw_late late = {.changes = 2}, seen = {.changes = 1};

	(void)state;
	inet_pton(AF_INET, "203.0.113.77", &now.masq4);
	inet_pton(AF_INET6, "2001:db8:1::77", now.masq6);
	load("lan = { eth1, eth2 }\nnat out on eth0 from $lan.net -> (eth0)\n");
	assert_int_equal(bpf_map_update_elem(fds.iface, &watched, &now, BPF_ANY), 0);
	CHECK_NAT({"v4, ctd is not late", LAN4, ETH0, 1, "203.0.113.5"});
	assert_int_equal(bpf_map_update_elem(fds.near, &watch, &late, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(fds.near, &ctd, &seen, BPF_ANY), 0);
	CHECK_NAT({"v4, ctd is late", LAN4, ETH0, 1, "203.0.113.77"},
		  {"v6, ctd is late", LAN6, ETH0, 1, "2001:db8:1::77"});
	now.flags = FW_IF_MASQ6;
	assert_int_equal(bpf_map_update_elem(fds.iface, &watched, &now, BPF_ANY), 0);
	CHECK_NAT({"v4, it is gone", LAN4, ETH0, -CT_DROP_NAT_NO_ADDRESS},
		  {"v6, it is there", LAN6, ETH0, 1, "2001:db8:1::77"});
	late.changes = 3; /* of another interface */
	seen.changes = 2;
	assert_int_equal(bpf_map_update_elem(fds.near, &watch, &late, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(fds.near, &ctd, &seen, BPF_ANY), 0);
	CHECK_NAT({"v4, of another interface", LAN4, ETH0, 1, "203.0.113.5"},
		  {"v6, of another interface", LAN6, ETH0, 1, "2001:db8:1::5"});
	seen.changes = 3;
	assert_int_equal(bpf_map_update_elem(fds.near, &ctd, &seen, BPF_ANY), 0);
	assert_int_equal(bpf_map_delete_elem(fds.iface, &watched), 0);
}

static void nat_to_an_address_and_ports(void **state)
{
	(void)state;
	load("nat out on eth0 proto udp from 192.168.1.0/24 to any port 53 -> 203.0.113.7\n"
	     "nat out on eth0 from 192.168.0.0/16 -> 203.0.113.9 ports 20000-29999\n"
	     "nat out on eth0 from fd00::/8 -> 2001:db8:1::99 ports 5000\n"
	     "nat out on eth0 from any -> (eth0) ports 1024-65535\n");
	CHECK_NAT({"dns", UDP4("192.168.1.9", 1, "8.8.8.8", 53), ETH0, 1, "203.0.113.7", 0, 0},
		  {"rest", LAN4, ETH0, 1, "203.0.113.9", 20000, 29999},
		  {"v6", LAN6, ETH0, 1, "2001:db8:1::99", 5000, 5000},
		  {"any", TCP4("10.0.0.1", 1, "8.8.8.8", 1), ETH0, 1, "203.0.113.5", 1024, 65535},
		  {"any v6", TCP4("2001:db8:7::1", 1, "2001:db8::9", 1), ETH0, 1, "2001:db8:1::5",
		   1024, 65535});
}

/* Destination rules: what a connection that arrives becomes, both sides. */
struct redirected {
	const char *what;
	struct packet p;
	uint32_t in;
	uint32_t to_self;
	const char *dst; /* NULL: not translated; port 0: stays */
	uint16_t port;
	const char *src; /* NULL: stays */
};

static void same_addr(const char *what, const __be32 *got, const char *text)
{
	__be32 want[4] = {0};

	assert_int_equal(inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, want), 1);
	if (memcmp(got, want, sizeof(want)))
		print_error("%s: not %s\n", what, text);
	assert_memory_equal(got, want, sizeof(want));
}

static void check_redirects(const struct redirected *t, size_t n)
{
	for (; n; n--, t++) {
		struct fwt_case q = {.in_ifindex = t->in,
				     .to_self = t->to_self,
				     .kind = FW_NAT_DST,
				     .inside = t->in != ETH0};
		struct fwt_case c = ask(&t->p, &q);

		if (c.nat != !!t->dst)
			print_error("%s: got %d\n", t->what, c.nat);
		assert_int_equal(c.nat, !!t->dst);
		assert_int_equal(c.args.flags,
				 (t->dst ? CT_NAT_DST : 0) | (t->src ? CT_NAT_SRC : 0));
		if (!t->dst)
			continue;
		same_addr(t->what, c.args.dst.addr_min, t->dst);
		same_addr(t->what, c.args.dst.addr_max, t->dst);
		assert_int_equal(c.args.dst.port_min, t->port);
		assert_int_equal(c.args.dst.port_max, t->port);
		if (t->src)
			same_addr(t->what, c.args.src.addr_min, t->src);
	}
}
#define CHECK_DST(...)                                                                             \
	do {                                                                                       \
		const struct redirected t[] = {__VA_ARGS__};                                       \
		check_redirects(t, sizeof(t) / sizeof(*t));                                        \
	} while (0)

#define OUT4 "198.51.100.7"

static void forwards_take_what_is_the_routers(void **state)
{
	(void)state;
	load("nat out on eth0 from 192.168.1.0/24 -> (eth0)\n"
	     "forward in on eth0 proto tcp port 8080 -> 192.168.1.5:80\n"
	     "forward in on eth0 proto udp to 203.0.113.9 port 53 -> 192.168.1.6\n"
	     "forward in on eth0 inet proto tcp to any port 6000-6009 -> 192.168.1.7:7000-7009\n"
	     "forward in on eth0 proto tcp port 8443 -> [fd00:1::5]:443\n");
	CHECK_DST(
		{"port", TCP4(OUT4, 1, "203.0.113.5", 8080), ETH0, 1, "192.168.1.5", 80},
		{"not ours", TCP4(OUT4, 1, "203.0.113.77", 8080), ETH0, 0},
		{"other port", TCP4(OUT4, 1, "203.0.113.5", 8081), ETH0, 1},
		{"other interface", TCP4("192.168.1.9", 1, "203.0.113.5", 8080), ETH1, 1},
		{"address", UDP4(OUT4, 1, "203.0.113.9", 53), ETH0, 0, "192.168.1.6"},
		{"range", TCP4(OUT4, 1, "192.0.2.1", 6004), ETH0, 0, "192.168.1.7", 7004},
		{"v6", TCP4("2001:db8:9::1", 1, "2001:db8:1::5", 8443), ETH0, 1, "fd00:1::5", 443});
}

static void hairpin_of_a_forward_changes_both_sides(void **state)
{
	(void)state;
	load("nat out on eth0 from { 192.168.1.0/24, fd00:1::/64 } -> (eth0)\n"
	     "forward in on eth0 proto tcp port 80 -> 192.168.1.5:8080 hairpin\n"
	     "forward in on eth0 proto tcp port 80 -> [fd00:1::5]:8080 hairpin\n");
	CHECK_DST({"outside", TCP4(OUT4, 1, "203.0.113.5", 80), ETH0, 1, "192.168.1.5", 8080},
		  {"inside", TCP4("192.168.1.9", 1, "203.0.113.5", 80), ETH1, 1, "192.168.1.5",
		   8080, "203.0.113.5"},
		  {"inside, not the external address", TCP4("192.168.1.9", 1, "192.168.1.1", 80),
		   ETH1, 1},
		  {"v6", TCP4("fd00:1::9", 1, "2001:db8:1::5", 80), ETH1, 1, "fd00:1::5", 8080,
		   "2001:db8:1::5"});
}

static void redirects_go_to_the_interface_they_came_by(void **state)
{
	(void)state;
	load("redirect in on { eth1, eth2 } proto udp port 53 -> self port 5353\n"
	     "redirect in on eth1 proto tcp to ! self port 80 -> self\n");
	CHECK_DST({"eth1", UDP4("192.168.1.9", 1, "8.8.8.8", 53), ETH1, 0, "192.168.1.1", 5353},
		  {"eth2", UDP4("192.168.2.9", 1, "8.8.8.8", 53), ETH2, 0, "192.168.2.1", 5353},
		  {"v6", UDP4("fd00:1::9", 1, "2001:db8:9::1", 53), ETH1, 0, "fd00:1::1", 5353},
		  {"foreign", TCP4("192.168.1.9", 1, "8.8.8.8", 80), ETH1, 0, "192.168.1.1", 0},
		  {"own", TCP4("192.168.1.9", 1, "192.168.1.1", 80), ETH1, 1});
}

static void static_prefixes_translate_both_ways(void **state)
{
	(void)state;
	load("nat out on eth0 from 192.168.1.16/28 -> 203.0.113.32/28 static hairpin\n"
	     "nat out on eth0 from fd00:1:0:0:8000::/65 -> 2001:db8:1:0:8000::/65 static\n");
	CHECK_DST({"in", TCP4(OUT4, 1, "203.0.113.37", 80), ETH0, 0, "192.168.1.21", 0},
		  {"outside it", TCP4(OUT4, 1, "203.0.113.48", 80), ETH0, 0},
		  {"hairpin", TCP4("192.168.1.17", 1, "203.0.113.37", 80), ETH1, 0, "192.168.1.21",
		   0, "203.0.113.33"},
		  {"hairpin of another", TCP4("192.168.1.99", 1, "203.0.113.37", 80), ETH1, 0,
		   "192.168.1.21", 0},
		  {"v6", TCP4("2001:db8:9::1", 1, "2001:db8:1:0:8123::7", 80), ETH0, 0,
		   "fd00:1::8123:0:0:7", 0});
	{
		struct fwt_case q = {.in_ifindex = ETH1, .out_ifindex = ETH0, .dir = FW_OUT};
		const struct packet p = TCP4("192.168.1.21", 5000, OUT4, 80);
		const struct packet p6 = TCP4("fd00:1::8123:0:0:7", 5000, "2001:db8:9::1", 80);
		struct fwt_case c = ask(&p, &q);

		assert_int_equal(c.nat, 1);
		assert_int_equal(c.args.flags, CT_NAT_SRC | CT_NAT_STATIC | CT_NAT_ICMP);
		same_addr("out", c.args.src.addr_min, "203.0.113.37");
		c = ask(&p6, &q);
		same_addr("out v6", c.args.src.addr_max, "2001:db8:1:0:8123::7");
	}
}

/* Every address of a list is somebody's, and a source has one. */
static void ranges_of_a_list_share_the_sources(void **state)
{
	struct fwt_case q = {.in_ifindex = ETH1, .out_ifindex = ETH0, .dir = FW_OUT};
	unsigned int one = 0, four = 0;
	char text[32];

	(void)state;
	load("nat out on eth0 from 192.168.0.0/16 -> { 203.0.113.9, 203.0.113.16/30 }");
	for (unsigned int i = 1; i < 251; i++) {
		struct packet p = TCP4(text, 5000, OUT4, 80);
		struct fwt_case c;
		__be32 first;

		snprintf(text, sizeof(text), "192.168.1.%u", i);
		c = ask(&p, &q);
		first = c.args.src.addr_min[0];
		assert_int_equal(c.nat, 1);
		if (first == inet_addr("203.0.113.9")) {
			assert_int_equal(c.args.src.addr_max[0], first);
			one++;
		} else {
			assert_int_equal(first, inet_addr("203.0.113.16"));
			assert_int_equal(c.args.src.addr_max[0], inet_addr("203.0.113.19"));
			four++;
		}
		c = ask(&p, &q);
		assert_int_equal(c.args.src.addr_min[0], first);
	}
	assert_int_equal(one + four, 250);
	/* a fifth of 250, and no fluke as the hash is fixed */
	assert_true(one > 25 && one < 80);
}

static void options_reach_the_arguments(void **state)
{
	struct fwt_case q = {.in_ifindex = ETH1, .out_ifindex = ETH0, .dir = FW_OUT};
	const struct packet tcp = LAN4, udp = UDP4("192.168.1.9", 1, "8.8.8.8", 53);
	struct fwt_case c;

	(void)state;
	load("nat out on eth0 proto tcp from 192.168.1.0/24 -> 203.0.113.9 eim parity paired hash "
	     "block 128 limit ports 64 limit rate 10/s icmp off\n"
	     "nat out on eth0 proto udp from 192.168.1.0/24 -> (eth0) random limit states 5\n");
	c = ask(&tcp, &q);
	assert_int_equal(c.args.flags, CT_NAT_SRC | CT_NAT_EIM | CT_NAT_PARITY | CT_NAT_PAIRED |
					       CT_NAT_HASH | CT_NAT_BLOCK | CT_NAT_LIMIT);
	assert_int_equal(c.args.block_size, 128);
	assert_int_equal(c.args.block_base, 0xc0a80100);
	assert_int_equal(c.args.limit_ports, 64);
	assert_int_equal(c.args.limit_rate, 10);
	c = ask(&udp, &q);
	assert_int_equal(c.args.flags,
			 CT_NAT_SRC | CT_NAT_RANDOM | CT_NAT_LIMIT | CT_NAT_ICMP | CT_NAT_OWN);
	assert_int_equal(c.args.limit_states, 5);
}

static void link_local_is_never_translated(void **state)
{
	(void)state;
	load("nat out on eth0 from any -> (eth0)");
	CHECK_NAT({"from", UDP4("fe80::5", 546, "ff02::1:2", 547), ETH0, 0},
		  {"to", UDP4("2001:db8:1::5", 1, "febf::2", 547), ETH0, 0},
		  {"beside", UDP4("2001:db8:7::5", 1, "fec0::2", 547), ETH0, 1, "2001:db8:1::5"});
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(masquerade_takes_the_interfaces_address),
		cmocka_unit_test(an_interface_half_written_gives_no_half_address),
		cmocka_unit_test(masquerade_takes_the_address_of_now),
		cmocka_unit_test(nat_to_an_address_and_ports),
		cmocka_unit_test(forwards_take_what_is_the_routers),
		cmocka_unit_test(hairpin_of_a_forward_changes_both_sides),
		cmocka_unit_test(redirects_go_to_the_interface_they_came_by),
		cmocka_unit_test(static_prefixes_translate_both_ways),
		cmocka_unit_test(ranges_of_a_list_share_the_sources),
		cmocka_unit_test(options_reach_the_arguments),
		cmocka_unit_test(link_local_is_never_translated),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("fw_nat", tests, fwt_open, fwt_close) ? 1 : 0;
}
