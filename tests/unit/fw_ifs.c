// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Interfaces as netlink tells them, the address that masquerading takes, and
 * the manual against the code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <libgen.h>
#include <limits.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "consumers/firewall/fw_conf.h"

struct candidate {
	const char *addr;
	uint32_t flags;
	uint8_t scope;
};

/* What masquerading takes of these, NULL: nothing. */
static void check_choice(int family, const struct candidate *c, size_t n, const char *want)
{
	struct fw_if iface = {.name = "test"};
	char got[INET6_ADDRSTRLEN] = "";
	__be32 addr[4];

	for (; n; n--, c++) {
		struct fw_ifaddr a = {.family = strchr(c->addr, ':') ? 6 : 4,
				      .prefixlen = 24,
				      .flags = c->flags,
				      .scope = c->scope};

		inet_pton(a.family == 4 ? AF_INET : AF_INET6, c->addr, a.addr);
		assert_int_equal(fw_if_add_addr(&iface, &a), 0);
	}
	if (!want) {
		assert_false(fw_if_masquerade(&iface, family, addr));
	} else {
		assert_true(fw_if_masquerade(&iface, family, addr));
		inet_ntop(family == 4 ? AF_INET : AF_INET6, addr, got, sizeof(got));
		assert_string_equal(got, want);
	}
	free(iface.addr);
}
#define CHOICE(family, want, ...)                                                                  \
	do {                                                                                       \
		const struct candidate t[] = {__VA_ARGS__};                                        \
		check_choice(family, t, sizeof(t) / sizeof(*t), want);                             \
	} while (0)

static void masquerade_takes_the_best_address(void **state)
{
	(void)state;
	CHOICE(4, "192.0.2.1", {"192.0.2.1", 0, 0}, {"192.0.2.2", 0, 0});
	CHOICE(4, "192.0.2.2", {"192.0.2.1", IFA_F_SECONDARY, 0}, {"192.0.2.2", 0, 0});
	CHOICE(4, "192.0.2.1", {"192.0.2.1", IFA_F_SECONDARY, 0});
	CHOICE(4, "192.0.2.2", {"169.254.1.1", 0, RT_SCOPE_LINK}, {"192.0.2.2", 0, 0});
	CHOICE(4, NULL, {"169.254.1.1", 0, RT_SCOPE_LINK}, {"2001:db8::1", 0, 0});
	CHOICE(6, "2001:db8::1", {"fe80::1", 0, RT_SCOPE_LINK}, {"2001:db8::1", 0, 0});
	CHOICE(6, NULL, {"fe80::1", 0, 0}, {"192.0.2.1", 0, 0});
	CHOICE(6, "2001:db8::1", {"fd00::1", 0, 0}, {"2001:db8::1", 0, 0});
	CHOICE(6, "fd00::1", {"fd00::1", 0, 0}, {"fe80::1", 0, RT_SCOPE_LINK});
	CHOICE(6, "2001:db8::2", {"2001:db8::1", IFA_F_TENTATIVE, 0}, {"2001:db8::2", 0, 0});
	CHOICE(6, NULL, {"2001:db8::1", IFA_F_TENTATIVE, 0}, {"2001:db8::2", IFA_F_DADFAILED, 0});
	CHOICE(6, "2001:db8::2", {"2001:db8::1", IFA_F_DEPRECATED, 0}, {"2001:db8::2", 0, 0});
	CHOICE(6, "2001:db8::1", {"2001:db8::1", IFA_F_DEPRECATED, 0});
	CHOICE(6, "2001:db8::2", {"2001:db8::1", IFA_F_TEMPORARY, 0}, {"2001:db8::2", 0, 0});
}

static bool has_addr(const struct fw_if *iface, const char *text, uint8_t prefixlen)
{
	struct fw_ifaddr want = {.family = strchr(text, ':') ? 6 : 4};

	inet_pton(want.family == 4 ? AF_INET : AF_INET6, text, want.addr);
	for (unsigned int i = 0; i < iface->addrs; i++)
		if (iface->addr[i].family == want.family && iface->addr[i].prefixlen == prefixlen &&
		    !memcmp(iface->addr[i].addr, want.addr, sizeof(want.addr)))
			return true;
	return false;
}

/* In a network namespace of its own, gone with the process. */
static void netlink_tells_links_and_addresses(void **state)
{
	const struct fw_if *iface;
	struct fw_ifs ifs;

	(void)state;
	if (unshare(CLONE_NEWNET)) {
		print_message("needs CAP_SYS_ADMIN\n");
		skip();
	}
	assert_int_equal(system("ip link add fwa type veth peer name fwb && "
				"ip link set fwa mtu 1280 address 02:00:00:00:00:0a up && ip link "
				"set fwb up &&"
				"ip addr add 192.0.2.1/25 dev fwa && "
				"ip addr add 10.0.0.1 peer 10.0.0.2/32 dev fwb && "
				"ip addr add 2001:db8::1/64 dev fwa nodad && "
				"ip tuntap add dev fwtun mode tun"),
			 0);
	assert_int_equal(fw_ifs_read(&ifs), 0);
	iface = fw_ifs_find(&ifs, "lo");
	assert_non_null(iface);
	assert_true(iface->loopback);
	assert_false(iface->no_l2);
	iface = fw_ifs_find(&ifs, "fwa");
	assert_non_null(iface);
	assert_int_equal(iface->mtu, 1280);
	assert_int_equal(iface->mac[5], 10);
	assert_false(iface->no_l2 || iface->loopback);
	assert_true(has_addr(iface, "192.0.2.1", 25));
	assert_true(has_addr(iface, "2001:db8::1", 64));
	iface = fw_ifs_find(&ifs, "fwb");
	assert_non_null(iface);
	assert_true(has_addr(iface, "10.0.0.1", 32)); /* ours, not the peer's */
	iface = fw_ifs_find(&ifs, "fwtun");
	assert_non_null(iface);
	assert_true(iface->no_l2);
	assert_null(fw_ifs_find(&ifs, "fwc"));
	fw_ifs_free(&ifs);
}

static char *read_manual(void)
{
	char file[PATH_MAX], path[PATH_MAX + 64];
	char *text = calloc(1, 65536);
	FILE *f;

	snprintf(file, sizeof(file), "%s", __FILE__);
	snprintf(path, sizeof(path), "%s/../../docs/man/ctd.conf.5", dirname(file));
	f = fopen(path, "re");
	assert_non_null(f);
	assert_true(fread(text, 1, 65535, f) > 0);
	fclose(f);
	return text;
}

static void manual_lists_every_timeout_and_limit(void **state)
{
	static const char *const timeout[] = {
#define X(field, secs) #field " " #secs,
		CT_TIMEOUTS(X)
#undef X
	};
	char *text = read_manual();

	(void)state;
	for (unsigned int i = 0; i < CT_TIMEOUT_MAX; i++)
		if (!strstr(text, timeout[i]))
			fail_msg("docs/man/ctd.conf.5 does not say `%s'", timeout[i]);
	for (unsigned int i = 0; i < FW_LIMIT_MAX; i++)
		if (!strstr(text, fw_limit_text(i)))
			fail_msg("docs/man/ctd.conf.5 does not name limit `%s'", fw_limit_text(i));
	free(text);
}

/* The manual's example is taken by the parser as it stands. */
static void example_of_the_manual_parses(void **state)
{
	char *text = read_manual();
	char *begin = strstr(text, ".Sh EXAMPLES"), *end;
	struct fw_conf *conf;

	(void)state;
	assert_non_null(begin);
	begin = strstr(begin, "set default");
	end = strstr(begin, ".Ed");
	assert_int_equal(fw_conf_parse_text("manual", begin, end - begin, &conf, stderr), 0);
	assert_true(fw_conf_rules(conf) > 3);
	assert_int_equal(fw_conf_rule(conf, 1, NULL), 4);
	assert_int_equal(fw_conf_rule(conf, 0, NULL), 0);
	assert_int_equal(fw_conf_rule(conf, 99, NULL), 0);
	fw_conf_free(conf);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(masquerade_takes_the_best_address),
		cmocka_unit_test(netlink_tells_links_and_addresses),
		cmocka_unit_test(manual_lists_every_timeout_and_limit),
		cmocka_unit_test(example_of_the_manual_parses),
	};

	return cmocka_run_group_tests_name("fw_ifs", tests, NULL, NULL) ? 1 : 0;
}
