// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Rules that change: installing, interfaces, the switch under packets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/abi/ct_drop.h"
#include "tests/bpf/lib/fwt.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

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
	assert_int_equal(fw_ifs_install(&rules, &less, 0, attached, 1, &fds), 0);
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
	uint8_t frame[512];
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
	struct fwt_case c = {.in_ifindex = ETH0, .dir = FW_IN};
	const struct packet web = WEB;
	struct fw_fds broken = fds;
	struct fw_rules rules;

	(void)state;
	load("pass in proto tcp port 80");
	compile("block in", &rules);
	broken.rule = -1;
	assert_true(fw_rules_install(&rules, &broken) < 0);
	c = ask(&web, &c);
	assert_int_equal(c.judged, 0);
	assert_int_equal(c.verdict.rule, 1);
	fw_rules_free(&rules);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(interface_map_follows_the_machine),
		cmocka_unit_test(a_switch_is_atomic_for_packets),
		cmocka_unit_test(failed_install_keeps_the_rules),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("fw_install", tests, fwt_open, fwt_close) ? 1 : 0;
}
