// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "fwt.h"

static struct bpf_object *obj;
static int judge_fd;
int switch_fd, case_fd;
struct fw_fds fds;
struct fw_ifs ifs;

void compile(const char *text, struct fw_rules *rules)
{
	struct fw_conf *conf;

	assert_int_equal(fw_conf_parse_text("test", text, strlen(text), &conf, stderr), 0);
	assert_int_equal(fw_conf_compile(conf, &ifs, rules, NULL), 0);
	fw_conf_free(conf);
}

void load(const char *text)
{
	struct fw_rules rules;

	compile(text, &rules);
	assert_int_equal(fw_rules_install(&rules, &fds), 0);
	assert_int_equal(fw_ifs_install(&rules, &ifs, 0, NULL, 0, &fds), 0);
	fw_rules_free(&rules);
}

struct fwt_case ask(const struct packet *p, const struct fwt_case *question)
{
	uint8_t frame[512];
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

int fwt_open(void **state)
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
	if (bpf_object__load(obj))
		return -1;
	judge_fd = bpf_program__fd(bpf_object__find_program_by_name(obj, "fw_policy_test"));
	switch_fd = bpf_program__fd(bpf_object__find_program_by_name(obj, "fw_policy_switch"));
	case_fd = bpf_object__find_map_fd_by_name(obj, "fwt_case_v1");
	fds = (struct fw_fds){
		.config = bpf_object__find_map_fd_by_name(obj, "fw_config_v1"),
		.rule = bpf_object__find_map_fd_by_name(obj, "fw_rule_v2"),
		.nat = bpf_object__find_map_fd_by_name(obj, "fw_nat_v2"),
		.hit = bpf_object__find_map_fd_by_name(obj, "fw_hit_v1"),
		.iface = bpf_object__find_map_fd_by_name(obj, "fw_iface_v2"),
		.near = bpf_object__find_map_fd_by_name(obj, "fw_near_v2"),
	};
	add_if("eth0", ETH0, "203.0.113.5", "2001:db8:1::5");
	add_if("eth1", ETH1, "192.168.1.1", "fd00:1::1");
	add_if("eth2", ETH2, "192.168.2.1", NULL);
	add_if("wg0", WG0, NULL, NULL);
	return 0;
}

int fwt_close(void **state)
{
	(void)state;
	bpf_object__close(obj);
	fw_ifs_free(&ifs);
	return 0;
}
