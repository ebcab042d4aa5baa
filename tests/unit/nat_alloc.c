// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The port space of a pool (userspace/lib/nat_alloc.c). */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nat_alloc.h"

static void every_port_is_taken_once_and_no_other(void **state)
{
	struct nat_alloc_conf conf = conf_of(1000, 3999, true);
	static uint8_t seen[65536];
	struct nat_alloc a;
	uint16_t port;
	int i;

	(void)state;
	memset(seen, 0, sizeof(seen));
	assert_int_equal(nat_alloc_init(&a, &conf), 0);
	for (i = 0; i < 3000; i++) {
		assert_int_equal(nat_alloc_take(&a, NAT_SET_ANY, &port), 0);
		assert_in_range(port, 1000, 3999);
		assert_int_equal(seen[port]++, 0);
	}
	assert_int_equal(nat_alloc_take(&a, NAT_SET_ANY, &port), -ENOSPC);
	assert_int_equal(a.leased, 3000);
	nat_alloc_fini(&a);
}

static void ranges_that_cannot_be_are_refused(void **state)
{
	struct nat_alloc_conf conf = conf_of(2000, 1999, true);
	struct nat_alloc a;

	(void)state;
	assert_int_equal(nat_alloc_init(&a, &conf), -EINVAL);
	conf = conf_of(1, 2, true);
	conf.hold = NAT_ALLOC_TIME_MAX + 1;
	assert_int_equal(nat_alloc_init(&a, &conf), -EINVAL);
	conf = conf_of(0, 65535, true); /* ICMP ids: all of them */
	assert_int_equal(nat_alloc_init(&a, &conf), 0);
	assert_int_equal(a.ports, 65536);
	nat_alloc_fini(&a);
}

static void classes_keep_parity_and_range(void **state)
{
	struct nat_alloc_conf conf = conf_of(1000, 1099, true);
	struct nat_alloc a;
	uint16_t port;
	unsigned int c;
	int n;

	(void)state;
	assert_int_equal(nat_alloc_init(&a, &conf), 0);
	for (c = 0; c < NAT_SETS; c++) {
		for (n = 0; !nat_alloc_take(&a, NAT_SET_BIT(c), &port); n++)
			assert_int_equal(nat_set_of(port), c);
		assert_int_equal(n, c & NAT_LOW ? 12 : 38);
	}
	nat_alloc_fini(&a);
}

static void an_ended_use_is_held_down_then_free(void **state)
{
	struct nat_alloc_conf conf = conf_of(5000, 5000, true);
	uint32_t use = 0;
	struct nat_alloc a;
	uint16_t port;

	(void)state;
	assert_int_equal(nat_alloc_init(&a, &conf), 0);
	assert_int_equal(nat_alloc_take(&a, NAT_SET_ANY, &port), 0);
	nat_alloc_taken(&a, port, 10);
	use = word(1, 0);
	nat_alloc_scan(&a, &use, 12);
	assert_int_equal(nat_alloc_life(&a, 5000), NAT_USED);
	use = word(0, 70000); /* does not fit into 12 bits */
	nat_alloc_scan(&a, &use, 70001);
	assert_int_equal(nat_alloc_life(&a, 5000), NAT_HELD);
	nat_alloc_scan(&a, &use, 70099);
	assert_int_equal(nat_alloc_take(&a, NAT_SET_ANY, &port), -ENOSPC);
	nat_alloc_scan(&a, &use, 70100);
	assert_int_equal(nat_alloc_take(&a, NAT_SET_ANY, &port), 0);
	nat_alloc_fini(&a);
}

static void a_use_that_came_and_went_between_two_scans_is_held_too(void **state)
{
	struct nat_alloc_conf conf = conf_of(5000, 5000, true);
	uint32_t use = 0;
	struct nat_alloc a;

	(void)state;
	assert_int_equal(nat_alloc_init(&a, &conf), 0);
	nat_alloc_scan(&a, &use, 1000);
	use = word(0, 1005);
	nat_alloc_scan(&a, &use, 1010);
	assert_int_equal(nat_alloc_life(&a, 5000), NAT_HELD);
	nat_alloc_scan(&a, &use, 1105);
	assert_int_equal(nat_alloc_life(&a, 5000), NAT_FREE);
	nat_alloc_fini(&a);
}

/* The claim failed, or the program's CPU died: nothing was counted. */
static void a_taken_port_that_is_never_used_comes_back(void **state)
{
	struct nat_alloc_conf conf = conf_of(5000, 5000, true);
	uint32_t use = 0;
	struct nat_alloc a;
	uint16_t port;

	(void)state;
	assert_int_equal(nat_alloc_init(&a, &conf), 0);
	assert_int_equal(nat_alloc_take(&a, NAT_SET_ANY, &port), 0);
	nat_alloc_taken(&a, port, 50);
	nat_alloc_scan(&a, &use, 57);
	assert_int_equal(nat_alloc_take(&a, NAT_SET_ANY, &port), -ENOSPC);
	nat_alloc_scan(&a, &use, 58);
	assert_int_equal(nat_alloc_take(&a, NAT_SET_ANY, &port), 0);
	nat_alloc_fini(&a);
}

/* ctd was stopped for longer than 12 bits of time can tell. */
static void a_long_sleep_does_not_hold_ports_anew(void **state)
{
	struct nat_alloc_conf conf = conf_of(5000, 5000, true);
	uint32_t use = word(0, 1000);
	struct nat_alloc a;

	(void)state;
	assert_int_equal(nat_alloc_init(&a, &conf), 0);
	nat_alloc_scan(&a, &use, 1000);
	assert_int_equal(nat_alloc_life(&a, 5000), NAT_HELD);
	nat_alloc_scan(&a, &use, 1000 + 0x1000 - 20);
	assert_int_equal(nat_alloc_life(&a, 5000), NAT_FREE);
	/* a use that was over long before we looked again */
	use = word(1, 1000);
	nat_alloc_scan(&a, &use, 6000);
	use = word(0, 6010);
	nat_alloc_scan(&a, &use, 9000);
	assert_int_equal(nat_alloc_life(&a, 5000), NAT_FREE);
	/* one that ended after we had read the clock */
	use = word(0, 9002);
	nat_alloc_scan(&a, &use, 9001);
	assert_int_equal(nat_alloc_life(&a, 5000), NAT_HELD);
	nat_alloc_fini(&a);
}

static void reserved_ports_are_never_taken_and_come_back_when_given_free(void **state)
{
	struct nat_alloc_conf conf = conf_of(5000, 5009, true);
	struct nat_alloc a;
	uint16_t port;
	int i;

	(void)state;
	assert_int_equal(nat_alloc_init(&a, &conf), 0);
	for (i = 5000; i < 5005; i++)
		assert_false(nat_alloc_reserve(&a, i, true));
	assert_false(nat_alloc_reserve(&a, 4999, true)); /* not of this pool */
	for (i = 0; i < 5; i++) {
		assert_int_equal(nat_alloc_take(&a, NAT_SET_ANY, &port), 0);
		assert_true(port >= 5005);
	}
	assert_int_equal(nat_alloc_take(&a, NAT_SET_ANY, &port), -ENOSPC);
	assert_true(nat_alloc_reserve(&a, port, true)); /* leased: must come out of the ring */
	nat_alloc_return(&a, port);
	assert_int_equal(nat_alloc_take(&a, NAT_SET_ANY, &port), -ENOSPC);
	nat_alloc_reserve(&a, 5001, false);
	assert_int_equal(nat_alloc_take(&a, NAT_SET_ANY, &port), 0);
	assert_int_equal(port, 5001);
	nat_alloc_fini(&a);
}

static void overloading_takes_the_least_used_first(void **state)
{
	struct nat_alloc_conf conf = conf_of(5000, 5099, false);
	uint32_t use[100];
	uint16_t out[100];
	struct nat_alloc a;
	uint32_t i, n;

	(void)state;
	assert_int_equal(nat_alloc_init(&a, &conf), 0);
	for (i = 0; i < 100; i++)
		use[i] = word(i >= 90 ? 1 : i >= 60 ? 2 : 300 + i, 0); /* the wrong ones first */
	nat_alloc_scan(&a, use, 1);
	n = nat_alloc_take_least(&a, use, NAT_SET_ANY, 20, out);
	assert_int_equal(n, 20);
	for (i = 0, n = 0; i < 20; i++) {
		assert_true(out[i] >= 5060);
		n += out[i] >= 5090;
	}
	assert_int_equal(n, 10); /* all ten that are used once */
	n = nat_alloc_take_least(&a, use, NAT_SET_ANY, 100, out);
	assert_int_equal(n, 80); /* no port lies in a ring twice */
	assert_int_equal(nat_alloc_take_least(&a, use, NAT_SET_ANY, 100, out), 0);
	nat_alloc_fini(&a);
}

static void one_owner_pools_never_overload(void **state)
{
	struct nat_alloc_conf conf = conf_of(5000, 5001, true);
	uint32_t use[2] = {word(1, 0), word(1, 0)};
	struct nat_alloc a;
	uint16_t out[2];

	(void)state;
	assert_int_equal(nat_alloc_init(&a, &conf), 0);
	nat_alloc_scan(&a, use, 1);
	assert_int_equal(nat_alloc_take_least(&a, use, NAT_SET_ANY, 2, out), 0);
	nat_alloc_fini(&a);
}

static void rebuilt_from_the_table_it_knows_used_held_and_leased(void **state)
{
	struct nat_alloc_conf conf = conf_of(5000, 5004, true);
	uint32_t use[5] = {word(2, 900), word(0, 990), word(0, 100), 0, 0};
	struct nat_alloc a;
	uint16_t port;

	(void)state;
	assert_int_equal(nat_alloc_init(&a, &conf), 0);
	nat_alloc_rebuild(&a, use, 1000);
	assert_true(nat_alloc_adopt(&a, 5003));
	assert_false(nat_alloc_adopt(&a, 5003)); /* twice in the rings */
	assert_false(nat_alloc_adopt(&a, 5000)); /* has its owner */
	assert_false(nat_alloc_adopt(&a, 6000));
	assert_int_equal(nat_alloc_life(&a, 5000), NAT_USED);
	assert_int_equal(nat_alloc_life(&a, 5001), NAT_HELD);
	/* 5002 and 5004 may be in a program's hands */
	assert_int_equal(nat_alloc_take(&a, NAT_SET_ANY, &port), -ENOSPC);
	nat_alloc_scan(&a, use, 1008);
	assert_int_equal(nat_alloc_free_ports(&a, NAT_SET_ANY), 2);
	nat_alloc_scan(&a, use, 1090);
	assert_int_equal(nat_alloc_free_ports(&a, NAT_SET_ANY), 3);
	assert_int_equal(nat_alloc_life(&a, 5003), NAT_FREE);
	assert_true(nat_alloc_is_leased(&a, 5003));
	nat_alloc_fini(&a);
}

/* RFC 6056: no order that could be guessed. Chi-squared over where a port comes,
 * and over the step from one to the next. */
static void the_order_is_not_guessable(void **state)
{
	enum { PORTS = 64512, BINS = 64 };
	struct nat_alloc_conf conf = conf_of(1024, 65535, true);
	uint32_t place[BINS] = {0}, step[BINS] = {0}, by_one = 0, i;
	double expect = (double)(PORTS / 4) / BINS, chi[2] = {0, 0}, r = 0;
	struct nat_alloc a;
	uint16_t port, last = 0;

	(void)state;
	assert_int_equal(nat_alloc_init(&a, &conf), 0);
	for (i = 0; i < PORTS / 4; i++) {
		assert_int_equal(nat_alloc_take(&a, NAT_SET_ANY, &port), 0);
		place[(port - 1024) * BINS / PORTS]++;
		step[(uint32_t)((port - last + PORTS) % PORTS) * BINS / PORTS]++;
		by_one += abs(port - last) == 1;
		r += (i - PORTS / 8.0) * (port - 1024 - PORTS / 2.0);
		last = port;
	}
	for (i = 0; i < BINS; i++) {
		chi[0] += (place[i] - expect) * (place[i] - expect) / expect;
		chi[1] += (step[i] - expect) * (step[i] - expect) / expect;
	}
	/* 63 degrees of freedom: 110 is passed by one in 4,000 true random orders. */
	assert_true(chi[0] < 110 && chi[1] < 110);
	assert_true(by_one < 6);
	/* Correlation of place and port; 4 standard deviations of none. */
	r /= PORTS / 4.0 * (PORTS / 4.0 / sqrt(12)) * (PORTS / sqrt(12));
	assert_true(fabs(r) < 4 / sqrt(PORTS / 4.0));
	nat_alloc_fini(&a);
}

static void another_seed_is_another_order(void **state)
{
	struct nat_alloc_conf conf = conf_of(1024, 65535, true);
	struct nat_alloc a, b;
	uint64_t other = 7;
	uint16_t x, y;
	int i, same = 0;

	(void)state;
	assert_int_equal(nat_alloc_init(&a, &conf), 0);
	conf.random_arg = &other;
	assert_int_equal(nat_alloc_init(&b, &conf), 0);
	for (i = 0; i < 1000; i++) {
		assert_int_equal(nat_alloc_take(&a, NAT_SET_ANY, &x), 0);
		assert_int_equal(nat_alloc_take(&b, NAT_SET_ANY, &y), 0);
		same += x == y;
	}
	assert_true(same < 5);
	nat_alloc_fini(&a);
	nat_alloc_fini(&b);
}

/* Of ports used alike each has the same chance to be overloaded. */
static void overloading_favours_no_port(void **state)
{
	enum { PORTS = 1000, WANT = 100, TURNS = 400 };
	struct nat_alloc_conf conf = conf_of(5000, 5000 + PORTS - 1, false);
	static uint32_t use[PORTS], got[PORTS];
	double expect = WANT * TURNS / (double)PORTS, chi = 0;
	uint16_t out[WANT];
	struct nat_alloc a;
	int i, t;

	(void)state;
	for (i = 0; i < PORTS; i++)
		use[i] = word(3, 0);
	assert_int_equal(nat_alloc_init(&a, &conf), 0);
	nat_alloc_scan(&a, use, 1);
	for (t = 0; t < TURNS; t++) {
		assert_int_equal(nat_alloc_take_least(&a, use, NAT_SET_ANY, WANT, out), WANT);
		for (i = 0; i < WANT; i++) {
			got[out[i] - 5000]++;
			nat_alloc_taken(&a, out[i], 1);
		}
	}
	for (i = 0; i < PORTS; i++)
		chi += (got[i] - expect) * (got[i] - expect) / expect;
	assert_true(chi < 1250); /* 999 degrees of freedom, 5.6 standard deviations */
	nat_alloc_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_port_is_taken_once_and_no_other),
		cmocka_unit_test(ranges_that_cannot_be_are_refused),
		cmocka_unit_test(classes_keep_parity_and_range),
		cmocka_unit_test(an_ended_use_is_held_down_then_free),
		cmocka_unit_test(a_use_that_came_and_went_between_two_scans_is_held_too),
		cmocka_unit_test(a_taken_port_that_is_never_used_comes_back),
		cmocka_unit_test(a_long_sleep_does_not_hold_ports_anew),
		cmocka_unit_test(reserved_ports_are_never_taken_and_come_back_when_given_free),
		cmocka_unit_test(overloading_takes_the_least_used_first),
		cmocka_unit_test(one_owner_pools_never_overload),
		cmocka_unit_test(rebuilt_from_the_table_it_knows_used_held_and_leased),
		cmocka_unit_test(the_order_is_not_guessable),
		cmocka_unit_test(another_seed_is_another_order),
		cmocka_unit_test(overloading_favours_no_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
