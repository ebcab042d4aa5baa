// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Rule files compiled, loaded into the maps, and asked about packets by
 * BPF_PROG_RUN in the running kernel: language, compiler, loader and fw_policy.h
 * together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <linux/icmp.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/abi/ct_drop.h"
#include "consumers/firewall/fw_conf.h"
#include "fw_policy_test.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* Interfaces: eth0 outside, eth1 and eth2 inside, wg0 without address. */
#define ETH0 11
#define ETH1 12
#define ETH2 13
#define WG0  14

static struct bpf_object *obj;
static int case_fd, judge_fd, switch_fd;
static struct fw_fds fds;
static struct fw_ifs ifs;

/* Packets. Everything not said is zero or a default; `more` is set for shape. */
struct packet {
	const char *src, *dst; /* family by the colon */
	uint8_t proto;
	uint16_t sport, dport;
	uint8_t type, code; /* ICMP */
	uint8_t ttl;	    /* 0: 64 */
	bool later;	    /* a fragment that is not the first */
	bool vlan;
};

static size_t build_l4(uint8_t *at, const struct packet *p)
{
	if (p->later)
		return 24;
	switch (p->proto) {
	case IPPROTO_TCP:
		*(struct tcphdr *)at = (struct tcphdr){
			.source = htons(p->sport), .dest = htons(p->dport), .doff = 5, .syn = 1};
		return sizeof(struct tcphdr);
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		*(struct udphdr *)at = (struct udphdr){.source = htons(p->sport),
						       .dest = htons(p->dport),
						       .len = htons(16),
						       .check = htons(1)};
		return 16;
	case IPPROTO_SCTP:
		((uint16_t *)at)[0] = htons(p->sport);
		((uint16_t *)at)[1] = htons(p->dport);
		return 32;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		at[0] = p->type;
		at[1] = p->code;
		return 24;
	}
	return 24;
}

static size_t build(uint8_t *frame, const struct packet *p)
{
	bool v6 = strchr(p->src, ':');
	uint16_t *type = (uint16_t *)(frame + 12);
	uint8_t *l3 = frame + ETH_HLEN;
	size_t l4;

	memset(frame, 0, 256);
	if (p->vlan) {
		type[0] = htons(ETH_P_8021Q);
		type[1] = htons(7);
		type += 2;
		l3 += 4;
	}
	*type = htons(v6 ? ETH_P_IPV6 : ETH_P_IP);
	if (v6) {
		struct ipv6hdr *ip = (struct ipv6hdr *)l3;
		uint8_t *next = l3 + sizeof(*ip);

		ip->version = 6;
		ip->hop_limit = p->ttl ? p->ttl : 64;
		ip->nexthdr = p->proto;
		if (p->later) { /* a fragment header, offset 8 */
			ip->nexthdr = IPPROTO_FRAGMENT;
			next[0] = p->proto;
			next[3] = 8;
			next += 8;
		}
		assert_int_equal(inet_pton(AF_INET6, p->src, &ip->saddr), 1);
		assert_int_equal(inet_pton(AF_INET6, p->dst, &ip->daddr), 1);
		l4 = build_l4(next, p);
		ip->payload_len = htons(next + l4 - l3 - sizeof(*ip));
		return next + l4 - frame;
	}
	l4 = build_l4(l3 + sizeof(struct iphdr), p);
	*(struct iphdr *)l3 = (struct iphdr){.version = 4,
					     .ihl = 5,
					     .ttl = p->ttl ? p->ttl : 64,
					     .protocol = p->proto,
					     .frag_off = htons(p->later ? 1 : 0),
					     .tot_len = htons(sizeof(struct iphdr) + l4)};
	assert_int_equal(inet_pton(AF_INET, p->src, &((struct iphdr *)l3)->saddr), 1);
	assert_int_equal(inet_pton(AF_INET, p->dst, &((struct iphdr *)l3)->daddr), 1);
	return l3 + sizeof(struct iphdr) + l4 - frame;
}

static void compile(const char *text, struct fw_rules *rules)
{
	struct fw_conf *conf;

	assert_int_equal(fw_conf_parse_text("test", text, strlen(text), &conf, stderr), 0);
	assert_int_equal(fw_conf_compile(conf, &ifs, rules, NULL), 0);
	fw_conf_free(conf);
}

static void load(const char *text)
{
	struct fw_rules rules;

	compile(text, &rules);
	assert_int_equal(fw_rules_install(&rules, &fds), 0);
	assert_int_equal(fw_ifs_install(&rules, &ifs, NULL, 0, &fds), 0);
	fw_rules_free(&rules);
}

static struct fwt_case ask(const struct packet *p, const struct fwt_case *question)
{
	uint8_t frame[256];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .repeat = 1);
	struct fwt_case c = *question;
	uint32_t zero = 0;

	opts.data_size_in = build(frame, p);
	assert_int_equal(bpf_map_update_elem(case_fd, &zero, &c, BPF_ANY), 0);
	assert_int_equal(bpf_prog_test_run_opts(judge_fd, &opts), 0);
	assert_int_equal(bpf_map_lookup_elem(case_fd, &zero, &c), 0);
	assert_int_equal(c.parsed, 0);
	return c;
}

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

#define TCP4(s, sp, d, dp)                                                                         \
	{                                                                                          \
		.src = s, .dst = d, .proto = IPPROTO_TCP, .sport = sp, .dport = dp                 \
	}
#define UDP4(s, sp, d, dp)                                                                         \
	{                                                                                          \
		.src = s, .dst = d, .proto = IPPROTO_UDP, .sport = sp, .dport = dp                 \
	}
#define PROTO(s, d, pr)                                                                            \
	{                                                                                          \
		.src = s, .dst = d, .proto = pr                                                    \
	}
#define ICMP(s, d, pr, t, c)                                                                       \
	{                                                                                          \
		.src = s, .dst = d, .proto = pr, .type = t, .code = c                              \
	}
#define WEB TCP4("198.51.100.7", 40000, "203.0.113.5", 80)

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
	      {"later", {"10.0.0.1", "2.2.2.2", IPPROTO_UDP, .later = true}, PASSED(2)},
	      {"later, other", {"11.0.0.1", "2.2.2.2", IPPROTO_UDP, .later = true}, DENIED},
	      {"later icmp", {"11.0.0.1", "2.2.2.2", IPPROTO_ICMP, .later = true}, DENIED},
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
	p.vlan = true;
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
	assert_int_equal(hit.bytes, 36);
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

/* NAT */
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
		assert_int_equal(c.args.flags, CT_NAT_SRC | CT_NAT_ICMP);
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
	assert_int_equal(c.args.flags, CT_NAT_SRC | CT_NAT_RANDOM | CT_NAT_LIMIT | CT_NAT_ICMP);
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

static void interface_map_follows_the_machine(void **state)
{
	struct fw_rules rules;
	struct fw_ifs less = {0};
	struct fw_iface value;
	uint32_t key = ETH1, attached[] = {ETH0};

	(void)state;
	load("nat out on eth0 from any -> (eth0)");
	assert_int_equal(bpf_map_lookup_elem(fds.iface, &key, &value), 0);
	assert_int_equal(value.flags, FW_IF_INSIDE | FW_IF_ATTACHED | FW_IF_MASQ4 | FW_IF_MASQ6);
	key = ETH0;
	assert_int_equal(bpf_map_lookup_elem(fds.iface, &key, &value), 0);
	assert_int_equal(value.flags, FW_IF_ATTACHED | FW_IF_MASQ4 | FW_IF_MASQ6);
	assert_int_equal(value.masq4, inet_addr("203.0.113.5"));
	assert_int_equal(value.mtu, 1400);
	assert_int_equal(value.mac[5], 9);
	fw_ifs_add(&less, "eth0", ETH0);
	fw_ifs_add(&less, "eth1", ETH1);
	compile("set inside eth0", &rules);
	assert_int_equal(fw_ifs_install(&rules, &less, attached, 1, &fds), 0);
	assert_int_equal(bpf_map_lookup_elem(fds.iface, &key, &value), 0);
	assert_int_equal(value.flags, FW_IF_INSIDE | FW_IF_ATTACHED);
	key = ETH1;
	assert_int_equal(bpf_map_lookup_elem(fds.iface, &key, &value), 0);
	assert_int_equal(value.flags, 0);
	key = ETH2;
	assert_int_not_equal(bpf_map_lookup_elem(fds.iface, &key, &value), 0);
	fw_rules_free(&rules);
	fw_ifs_free(&less);
}

/* Rule sets of different lengths under a stream of packets: each packet is
 * passed by rule 1 of the short one or by the last rule of the long one. A mix
 * of both would end in a block rule or in the default. */
#define LONG_RULES 700

static atomic_bool stop;

static void *stream(void *arg)
{
	const struct packet p = WEB;
	uint8_t frame[256];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .repeat = 200);

	(void)arg;
	opts.data_size_in = build(frame, &p);
	while (!stop)
		if (bpf_prog_test_run_opts(switch_fd, &opts))
			return (void *)1;
	return NULL;
}

static char *long_rules(void)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	for (int i = 1; i < LONG_RULES; i++)
		fprintf(f, "block in proto udp port %d\n", i);
	fprintf(f, "pass in proto tcp port 80\n");
	fclose(f);
	return text;
}

static void a_switch_is_atomic_for_packets(void **state)
{
	struct fwt_case c = {.in_ifindex = ETH0, .last = LONG_RULES};
	struct fw_rules shorter, longer;
	char *text = long_rules();
	uint32_t zero = 0;
	pthread_t thread;
	void *failed;

	(void)state;
	stop = false;
	compile("pass in proto tcp port 80\nblock in", &shorter);
	compile(text, &longer);
	assert_int_equal(fw_rules_install(&shorter, &fds), 0);
	assert_int_equal(bpf_map_update_elem(case_fd, &zero, &c, BPF_ANY), 0);
	assert_int_equal(pthread_create(&thread, NULL, stream, NULL), 0);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(fw_rules_install(i % 2 ? &shorter : &longer, &fds), 0);
		usleep(2000);
	}
	stop = true;
	pthread_join(thread, &failed);
	assert_null(failed);
	assert_int_equal(bpf_map_lookup_elem(case_fd, &zero, &c), 0);
	print_message("%u packets, %u by the short rules, %u by the long ones\n", c.runs,
		      c.first_seen, c.last_seen);
	assert_int_equal(c.wrong, 0);
	assert_true(c.first_seen > 100 && c.last_seen > 100);
	fw_rules_free(&shorter);
	fw_rules_free(&longer);
	free(text);
}

static void failed_install_keeps_the_rules(void **state)
{
	struct fw_fds broken = fds;
	struct fw_rules rules;

	(void)state;
	load("pass in proto tcp port 80");
	compile("block in", &rules);
	broken.rule = -1;
	assert_true(fw_rules_install(&rules, &broken) < 0);
	CHECK({"old rules", WEB, PASSED(1)});
	fw_rules_free(&rules);
}

static void add_if(const char *name, uint32_t ifindex, const char *v4, const char *v6)
{
	struct fw_if *iface = fw_ifs_add(&ifs, name, ifindex);
	struct fw_ifaddr a = {.family = 4, .prefixlen = 24};

	iface->mtu = 1400;
	iface->mac[5] = 9;
	if (v4) {
		inet_pton(AF_INET, v4, a.addr);
		fw_if_add_addr(iface, &a);
	}
	if (v6) {
		a = (struct fw_ifaddr){.family = 6, .prefixlen = 64};
		inet_pton(AF_INET6, v6, a.addr);
		fw_if_add_addr(iface, &a);
	}
}

/* The parser's header defines the maps of connections: not needed here. */
static void create_only_our_maps(void)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj)
	{
		const char *name = bpf_map__name(map);

		if (strncmp(name, "fw", 2))
			bpf_map__set_autocreate(map, false);
	}
}

static int open_object(void **state)
{
	char path[PATH_MAX], object[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	(void)state;
	if (n < 0)
		return -1;
	path[n] = 0;
	snprintf(object, sizeof(object), "%s/fw_policy_test.bpf.o", dirname(path));
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	obj = bpf_object__open_file(object, NULL);
	if (!obj)
		return -1;
	create_only_our_maps();
	if (bpf_object__load(obj))
		return -1;
	judge_fd = bpf_program__fd(bpf_object__find_program_by_name(obj, "fw_policy_test"));
	switch_fd = bpf_program__fd(bpf_object__find_program_by_name(obj, "fw_policy_switch"));
	case_fd = bpf_object__find_map_fd_by_name(obj, "fwt_case_v1");
	fds = (struct fw_fds){
		.config = bpf_object__find_map_fd_by_name(obj, "fw_config_v1"),
		.rule = bpf_object__find_map_fd_by_name(obj, "fw_rule_v1"),
		.nat = bpf_object__find_map_fd_by_name(obj, "fw_nat_v2"),
		.hit = bpf_object__find_map_fd_by_name(obj, "fw_hit_v1"),
		.iface = bpf_object__find_map_fd_by_name(obj, "fw_iface_v1"),
	};
	add_if("eth0", ETH0, "203.0.113.5", "2001:db8:1::5");
	add_if("eth1", ETH1, "192.168.1.1", "fd00:1::1");
	add_if("eth2", ETH2, "192.168.2.1", NULL);
	add_if("wg0", WG0, NULL, NULL);
	return 0;
}

static int close_object(void **state)
{
	(void)state;
	bpf_object__close(obj);
	fw_ifs_free(&ifs);
	return 0;
}

int main(void)
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
		cmocka_unit_test(masquerade_takes_the_interfaces_address),
		cmocka_unit_test(nat_to_an_address_and_ports),
		cmocka_unit_test(forwards_take_what_is_the_routers),
		cmocka_unit_test(hairpin_of_a_forward_changes_both_sides),
		cmocka_unit_test(redirects_go_to_the_interface_they_came_by),
		cmocka_unit_test(static_prefixes_translate_both_ways),
		cmocka_unit_test(ranges_of_a_list_share_the_sources),
		cmocka_unit_test(options_reach_the_arguments),
		cmocka_unit_test(link_local_is_never_translated),
		cmocka_unit_test(interface_map_follows_the_machine),
		cmocka_unit_test(a_switch_is_atomic_for_packets),
		cmocka_unit_test(failed_install_keeps_the_rules),
	};

	return cmocka_run_group_tests_name("fw_policy", tests, open_object, close_object) ? 1 : 0;
}
