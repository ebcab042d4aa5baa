// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* From limits to map sizes (userspace/lib/sizes.c). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../userspace/lib/loader.h"

static char err[256];

static struct bpfct_sizes sizes_of(struct bpfct_limits limits, unsigned int cpus)
{
	struct bpfct_sizes s;

	assert_int_equal(bpfct_sizes(&limits, cpus, &s, err, sizeof(err)), 0);
	return s;
}

static void defaults_hold_the_documented_numbers(void **state)
{
	struct bpfct_sizes s = sizes_of((struct bpfct_limits){0}, 2);

	(void)state;
	assert_int_equal(s.confirmed, 262144);
	assert_int_equal(s.half[CT_SIDE_OUTSIDE], 65536);
	assert_int_equal(s.half[CT_SIDE_INSIDE], 65536);
	assert_int_equal(s.half[CT_SIDE_RETRY], 8192);
	assert_int_equal(s.half_slots, 65536 * 2 + 8192);
	assert_int_equal(s.half_share, 8192);
	assert_int_equal(s.clock, 2 * 262144);
	assert_int_equal(s.slack, 128 * 3);
	assert_int_equal(s.conn_min, 262144 + 139264 + 65536 + 384);
	assert_int_equal(s.conn, 524288); /* conn_min is more than 0.85 of it */
	assert_int_equal(s.stub, s.conn);
}

static void all_limits_together_stay_below_capacity_less_slack(void **state)
{
	static const uint32_t confirmed[] = {1, 100, 4000, 65535, 65536, 262144, 1000000, 16 << 20};
	unsigned int i, cpus;

	(void)state;
	for (i = 0; i < sizeof(confirmed) / sizeof(confirmed[0]); i++)
		for (cpus = 1; cpus <= 256; cpus *= 4) {
			struct bpfct_sizes s =
				sizes_of((struct bpfct_limits){.confirmed = confirmed[i]}, cpus);

			assert_true(s.confirmed + s.half_slots < s.conn - s.slack);
			assert_true(s.clock >= 2 * s.confirmed);
			assert_int_equal(s.clock & (s.clock - 1), 0);
			assert_int_equal(s.grave & (s.grave - 1), 0);
			assert_true(s.conn >= s.conn_min);
		}
}

static void small_tables_stay_small(void **state)
{
	struct bpfct_limits limits = {.confirmed = 1000, .half = {256, 256, 64}};
	struct bpfct_sizes s = sizes_of(limits, 2);

	(void)state;
	assert_int_equal(s.conn_min, 1000 + 256 + 256 + 64 + 4096 + 384);
	assert_int_equal(s.conn, s.conn_min); /* 8192 would be more than 1/0.85 of it */
	assert_int_equal(s.half_share, 32);
}

static void half_open_rings_become_powers_of_two(void **state)
{
	struct bpfct_limits limits = {.half = {1000, 4097, 3}};
	struct bpfct_sizes s = sizes_of(limits, 2);

	(void)state;
	assert_int_equal(s.half[CT_SIDE_OUTSIDE], 1024);
	assert_int_equal(s.half[CT_SIDE_INSIDE], 8192);
	assert_int_equal(s.half[CT_SIDE_RETRY], 8); /* a share must not be 0 */
	assert_int_equal(s.half_share, 128);	    /* of the smaller side */
}

static void nat_limit_sizes_the_stub_map_alone(void **state)
{
	struct bpfct_sizes s = sizes_of((struct bpfct_limits){.nat = 1000}, 2);

	(void)state;
	assert_int_equal(s.stub_min, 1000);
	assert_true(s.stub >= s.stub_min && s.stub < 2 * s.stub_min);
	assert_int_equal(s.conn, 524288);
}

static void limits_beyond_reason_are_refused_with_a_line(void **state)
{
	struct bpfct_limits confirmed = {.confirmed = 1u << 31}, half = {.half = {1u << 31, 0, 0}};
	struct bpfct_sizes s;

	(void)state;
	assert_int_equal(bpfct_sizes(&confirmed, 2, &s, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "limit confirmed"));
	assert_int_equal(bpfct_sizes(&half, 2, &s, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "half-open-outside"));
}

static void table_limits_keep_counts(void **state)
{
	struct bpfct_sizes s = sizes_of((struct bpfct_limits){0}, 2);
	struct ct_table table[2] = {{.confirmed = 7, .confirmed_high = 9, .nodes = 8}, {0}};

	(void)state;
	bpfct_table_limits(table, &s);
	assert_int_equal(table[0].confirmed_limit, 262144);
	assert_int_equal(table[1].nodes_limit, 524288 - 384);
	assert_int_equal(table[1].stub_limit, 524288); /* no LRU: all of it */
	assert_int_equal(table[0].confirmed, 7);
	assert_int_equal(table[0].confirmed_high, 9);
	assert_int_equal(table[0].nodes, 8);
}

static void instance_names_that_bpffs_takes(void **state)
{
	(void)state;
	assert_true(bpfct_instance_valid("default"));
	assert_true(bpfct_instance_valid("a-b_C9"));
	assert_false(bpfct_instance_valid(""));
	assert_false(bpfct_instance_valid("../x"));
	assert_false(bpfct_instance_valid("a.b"));
	assert_false(bpfct_instance_valid("+a"));
	assert_false(bpfct_instance_valid(
		"0123456789012345678901234567890123456789012345678901234567890123"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_hold_the_documented_numbers),
		cmocka_unit_test(all_limits_together_stay_below_capacity_less_slack),
		cmocka_unit_test(small_tables_stay_small),
		cmocka_unit_test(half_open_rings_become_powers_of_two),
		cmocka_unit_test(nat_limit_sizes_the_stub_map_alone),
		cmocka_unit_test(limits_beyond_reason_are_refused_with_a_line),
		cmocka_unit_test(table_limits_keep_counts),
		cmocka_unit_test(instance_names_that_bpffs_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
