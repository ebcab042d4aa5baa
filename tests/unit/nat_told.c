// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Who is told that there is no port left, and how often (userspace/lib/nat_told.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>

#include "../../userspace/lib/nat_told.h"

static struct nat_need packet4(const char *src, const char *dst, uint8_t proto, uint8_t type)
{
	struct nat_need n = {.family = 4, .ifindex = 3, .flags = NAT_NEED_ICMP | NAT_NEED_INSIDE};
	struct iphdr ip = {.version = 4, .ihl = 5, .protocol = proto};

	ip.saddr = inet_addr(src);
	ip.daddr = inet_addr(dst);
	memcpy(n.head, &ip, sizeof(ip));
	n.head[sizeof(ip)] = type;
	n.len = sizeof(ip) + 8;
	return n;
}

static struct nat_need packet6(const char *src, const char *dst, uint8_t proto, uint8_t type)
{
	struct nat_need n = {.family = 6, .ifindex = 3, .flags = NAT_NEED_ICMP | NAT_NEED_INSIDE};
	struct ip6_hdr ip = {.ip6_nxt = proto};

	inet_pton(AF_INET6, src, &ip.ip6_src);
	inet_pton(AF_INET6, dst, &ip.ip6_dst);
	memcpy(n.head, &ip, sizeof(ip));
	n.head[sizeof(ip)] = type;
	n.len = sizeof(ip) + 8;
	return n;
}

static bool askable(struct nat_need n)
{
	__be32 source[4];

	return nat_told_askable(&n, source);
}

static void unicast_senders_of_queries_and_data_are_told(void **state)
{
	struct nat_need n = packet4("10.0.0.2", "192.0.2.1", IPPROTO_TCP, 0);
	__be32 source[4];

	(void)state;
	assert_true(nat_told_askable(&n, source));
	assert_int_equal(source[0], inet_addr("10.0.0.2"));
	assert_int_equal(source[1] | source[2] | source[3], 0);
	assert_true(askable(packet4("10.0.0.2", "192.0.2.1", IPPROTO_ICMP, 8)));
	assert_true(askable(packet4("10.0.0.2", "192.0.2.1", IPPROTO_GRE, 0)));
	assert_true(askable(packet6("fd00::2", "2001:db8::1", IPPROTO_UDP, 0)));
	assert_true(askable(packet6("fd00::2", "2001:db8::1", IPPROTO_ICMPV6, 128)));
}

static void icmp_errors_are_never_answered(void **state)
{
	static const uint8_t errors[] = {3, 4, 5, 11, 12};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(errors); i++)
		assert_false(askable(packet4("10.0.0.2", "192.0.2.1", IPPROTO_ICMP, errors[i])));
	assert_false(askable(packet4("10.0.0.2", "192.0.2.1", IPPROTO_ICMP, 0))); /* a reply */
	for (i = 1; i < 5; i++)
		assert_false(askable(packet6("fd00::2", "2001:db8::1", IPPROTO_ICMPV6, i)));
}

static void multicast_broadcast_and_nobody_are_never_answered(void **state)
{
	static const char *const bad[] = {"224.0.0.1", "239.1.2.3", "255.255.255.255", "0.0.0.0",
					  "127.0.0.1", "240.0.0.1", "0.1.2.3"};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(askable(packet4(bad[i], "192.0.2.1", IPPROTO_UDP, 0)));
		assert_false(askable(packet4("10.0.0.2", bad[i], IPPROTO_UDP, 0)));
	}
	assert_false(askable(packet6("::", "2001:db8::1", IPPROTO_UDP, 0)));
	assert_false(askable(packet6("ff02::1", "2001:db8::1", IPPROTO_UDP, 0)));
	assert_false(askable(packet6("fd00::2", "ff0e::1", IPPROTO_UDP, 0)));
}

static void what_came_from_outside_or_is_cut_is_never_answered(void **state)
{
	struct nat_need n = packet4("10.0.0.2", "192.0.2.1", IPPROTO_TCP, 0);
	struct iphdr *ip = (void *)n.head;

	(void)state;
	n.flags = NAT_NEED_ICMP;
	assert_false(askable(n));
	n.flags |= NAT_NEED_INSIDE;
	assert_true(askable(n));
	n.ifindex = 0;
	assert_false(askable(n));
	n.ifindex = 3;
	n.len = 27;
	assert_false(askable(n));
	n.len = 28;
	ip->frag_off = htons(100); /* not the first fragment */
	assert_false(askable(n));
	ip->frag_off = 0;
	ip->ihl = 15;
	assert_false(askable(n));
}

/* Any window of one second, not only those that begin with a full one. */
static void no_second_has_more_than_ten_of_a_source(void **state)
{
	struct nat_told *t = calloc(1, sizeof(*t));
	static uint64_t when[4096];
	__be32 source[4] = {1};
	uint32_t n = 0, i;
	uint64_t now = 5000;

	(void)state;
	srand(1);
	for (i = 0; i < 20000; i++) {
		now += rand() % 7;
		if (nat_told_may(t, source, now) && n < 4096)
			when[n++] = now;
	}
	assert_true(n > 500 && n < 700); /* 60 s: it goes on, and at the full rate */
	for (i = 0; i + 10 < n; i++)
		assert_true(when[i + 10] - when[i] >= 1000);
	assert_true(when[9] - when[0] < 1000);
	free(t);
}

static void no_second_has_more_than_a_hundred_in_all(void **state)
{
	struct nat_told *t = calloc(1, sizeof(*t));
	static uint64_t when[8192];
	uint64_t now = 5000;
	uint32_t n = 0, i;

	(void)state;
	srand(2);
	for (i = 0; i < 40000; i++) {
		__be32 source[4] = {1 + rand() % 3000};

		now += rand() % 3;
		if (nat_told_may(t, source, now) && n < 8192)
			when[n++] = now;
	}
	assert_true(n > 3500);
	for (i = 0; i + 100 < n; i++)
		assert_true(when[i + 100] - when[i] >= 1000);
	free(t);
}

/* One that storms leaves the rest of the hundred to others. */
static void a_storm_of_one_source_leaves_room_for_others(void **state)
{
	struct nat_told *t = calloc(1, sizeof(*t));
	__be32 one[4] = {1}, other[4] = {2};
	uint32_t i, n = 0;

	(void)state;
	for (i = 0; i < 1000; i++)
		n += nat_told_may(t, one, 9000 + i / 10);
	assert_int_equal(n, 10);
	assert_true(nat_told_may(t, other, 9100));
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unicast_senders_of_queries_and_data_are_told),
		cmocka_unit_test(icmp_errors_are_never_answered),
		cmocka_unit_test(multicast_broadcast_and_nobody_are_never_answered),
		cmocka_unit_test(what_came_from_outside_or_is_cut_is_never_answered),
		cmocka_unit_test(no_second_has_more_than_ten_of_a_source),
		cmocka_unit_test(no_second_has_more_than_a_hundred_in_all),
		cmocka_unit_test(a_storm_of_one_source_leaves_room_for_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
