// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The firewall's hooks between two devices, packet by packet: what waits in the
 * stack on its way, what crosses more than one hook, where it may go.
 *
 *   client 10.0.0.2, fd00:1::2 -- lan [this namespace] wan -- 203.0.113.2, 2001:db8:2::2
 *
 * The neighbours .2 are known; to .3 the way is known, but not the neighbour, so
 * packets go up the stack.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consumers/firewall/fw_conf.h"
#include "tests/bpf/fw_hooks.h"
#include "tests/bpf/lib/play.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define NEXT	TC_ACT_UNSPEC /* FW_NEXT */
#define PENDING 1	      /* FW_MARK_PENDING */

static const uint8_t lan_mac[6] = {2, 0, 0, 0, 0, 1};
static struct bpf_object *hooks;
static int in_fd, out_fd, hook_fd;
static unsigned int lan, wan;
static struct hook_case hook; /* for the next run, and what it left */

static const char *const CLIENT[] = {"10.0.0.2", "fd00:1::2"};
static const char *const ROUTER[] = {"203.0.113.1", "2001:db8:2::1"};
static const char *const NEAR[] = {"203.0.113.2", "2001:db8:2::2"};
static const char *const FAR[] = {"203.0.113.3", "2001:db8:2::3"};

/* Runs a frame through a hook; returns its action. */
static int run_hook(int fd, const uint8_t *in, size_t len, uint8_t *out, size_t *outlen)
{
	struct __sk_buff ctx = {.ifindex = fd == in_fd ? lan : wan,
				.ingress_ifindex = fd == in_fd ? 0 : lan};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = len, .data_out = out,
		    .data_size_out = 600, .repeat = 1, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));
	uint32_t zero = 0;

	hook.fib_lookups = 0;
	assert_int_equal(bpf_map_update_elem(hook_fd, &zero, &hook, BPF_ANY), 0);
	assert_int_equal(run_summed(fd, &opts, true), 0);
	assert_int_equal(bpf_map_lookup_elem(hook_fd, &zero, &hook), 0);
	*outlen = opts.data_size_out;
	return opts.retval;
}

static int hook_frame(int fd, const uint8_t *frame, size_t len, int action, int line)
{
	size_t n;
	int got = run_hook(fd, frame, len, last_out, &n);

	if (got != action)
		fail_msg("line %d: action %d, not %d", line, got, action);
	return n;
}

static size_t frame_of(uint8_t *frame, const struct packet *p)
{
	size_t n = build(frame, p);

	memcpy(frame, lan_mac, 6);
	return n;
}

/* A packet in or out of its hook; what comes out is in last_out. */
static int hook_packet(int fd, const struct packet *p, int action, int line)
{
	uint8_t frame[600];

	return hook_frame(fd, frame, frame_of(frame, p), action, line);
}
#define IN(p, action)  hook_packet(in_fd, (p), (action), __LINE__)
#define OUT(p, action) hook_packet(out_fd, (p), (action), __LINE__)

static void came_out_as(const struct packet *want, size_t n, int line)
{
	uint8_t frame[600];
	size_t len = frame_of(frame, want);

	if (n != len || memcmp(last_out + 14, frame + 14, n - 14)) {
		dump("out", last_out, n);
		dump("want", frame, len);
		fail_msg("line %d: not the packet wanted", line);
	}
}
#define CAME_OUT(want, n) came_out_as((want), (n), __LINE__)

static struct packet client_udp(int six, const char *const to[2])
{
	return (struct packet){.src = CLIENT[six],
			       .dst = to[six],
			       .proto = IPPROTO_UDP,
			       .sport = 5000,
			       .dport = 53,
			       .payload = 100};
}

/* ---- source translation behind the stack ---- */

static void whose_connection_ended_in_the_stack_does_not_leave(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet p = client_udp(six, FAR), x = p;
		uint64_t lost = drops(CT_DROP_NAT_LOST);
		uint16_t mark;

		x.src = ROUTER[six];
		IN(&p, NEXT);
		mark = hook.tc_index;
		CAME_OUT(&x, OUT(&p, NEXT));
		age(31);
		hook.tc_index = mark;
		OUT(&p, TC_ACT_SHOT);
		assert_int_equal(drops(CT_DROP_NAT_LOST), lost + 1);
	}
}

/* ---- several hooks ---- */

static uint64_t packets_of(int six)
{
	struct ct_flow f = flow_of(six ? 6 : 4);

	return f.c.count[0].packets + f.c.count[1].packets;
}

/* A device on another one (macvlan, bridge, bond): egress of both. */
static void a_packet_that_crosses_two_hooks_is_tracked_once(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet p = client_udp(six, FAR), x = p;
		uint32_t *nodes = &core.pins.table[six].nodes;

		x.src = ROUTER[six];
		hook.tc_index = 0xffff; /* whatever the peer's namespace left there */
		IN(&p, NEXT);
		CAME_OUT(&x, OUT(&p, NEXT));
		assert_false(hook.tc_index & PENDING);
		for (int below = 0; below < 2; below++) {
			assert_int_not_equal(hook.tc_index, 0);
			CAME_OUT(&x, OUT(&x, NEXT));
			assert_int_equal(*nodes, 1);
			assert_int_equal(packets_of(six), 1);
		}
		/* The router's own, through the same two. */
		p.src = x.src = ROUTER[six];
		p.sport = x.sport = 6000;
		hook.tc_index = 0;
		OUT(&p, NEXT);
		assert_int_equal(*nodes, 2);
		CAME_OUT(&p, OUT(&p, NEXT));
		assert_int_equal(*nodes, 2);
		/* A tunnel's outer packet inherits the mark, and is another packet. */
		p.dst = NEAR[six];
		OUT(&p, NEXT);
		assert_int_equal(*nodes, 3);
	}
}

/* The fast path marks as well; what is none of ours loses a mark that it came with. */
static void no_mark_from_elsewhere_gets_through(void **state)
{
	struct packet p = client_udp(0, NEAR), x;
	uint8_t frame[600];
	size_t len;

	(void)state;
	hook.tc_index = 0xffff;
	IN(&p, TC_ACT_REDIRECT);
	x = p;
	x.src = ROUTER[0];
	CAME_OUT(&x, OUT(&x, NEXT));
	assert_int_equal(packets_of(0), 1);
	len = frame_of(frame, &p);
	put2(frame + 12, 0x0806);
	hook.tc_index = 0xffff;
	hook_frame(in_fd, frame, len, NEXT, __LINE__);
	assert_int_equal(hook.tc_index, 0);
}

/* ---- where a packet may go ---- */

static void odd_sources_are_for_the_stack_to_judge(void **state)
{
	static const struct {
		const char *src;
		bool odd;
	} t[] = {
		{"10.0.0.2"},	     {"198.51.100.1"},	  {"1.0.0.1"},
		{"126.0.0.1"},	     {"223.255.255.1"},	  {"0.0.0.0", true},
		{"0.1.2.3", true},   {"127.0.0.1", true}, {"224.0.0.5", true},
		{"239.1.1.1", true}, {"240.0.0.1", true}, {"255.255.255.255", true},
		{"fd00:1::2"},	     {"2001:db8:7::1"},	  {"::", true},
		{"::1", true},	     {"fe80::5", true},	  {"ff02::5", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		int six = !!strchr(t[i].src, ':');
		struct packet p = client_udp(six, NEAR);
		uint8_t frame[600];
		size_t n, len;
		int action;

		p.src = t[i].src;
		hook.tc_index = 0;
		len = frame_of(frame, &p);
		action = run_hook(in_fd, frame, len, last_out, &n);
		if (action != (t[i].odd ? NEXT : TC_ACT_REDIRECT))
			fail_msg("%s: action %d", t[i].src, action);
	}
}

/* A route that changes while it is looked up is old, not wrong: the next packet asks again. */
static void a_route_is_kept_under_the_epoch_it_was_asked_in(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet p = client_udp(six, NEAR);

		hook.new_epoch = 0;
		IN(&p, TC_ACT_REDIRECT);
		assert_int_equal(hook.fib_lookups, 1);
		IN(&p, TC_ACT_REDIRECT);
		assert_int_equal(hook.fib_lookups, 0);
		core.pins.settings->route_epoch++;
		hook.new_epoch = 1;
		IN(&p, TC_ACT_REDIRECT);
		assert_int_equal(hook.fib_lookups, 1);
		IN(&p, TC_ACT_REDIRECT);
		assert_int_equal(hook.fib_lookups, 1);
		IN(&p, TC_ACT_REDIRECT);
		assert_int_equal(hook.fib_lookups, 0);
		/* the same when the first packet asks */
		p.sport++;
		hook.new_epoch = 1;
		IN(&p, TC_ACT_REDIRECT);
		IN(&p, TC_ACT_REDIRECT);
		assert_int_equal(hook.fib_lookups, 1);
	}
}

/* ctd has just given a sign of life: routes are kept for its epoch. */
static int reset_hooks(void **state)
{
	struct ct_control req = {.op = CT_CONTROL_CLOCK};

	memset(&hook, 0, sizeof(hook));
	reset(state);
	assert_int_equal(bpfct_control(&core.pins, &req), 0);
	core.pins.settings->heartbeat = req.jiffies;
	return 0;
}

/* Forwarded by the fast path: addresses, hop limit and, for the kernel to check, skb->csum. */
static void what_is_forwarded_keeps_the_sum_of_the_whole(void **state)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE, 50};

	(void)state;
	for (int six = 0; six < 2; six++)
		for (size_t i = 0; i <= sizeof(protos); i++) {
			struct packet p = client_udp(six, NEAR), x;

			p.proto = protos[i % sizeof(protos)];
			p.tcp = 2; /* SYN */
			p.no_csum = i == sizeof(protos);
			if (p.no_csum)
				p.proto = IPPROTO_UDP;
			x = p;
			x.src = ROUTER[six];
			x.ttl = 63;
			reset_hooks(NULL);
			CAME_OUT(&x, IN(&p, TC_ACT_REDIRECT));
		}
}

/* ---- set-up ---- */

static void sh(const char *command)
{
	if (system(command)) {
		print_error("failed: %s\n", command);
		exit(1);
	}
}

static void make_links(void)
{
	static const char *const commands[] = {
		"ip link add lan address 02:00:00:00:00:01 type veth peer name lanp",
		"ip link add wan address 02:00:00:00:00:02 type veth peer name wanp",
		"sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 "
		"net.ipv6.conf.all.accept_dad=0",
		"for d in lan lanp wan wanp; do ip link set $d up || exit; done",
		"ip addr add 10.0.0.1/24 dev lan; ip addr add fd00:1::1/64 dev lan nodad",
		"ip addr add 203.0.113.1/24 dev wan; ip addr add 2001:db8:2::1/64 dev wan nodad",
		"ip neigh add 203.0.113.2 lladdr 02:00:00:00:00:12 dev wan nud permanent",
		"ip neigh add 2001:db8:2::2 lladdr 02:00:00:00:00:12 dev wan nud permanent",
	};

	if (unshare(CLONE_NEWNET))
		exit(1);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		sh(commands[i]);
	lan = if_nametoindex("lan");
	wan = if_nametoindex("wan");
}

static void load_rules(void)
{
	static const char text[] = "set default pass\nset antispoof off\nset inside lan\n"
				   "nat out on wan from 10.0.0.0/24 -> (wan)\n"
				   "nat out on wan from fd00:1::/64 -> (wan)\n";
	const struct fw_fds fds = {
		.config = bpf_object__find_map_fd_by_name(hooks, "fw_config_v1"),
		.rule = bpf_object__find_map_fd_by_name(hooks, "fw_rule_v2"),
		.nat = bpf_object__find_map_fd_by_name(hooks, "fw_nat_v2"),
		.hit = bpf_object__find_map_fd_by_name(hooks, "fw_hit_v1"),
		.iface = bpf_object__find_map_fd_by_name(hooks, "fw_iface_v2"),
		.near = bpf_object__find_map_fd_by_name(hooks, "fw_near_v2"),
	};
	struct fw_rules rules;
	struct fw_conf *conf;
	struct fw_ifs ifs;

	assert_int_equal(fw_ifs_read(&ifs), 0);
	assert_int_equal(fw_conf_parse_text("test", text, strlen(text), &conf, stderr), 0);
	assert_int_equal(fw_conf_compile(conf, &ifs, &rules, stderr), 0);
	assert_int_equal(fw_rules_install(&rules, &fds), 0);
	assert_int_equal(fw_ifs_install(&rules, &ifs, 0, NULL, 0, &fds), 0);
	fw_rules_free(&rules);
	fw_conf_free(conf);
	fw_ifs_free(&ifs);
}

static int set_up_hooks(void **state)
{
	make_links();
	if (core_up(state))
		return -1;
	hooks = open_shared("fw_hooks.bpf.o");
	in_fd = prog(hooks, "hook_in");
	out_fd = prog(hooks, "hook_out");
	hook_fd = bpf_object__find_map_fd_by_name(hooks, "hook_case_v1");
	load_rules();
	return 0;
}

static int tear_down_hooks(void **state)
{
	bpf_object__close(hooks);
	return core_down(state);
}

#define TEST(f) cmocka_unit_test_setup(f, reset_hooks)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(whose_connection_ended_in_the_stack_does_not_leave),
		TEST(a_packet_that_crosses_two_hooks_is_tracked_once),
		TEST(no_mark_from_elsewhere_gets_through),
		TEST(odd_sources_are_for_the_stack_to_judge),
		TEST(a_route_is_kept_under_the_epoch_it_was_asked_in),
		TEST(what_is_forwarded_keeps_the_sum_of_the_whole),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("fw_hooks", tests, set_up_hooks, tear_down_hooks) ? 1
											     : 0;
}
