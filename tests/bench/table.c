// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * A table of a given size, and what one pass of the sweep over it costs.
 *   table fill INSTANCE N             records through ct_control (CT_CONTROL_CREATE)
 *   table sweep INSTANCE OBJ [N]      CPU time of a pass of each sweep iterator
 *   table sizes INSTANCE              bytes an entry of every pinned map
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/netfilter/nf_conntrack_common.h>

#include "lib/figure.h"
#include "userspace/lib/pins.h"

#define PASSES_MAX 21

static int usage(void)
{
	fprintf(stderr, "usage: table fill INSTANCE N | sweep INSTANCE OBJ [PASSES] | "
			"sizes INSTANCE\n");
	return 2;
}

/* Connection i: confirmed UDP of a client in 10.64.0.0/16, not expiring soon. */
static void make_flow(struct ct_flow *flow, unsigned int i)
{
	memset(flow, 0, sizeof(*flow));
	flow->family = 4;
	flow->key4.addr[0] = htonl(0x0a400000u + (i & 0xffff));
	flow->key4.addr[1] = htonl(0xc6336402u);
	flow->key4.port[0] = htons(1024 + i % 60000);
	flow->key4.port[1] = htons(7000 + i / 60000);
	flow->key4.proto = IPPROTO_UDP;
	flow->conn4.c.word = CT_W_STATUS(CT_S_CONFIRMED | CT_S_SEEN_REPLY | CT_S_ASSURED) |
			     CT_W_LIFE(CT_LIFE_CONFIRMED);
	flow->conn4.c.expires = 3600;
	flow->conn4.c.reply_sport = flow->key4.port[1];
	flow->conn4.c.reply_dport = flow->key4.port[0];
	flow->conn4.reply_saddr = flow->key4.addr[1];
	flow->conn4.reply_daddr = flow->key4.addr[0];
}

static int fill(const char *instance, unsigned int n)
{
	struct ct_control req;
	struct bpfct_pins pins;
	char why[256];
	int err = bpfct_pins_open(&pins, instance, true, why, sizeof(why));

	if (err) {
		fprintf(stderr, "table: %s\n", why);
		return 1;
	}
	for (unsigned int i = 0; i < n; i++) {
		memset(&req, 0, sizeof(req));
		req.op = CT_CONTROL_CREATE;
		req.set = CT_SET_TIMEOUT | CT_SET_STATUS;
		make_flow(&req.flow, i);
		err = bpfct_control(&pins, &req);
		if (!err)
			err = req.result;
		if (err) {
			fprintf(stderr, "table: record %u of %u: %s\n", i, n, strerror(-err));
			break;
		}
	}
	bpfct_pins_close(&pins);
	return err ? 1 : 0;
}

/* Opens the object with the instance's own maps in place of new ones. */
static struct bpf_object *load_on_pins(const char *instance, const char *path)
{
	struct bpf_object *obj = bpf_object__open_file(path, NULL);
	struct bpf_map *map;
	char pin[256];

	if (!obj)
		return NULL;
	bpf_object__for_each_map(map, obj)
	{
		int fd;

		snprintf(pin, sizeof(pin), CT_PIN_ROOT "/%s/%s", instance, bpf_map__name(map));
		fd = bpf_obj_get(pin);
		if (fd < 0)
			continue;
		if (bpf_map__reuse_fd(map, fd))
			fprintf(stderr, "table: reuse %s: %s\n", pin, strerror(errno));
		close(fd);
	}
	if (bpf_object__load(obj)) {
		bpf_object__close(obj);
		return NULL;
	}
	return obj;
}

static double cpu_s(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return ru.ru_utime.tv_sec + ru.ru_stime.tv_sec +
	       (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

static int walk(struct bpf_link *link)
{
	char buf[4096];
	int fd = bpf_iter_create(bpf_link__fd(link));
	ssize_t got = fd < 0 ? -1 : 1;

	while (got > 0 || (got < 0 && errno == EAGAIN && fd >= 0))
		got = read(fd, buf, sizeof(buf));
	if (fd >= 0)
		close(fd);
	return got < 0 ? -errno : 0;
}

#define ITERS 4
static const char *const iters[ITERS][3] = {
	{"ct_sweep4", "ct_conn4_v1", "sweep_1m_cpu_s"},
	{"ct_sweep6", "ct_conn6_v1", "sweep_empty_conn6_cpu_s"},
	{"ct_stub_sweep4", "ct_stub4_v1", "sweep_empty_stub4_cpu_s"},
	{"ct_stub_sweep6", "ct_stub6_v1", "sweep_empty_stub6_cpu_s"},
};

static struct bpf_link *attach(struct bpf_object *obj, const char *const *iter)
{
	union bpf_iter_link_info info = {0};
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));
	struct bpf_program *prog = bpf_object__find_program_by_name(obj, iter[0]);

	info.map.map_fd = bpf_object__find_map_fd_by_name(obj, iter[1]);
	return prog ? bpf_program__attach_iter(prog, &opts) : NULL;
}

/* ctd skips tables that count no entries in all but one of 60 passes: with a
 * million plain IPv4 records a pass is the first; the others have their own lines. */
static int sweep(const char *instance, const char *path, int passes)
{
	struct bpf_object *obj = load_on_pins(instance, path);
	double took[PASSES_MAX];
	int err = 1;

	if (!obj) {
		fprintf(stderr, "table: load %s: %s\n", path, strerror(errno));
		return 1;
	}
	for (int i = 0; i < ITERS; i++) {
		struct bpf_link *link = attach(obj, iters[i]);

		for (int pass = 0; pass < passes; pass++) {
			took[pass] = cpu_s();
			if (!link || walk(link)) {
				fprintf(stderr, "table: iterator %s: %s\n", iters[i][0],
					strerror(errno));
				bpf_link__destroy(link);
				goto out;
			}
			took[pass] = cpu_s() - took[pass];
		}
		bpf_link__destroy(link);
		printf("%s %.3f s\n", iters[i][2], median(took, passes));
	}
	err = 0;
out:
	bpf_object__close(obj);
	return err;
}

struct size {
	double bytes;
	double entries;
};

static int size_of(const char *instance, const char *map, struct size *size)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);
	char pin[256];
	int fd;

	snprintf(pin, sizeof(pin), CT_PIN_ROOT "/%s/%s", instance, map);
	fd = bpf_obj_get(pin);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len)) {
		fprintf(stderr, "table: %s: %s\n", pin, strerror(errno));
		return -1;
	}
	size->bytes = memlock(fd);
	size->entries = info.max_entries;
	close(fd);
	return 0;
}

/* A connection is one record, and a stub when translated. What else the table
 * keeps (rings, clock, grave) is shared out over the records in lines of its own. */
static int sizes(const char *instance)
{
	static const char *const shared[] = {"half", "clock", "grave"};

	for (int family = 4; family <= 6; family += 2) {
		struct size conn, stub, other;
		char name[32];

		snprintf(name, sizeof(name), "ct_conn%d_v1", family);
		if (size_of(instance, name, &conn))
			return 1;
		snprintf(name, sizeof(name), "ct_stub%d_v1", family);
		if (size_of(instance, name, &stub))
			return 1;
		printf("bytes_conn_v%d %.0f B\n", family, conn.bytes / conn.entries);
		printf("bytes_conn_v%d_nat %.0f B\n", family,
		       conn.bytes / conn.entries + stub.bytes / stub.entries);
		printf("bytes_stub_v%d %.0f B\n", family, stub.bytes / stub.entries);
		for (unsigned int i = 0; i < sizeof(shared) / sizeof(*shared); i++) {
			snprintf(name, sizeof(name), "ct_%s%d_v1", shared[i], family);
			if (size_of(instance, name, &other))
				return 1;
			printf("bytes_%s_share_v%d %.1f B\n", shared[i], family,
			       other.bytes / conn.entries);
		}
		printf("bytes_entries_v%d %.0f records\n", family, conn.entries);
	}
	return 0;
}

int main(int argc, char **argv)
{
	int passes = argc > 4 ? atoi(argv[4]) : 5;

	if (argc == 4 && !strcmp(argv[1], "fill"))
		return fill(argv[2], strtoul(argv[3], NULL, 0));
	if (argc >= 4 && !strcmp(argv[1], "sweep") && passes >= 1 && passes <= PASSES_MAX)
		return sweep(argv[2], argv[3], passes);
	if (argc == 3 && !strcmp(argv[1], "sizes"))
		return sizes(argv[2]);
	return usage();
}
