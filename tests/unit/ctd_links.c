// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Which links are ports (userspace/ctd/links.c), by messages made by hand: a kernel may have no
 * bond, team or vrf to make them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../userspace/ctd/links.c"

static bool port(const void *kind, size_t len, const char *own)
{
	char buf[1024] = {0};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *info;
	struct ifset set = {0};
	struct nlattr *nest;
	bool ret;

	nlh->nlmsg_type = RTM_NEWLINK;
	info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));
	info->ifi_index = 7;
	mnl_attr_put_u32(nlh, IFLA_MASTER, 3);
	nest = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	if (own)
		mnl_attr_put_strz(nlh, IFLA_INFO_KIND, own);
	if (kind)
		mnl_attr_put(nlh, IFLA_INFO_SLAVE_KIND, len, kind);
	mnl_attr_nest_end(nlh, nest);
	assert_int_equal(on_link(nlh, &set), MNL_CB_OK);
	ret = ifset_has(&set, 7);
	assert_int_equal(set.n, ret);
	ifset_free(&set);
	return ret;
}

static void slaves_of_bridge_bond_and_team_are_ports(void **state)
{
	(void)state;
	assert_true(port("bridge", 7, "veth"));
	assert_true(port("bond", 5, NULL));
	assert_true(port("team", 5, NULL));
}

static void slaves_of_a_vrf_and_masters_are_none(void **state)
{
	(void)state;
	assert_false(port("vrf", 4, "veth"));
	assert_false(port(NULL, 0, "bridge"));
	assert_false(port(NULL, 0, NULL));
	assert_false(port("bridges", 8, NULL));
	assert_false(port("bond", 4, NULL)); /* not terminated */
}

static void sets_hold_each_index_once(void **state)
{
	struct ifset set = {0};

	(void)state;
	assert_int_equal(ifset_add(&set, 1), 0);
	assert_int_equal(ifset_add(&set, 2), 0);
	assert_int_equal(ifset_add(&set, 1), 0);
	assert_int_equal(set.n, 2);
	assert_true(ifset_del(&set, 1));
	assert_false(ifset_del(&set, 1));
	assert_true(ifset_has(&set, 2));
	ifset_free(&set);
	assert_false(ifset_has(&set, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slaves_of_bridge_bond_and_team_are_ports),
		cmocka_unit_test(slaves_of_a_vrf_and_masters_are_none),
		cmocka_unit_test(sets_hold_each_index_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
