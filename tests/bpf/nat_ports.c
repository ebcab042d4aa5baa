// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Which external port a connection gets, and when it is free again: pools and rings
 * as ctd fills them, packets by BPF_PROG_RUN, whole packets compared.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#include "tests/bpf/lib/pool.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

static const char *const host[2][2] = {{"10.0.0.2", "10.0.0.3"},
				       {"2001:db8:10::2", "2001:db8:10::3"}};

static const struct {
	uint8_t proto;
	uint8_t class;
} kinds[] = {{IPPROTO_UDP, NAT_UDP},
	     {IPPROTO_TCP, NAT_TCP},
	     {IPPROTO_SCTP, NAT_SCTP},
	     {IPPROTO_ICMP, NAT_ICMP}};

static struct packet first(int six, uint8_t proto, unsigned int who, uint16_t port)
{
	return (struct packet){.src = host[six][who],
			       .dst = S[six],
			       .proto = proto == IPPROTO_ICMP ? ICMP_OF(six) : proto,
			       .sport = port,
			       .dport = 80,
			       .tcp = 0x02,
			       .seq = 9,
			       .type = six ? 128 : 8,
			       .id = port,
			       .payload = proto == IPPROTO_TCP || proto == IPPROTO_SCTP ? 0 : 12};
}

static struct packet outside(struct packet p, int six, uint16_t port)
{
	p.src = E[six];
	p.sport = p.id = port;
	return p;
}

static void a_kept_port_is_counted_until_its_stub_goes(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++)
		for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
			struct packet p = first(six, kinds[i].proto, 0, 2100);
			struct packet x = outside(p, six, 2100);
			unsigned int pool = pool_of(0, kinds[i].class);

			pools_reset(NULL);
			make_pools(six, 1, 0);
			use_pools(six, 1, 0);
			THROUGH(&p, NEW, &x);
			assert_int_equal(use_of(pool, 2100), 1);
			assert_int_equal(path_of(pool, NAT_PATH_KEPT), 1);
			assert_int_equal(claims_of(pool), 1);
			age(1000);
			sweep();
			age(2);
			sweep();
			assert_int_equal(nat_uses(use_of(pool, 2100)), 0);
			/* A second may have begun since. */
			assert_in_range((nat_use_stamp(bpfct_now(&core.pins)) -
					 nat_use_released(use_of(pool, 2100))) &
						0xfff,
					0, 1);
			assert_int_equal(claims_of(pool), 0);
		}
}

/* Two hosts with one source port to one server (I2): the second gets the lease, and
 * its whole packet is right, SCTP's CRC32c included. */
static void a_taken_port_is_replaced_by_a_lease(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++)
		for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
			struct packet a = first(six, kinds[i].proto, 0, 2100);
			struct packet b = first(six, kinds[i].proto, 1, 2100);
			struct packet xa = outside(a, six, 2100), xb = outside(b, six, 2222);
			unsigned int pool = pool_of(0, kinds[i].class);

			pools_reset(NULL);
			make_pools(six, 1, 0);
			use_pools(six, 1, 0);
			lease(pool, 0, 2222);
			THROUGH(&a, NEW, &xa);
			THROUGH(&b, NEW, &xb);
			assert_int_equal(path_of(pool, NAT_PATH_LEASED), 1);
			assert_int_equal(use_of(pool, 2222), 1);
			/* And the answer finds the second host. */
			struct packet r = xb, xr;

			r.src = S[six];
			r.dst = E[six];
			r.sport = 80;
			r.dport = 2222;
			r.tcp = 0x12;
			r.ack = 10;
			r.type = six ? 129 : 0;
			if (kinds[i].proto == IPPROTO_SCTP)
				continue; /* an INIT the other way is none of its answers */
			xr = r;
			xr.dst = host[six][1];
			xr.dport = xr.id = 2100;
			THROUGH(&r, REPLIED, &xr);
		}
}

static void hundreds_of_hosts_with_one_port_to_one_server(void **state)
{
	char src[INET_ADDRSTRLEN];
	struct packet p;
	uint32_t addr;

	(void)state;
	pools_reset(NULL);
	make_pools(0, 1, 0);
	use_pools(0, 1, 0);
	for (unsigned int i = 0; i < 600; i++) {
		addr = htonl(0x0a010000 + i);
		inet_ntop(AF_INET, &addr, src, sizeof(src));
		p = first(0, IPPROTO_UDP, 0, 2100);
		p.src = src;
		if (i % 2)
			lease(pool_of(0, NAT_UDP), 0, POOL_LOW + 300 + i);
		THROUGH(&p, NEW, NULL);
	}
	assert_int_equal(claims_of(pool_of(0, NAT_UDP)), 600);
	assert_int_equal(core.pins.table[0].stubs, 600);
	assert_true(path_of(pool_of(0, NAT_UDP), NAT_PATH_FALLBACK) > 0);
}

static void an_empty_ring_asks_once_then_ports_are_tried_at_random(void **state)
{
	unsigned int pool = pool_of(0, NAT_UDP), port;
	struct packet a = first(0, IPPROTO_UDP, 0, 2100), b = first(0, IPPROTO_UDP, 1, 2100);
	struct nat_need need;

	(void)state;
	pools_reset(NULL);
	make_pools(0, 1, 0);
	use_pools(0, 1, 0);
	THROUGH(&a, NEW, NULL);
	assert_int_equal(next_need(&need), 0);
	for (int i = 0; i < 3; i++) {
		b.dport = 80 + i;
		a.dport = 81 + i;
		THROUGH(&b, NEW, NULL);
		port = last_sport(0);
		assert_true(port >= POOL_LOW && port <= POOL_HIGH);
		THROUGH(&a, NEW, NULL);
	}
	assert_true(path_of(pool, NAT_PATH_FALLBACK) >= 1);
	assert_int_equal(next_need(&need), 1);
	assert_int_equal(need.kind, NAT_NEED_PORTS);
	assert_int_equal(need.pool, pool);
	assert_int_equal(next_need(&need), 0); /* one is under way */
	assert_int_equal(nat_pools[pool].asked, 1);
}

static void another_cpus_lease_is_stolen(void **state)
{
	struct packet a = first(0, IPPROTO_UDP, 0, 2100), b = first(0, IPPROTO_UDP, 1, 2100);
	struct packet x = outside(b, 0, 2345);

	(void)state;
	if (libbpf_num_possible_cpus() < 2)
		skip();
	pools_reset(NULL);
	make_pools(0, 1, 0);
	use_pools(0, 1, 0);
	lease(pool_of(0, NAT_UDP), 1, 2345);
	THROUGH(&a, NEW, NULL);
	THROUGH(&b, NEW, &x);
	assert_int_equal(path_of(pool_of(0, NAT_UDP), NAT_PATH_STOLEN), 1);
}

/* Kept, leased and random ones alike: 2 of 1,024 are left, and no others come out. */
static void reserved_ports_are_never_used(void **state)
{
	struct packet p = first(0, IPPROTO_UDP, 0, 2100);
	unsigned int pool = pool_of(0, NAT_UDP), got = 0;

	(void)state;
	pools_reset(NULL);
	make_pools(0, 1, 0);
	use_pools(0, 1, 0);
	memset(&nat_reserved[NAT_UDP], 0xff, sizeof(nat_reserved[NAT_UDP]));
	nat_reserved[NAT_UDP].word[2500 / 64] &= ~(3ULL << 2500 % 64);
	lease(pool, 0, 2111);
	lease(pool, 0, 2500);
	THROUGH(&p, NEW, NULL);
	assert_int_equal(last_sport(0), 2500);
	/* Towards this server only 2501 is left; random tries may miss it. */
	for (unsigned int i = 0; i < 2000 && !got; i++) {
		uint8_t in[600], out[600];
		size_t n, len;

		p.sport = 2101 + i % 300;
		n = build(in, &p);
		how.l2 = 1;
		if (play_frame(in, n, out, &len).verdict == NEW)
			got = out[34] << 8 | out[35];
	}
	assert_int_equal(got, 2501);
}

static void a_sockets_port_is_not_used(void **state)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
	struct packet p;
	int fd, type;

	(void)state;
	for (int six = 0; six < 2; six++)
		for (int tcp = 0; tcp < 2; tcp++) {
			socklen_t len = sizeof(any);

			any.sin6_port = 0;
			type = tcp ? SOCK_STREAM : SOCK_DGRAM;
			fd = socket(AF_INET6, type, 0);
			assert_true(fd >= 0);
			for (uint16_t port = POOL_LOW; port <= POOL_HIGH; port++) {
				any.sin6_port = htons(port);
				if (!bind(fd, (struct sockaddr *)&any, len))
					break;
			}
			if (tcp)
				assert_int_equal(listen(fd, 1), 0);
			p = first(six, tcp ? IPPROTO_TCP : IPPROTO_UDP, 0, ntohs(any.sin6_port));
			pools_reset(NULL);
			make_pools(six, 1, NAT_POOL_LOCAL);
			use_pools(six, 1, 0);
			THROUGH(&p, NEW, NULL);
			assert_int_not_equal(last_sport(six), p.sport);
			close(fd);
			/* Without it the port is kept. */
			pools_reset(NULL);
			make_pools(six, 1, NAT_POOL_LOCAL);
			use_pools(six, 1, 0);
			THROUGH(&p, NEW, NULL);
			assert_int_equal(last_sport(six), p.sport);
		}
}

static void low_ports_stay_low(void **state)
{
	struct packet a = first(0, IPPROTO_UDP, 0, 600), b = first(0, IPPROTO_UDP, 1, 600);

	(void)state;
	pools_reset(NULL);
	make_pools(0, 1, 0);
	use_pools(0, 1, 0);
	lease(pool_of(0, NAT_UDP), 0, 2345);
	THROUGH(&a, NEW, NULL);
	assert_int_equal(last_sport(0), 600);
	THROUGH(&b, NEW, NULL);
	assert_in_range(last_sport(0), 1, 1023);
	assert_int_not_equal(last_sport(0), 600);
}

static void parity_is_the_senders(void **state)
{
	(void)state;
	for (uint16_t port = 2100; port < 2102; port++) {
		struct packet a = first(0, IPPROTO_UDP, 0, port);
		struct packet b = first(0, IPPROTO_UDP, 1, port);
		unsigned int pool = pool_of(0, NAT_UDP);

		pools_reset(NULL);
		make_pools(0, 1, NAT_POOL_PARITY);
		use_pools(0, 1, CT_NAT_PARITY);
		lease(pool, 0, 2400);
		lease(pool, 1, 2401);
		THROUGH(&a, NEW, NULL);
		THROUGH(&b, NEW, NULL);
		assert_int_equal(last_sport(0), port % 2 ? 2401 : 2400);
		/* And at random, when nothing is leased. */
		for (unsigned int i = 0; i < 20; i++) {
			a.dport = b.dport = 1000 + i;
			THROUGH(&a, NEW, NULL);
			THROUGH(&b, NEW, NULL);
			assert_int_equal(last_sport(0) % 2, port % 2);
		}
	}
}

/* Every port of the pool used towards one server: the next is refused, counted, and
 * ctd gets the packet's head. */
static void exhaustion_is_a_counted_drop_and_told(void **state)
{
	unsigned int pool = pool_of(0, NAT_UDP);
	struct packet p = first(0, IPPROTO_UDP, 0, 2100);
	uint64_t before = drops(CT_DROP_NAT_EXHAUSTED);
	struct nat_need need;
	uint8_t frame[600];
	size_t n;

	(void)state;
	pools_reset(NULL);
	make_pools(0, 1, 0);
	use_pools(0, 1, CT_NAT_ICMP);
	memset(&nat_reserved[NAT_UDP], 0xff, sizeof(nat_reserved[NAT_UDP]));
	THROUGH(&p, -CT_DROP_NAT_EXHAUSTED, NULL);
	assert_int_equal(drops(CT_DROP_NAT_EXHAUSTED), before + 1);
	assert_int_equal(nat_heads[nat_pools[pool].head_base].refused, 1);
	do
		assert_int_equal(next_need(&need), 1);
	while (need.kind == NAT_NEED_PORTS);
	assert_int_equal(need.kind, NAT_NEED_EXHAUSTED);
	assert_int_equal(need.pool, pool);
	assert_int_equal(need.reason, CT_DROP_NAT_EXHAUSTED);
	assert_int_equal(need.flags, NAT_NEED_ICMP | NAT_NEED_INSIDE);
	assert_int_equal(need.family, 4);
	n = build(frame, &p);
	assert_int_equal(need.len, n - 14);
	assert_memory_equal(need.head, frame + 14, n - 14);
	assert_int_equal(core.pins.table[0].nodes, 0);
	assert_int_equal(core.pins.table[0].stubs, 0);
	/* Told at a bounded rate. */
	for (unsigned int i = 0; i < 200; i++)
		THROUGH(&p, -CT_DROP_NAT_EXHAUSTED, NULL);
	for (n = 0; next_need(&need); n++)
		;
	assert_in_range(n, 1, 200 - 1);
}

static void blocks_are_the_ones_that_arithmetic_says(void **state)
{
	(void)state;
	pools_reset(NULL);
	make_pools(0, 2, 0);
	use_pools(0, 2, CT_NAT_BLOCK);
	how.nat.block_size = 64;
	how.nat.block_base = 0x0a000000;
	/* 16 blocks an address: 10.0.0.2 has the third of the first. */
	for (unsigned int i = 0; i < 64; i++) {
		struct packet p = first(0, IPPROTO_UDP, 0, 50000 + i);

		THROUGH(&p, NEW, NULL);
		assert_in_range(last_sport(0), POOL_LOW + 128, POOL_LOW + 191);
	}
	assert_int_equal(path_of(pool_of(0, NAT_UDP), NAT_PATH_BLOCK), 64);
	/* Full towards this server: refused, not taken from the neighbour. */
	struct packet p = first(0, IPPROTO_UDP, 0, 60000), far = p;

	THROUGH(&p, -CT_DROP_NAT_EXHAUSTED, NULL);
	far.src = "10.0.0.18";
	THROUGH(&far, NEW, NULL);
	assert_int_equal(claims_of(pool_of(1, NAT_UDP)), 1);
	far.src = "10.0.0.32";
	THROUGH(&far, -CT_DROP_NAT_NO_ADDRESS, NULL);
}

/* A block of 512 of which all ports but one have a connection, to anywhere: that one is
 * found, whichever it is. Then those that are used towards others serve. */
static void the_last_free_port_of_a_block_is_found(void **state)
{
	unsigned int pool = pool_of(0, NAT_UDP);

	(void)state;
	for (unsigned int last = 0; last < 512; last += 73) {
		struct packet p = first(0, IPPROTO_UDP, 0, 50000);

		pools_reset(NULL);
		make_pools(0, 1, 0);
		use_pools(0, 1, CT_NAT_BLOCK);
		how.nat.block_size = 512;
		how.nat.block_base = 0x0a000002;
		core.pins.settings->half_share = UINT32_MAX; /* until the next reset */
		for (unsigned int i = 0; i < 512; i++) {
			if (i == last)
				continue;
			p.sport = POOL_LOW + i;
			THROUGH(&p, NEW, NULL);
			assert_int_equal(last_sport(0), p.sport);
		}
		assert_int_equal(path_of(pool, NAT_PATH_KEPT), 511);
		p.sport = 50000;
		THROUGH(&p, NEW, NULL);
		assert_int_equal(last_sport(0), POOL_LOW + last);
		p.sport = 50001;
		THROUGH(&p, -CT_DROP_NAT_EXHAUSTED, NULL);
		p.dport = 81;
		THROUGH(&p, NEW, NULL);
		assert_in_range(last_sport(0), POOL_LOW, POOL_LOW + 511);
	}
}

/* One that is reserved is none, however many of them lie before a free one. */
static void reserved_ports_do_not_hide_a_blocks_free_one(void **state)
{
	struct packet p = first(0, IPPROTO_UDP, 0, 50000);

	(void)state;
	pools_reset(NULL);
	make_pools(0, 1, 0);
	use_pools(0, 1, CT_NAT_BLOCK);
	how.nat.block_size = 512;
	how.nat.block_base = 0x0a000002;
	memset(&nat_reserved[NAT_UDP], 0xff, sizeof(nat_reserved[NAT_UDP]));
	nat_reserved[NAT_UDP].word[(POOL_LOW + 300) / 64] &= ~(1ULL << (POOL_LOW + 300) % 64);
	THROUGH(&p, NEW, NULL);
	assert_int_equal(last_sport(0), POOL_LOW + 300);
}

/* OVS's `hash`: the same tuple gets the same address and port each time, others others;
 * `persistent` (as without a word): a host's address is the same towards everybody. Both
 * again when all maps are new, as after a restart: persistent needs no secret. */
static void hash_and_persistent_map_the_same_again(void **state)
{
	unsigned int ports[2][40], distinct = 0, moved = 0;
	uint8_t address[2][40], seen[65536] = {0};

	(void)state;
	for (unsigned int turn = 0; turn < 2; turn++) {
		struct packet p = first(0, IPPROTO_UDP, 0, 2100);

		pools_reset(NULL);
		make_pools(0, 4, 0);
		use_pools(0, 4, CT_NAT_HASH);
		for (unsigned int i = 0; i < 40; i++) {
			p.dport = 80 + i;
			THROUGH(&p, NEW, NULL);
			ports[turn][i] = last_sport(0);
			address[turn][i] = last_out[14 + 15];
			distinct += !turn && !seen[last_sport(0)]++;
			moved += !turn && address[0][i] != address[0][0];
		}
		assert_int_equal(path_of(pool_of(0, NAT_UDP), NAT_PATH_HASHED) +
					 path_of(pool_of(1, NAT_UDP), NAT_PATH_HASHED) +
					 path_of(pool_of(2, NAT_UDP), NAT_PATH_HASHED) +
					 path_of(pool_of(3, NAT_UDP), NAT_PATH_HASHED),
				 40);
	}
	assert_memory_equal(ports[0], ports[1], sizeof(ports[0]));
	assert_memory_equal(address[0], address[1], sizeof(address[0]));
	assert_true(distinct > 30 && moved > 10);
	for (unsigned int turn = 0; turn < 2; turn++) {
		struct packet p = first(0, IPPROTO_UDP, 0, 2100);
		uint64_t secret[2];

		memcpy(secret, core.pins.settings->secret, sizeof(secret));
		core.pins.settings->secret[0] ^= turn;
		core.pins.settings->secret[1] += turn;
		pools_reset(NULL);
		make_pools(0, 4, 0);
		use_pools(0, 4, CT_NAT_PERSISTENT);
		for (unsigned int i = 0; i < 40; i++) {
			p.dport = 80 + i;
			THROUGH(&p, NEW, NULL);
			assert_int_equal(last_sport(0), 2100);
			address[turn][i] = last_out[14 + 15];
			assert_int_equal(address[turn][i], address[0][0]);
		}
		memcpy(core.pins.settings->secret, secret, sizeof(secret));
	}
}

static void a_host_keeps_its_address_and_only_paired_insists(void **state)
{
	unsigned int mine = 0;

	(void)state;
	for (unsigned int paired = 0; paired < 2; paired++) {
		struct packet p = first(0, IPPROTO_UDP, 0, 2100);

		pools_reset(NULL);
		make_pools(0, 4, 0);
		use_pools(0, 4, paired ? CT_NAT_PAIRED : 0);
		for (unsigned int i = 0; i < 40; i++) {
			p.sport = 2100 + i;
			THROUGH(&p, NEW, NULL);
		}
		for (unsigned int n = 0; n < 4; n++)
			if (claims_of(pool_of(n, NAT_UDP)) == 40)
				mine = n;
		assert_int_equal(claims_of(pool_of(mine, NAT_UDP)), 40);
		/* Its address shows 40 of 40 ports to this server. */
		nat_pools[pool_of(mine, NAT_UDP)].port_min = 2100;
		nat_pools[pool_of(mine, NAT_UDP)].port_max = 2139;
		p.src = host[0][0];
		p.sport = 2500;
		THROUGH(&p, paired ? -CT_DROP_NAT_EXHAUSTED : NEW, NULL);
		nat_pools[pool_of(mine, NAT_UDP)].port_min = POOL_LOW;
		nat_pools[pool_of(mine, NAT_UDP)].port_max = POOL_HIGH;
		age(1000);
		sweep();
		age(2);
		sweep();
		/* Counted down under other bounds than up: start anew. */
		for (unsigned int n = 0; n < 4; n++)
			memset(&nat_pools[pool_of(n, NAT_UDP)], 0, sizeof(*nat_pools));
	}
}

/* Who can tell whose call id a GRE packet from outside carries? A protocol without ports
 * has one tuple an address and a server: clients of one server get an address each, and
 * their answers; who finds none left is refused, and nobody else is hurt. */
static void gre_clients_of_one_server_get_an_address_each(void **state)
{
	static const char *const third[2] = {"10.0.0.4", "2001:db8:10::4"};

	(void)state;
	for (int six = 0; six < 2; six++) {
		size_t at = 14 + (six ? 8 : 12), len = six ? 16 : 4;
		uint8_t outside[2][16];
		struct packet p = {.proto = IPPROTO_GRE, .dst = S[six], .payload = 16};
		struct packet r = {.proto = IPPROTO_GRE, .src = S[six], .payload = 16}, x;
		char text[INET6_ADDRSTRLEN];

		pools_reset(NULL);
		make_pools(six, 2, 0);
		use_pools(six, 2, 0);
		for (unsigned int who = 0; who < 2; who++) {
			p.src = host[six][who];
			THROUGH(&p, NEW, NULL);
			memcpy(outside[who], last_out + at, len);
		}
		assert_memory_not_equal(outside[0], outside[1], len);
		p.src = third[six];
		THROUGH(&p, -CT_DROP_NAT_EXHAUSTED, NULL);
		for (unsigned int who = 0; who < 2; who++) {
			r.dst = inet_ntop(six ? AF_INET6 : AF_INET, outside[who], text,
					  sizeof(text));
			x = r;
			x.dst = host[six][who];
			THROUGH(&r, REPLIED, &x);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kept_port_is_counted_until_its_stub_goes),
		cmocka_unit_test(a_taken_port_is_replaced_by_a_lease),
		cmocka_unit_test(hundreds_of_hosts_with_one_port_to_one_server),
		cmocka_unit_test(an_empty_ring_asks_once_then_ports_are_tried_at_random),
		cmocka_unit_test(another_cpus_lease_is_stolen),
		cmocka_unit_test(reserved_ports_are_never_used),
		cmocka_unit_test(a_sockets_port_is_not_used),
		cmocka_unit_test(low_ports_stay_low),
		cmocka_unit_test(parity_is_the_senders),
		cmocka_unit_test(exhaustion_is_a_counted_drop_and_told),
		cmocka_unit_test(blocks_are_the_ones_that_arithmetic_says),
		cmocka_unit_test(the_last_free_port_of_a_block_is_found),
		cmocka_unit_test(reserved_ports_do_not_hide_a_blocks_free_one),
		cmocka_unit_test(hash_and_persistent_map_the_same_again),
		cmocka_unit_test(a_host_keeps_its_address_and_only_paired_insists),
		cmocka_unit_test(gre_clients_of_one_server_get_an_address_each),
	};

	return cmocka_run_group_tests(tests, pools_up, pools_down);
}
