// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * A table of a given size, and what the sweep over it costs.
 *   table fill INSTANCE N    records through ct_control (CT_CONTROL_CREATE)
 *   table sweep PASSES       CPU time of regular passes and whole walks, a million records
 *   table sizes INSTANCE     bytes an entry of every pinned map
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
#include <linux/netfilter/nf_conntrack_common.h>

#include "lib/figure.h"
#include "userspace/lib/loader.h"

#define PASSES_MAX 21
#define WARM_UP	   18

static int usage(void)
{
	fprintf(stderr, "usage: table fill INSTANCE N | sweep PASSES | sizes INSTANCE\n");
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

static int fill(struct bpfct_pins *pins, unsigned int n)
{
	struct ct_control req;
	int err = 0;

	for (unsigned int i = 0; i < n && !err; i++) {
		memset(&req, 0, sizeof(req));
		req.op = CT_CONTROL_CREATE;
		req.set = CT_SET_TIMEOUT | CT_SET_STATUS;
		make_flow(&req.flow, i);
		err = bpfct_control(pins, &req);
		if (!err)
			err = req.result;
		if (err)
			fprintf(stderr, "table: record %u of %u: %s\n", i, n, strerror(-err));
	}
	return err ? 1 : 0;
}

static int fill_instance(const char *instance, unsigned int n)
{
	struct bpfct_pins pins;
	char why[256];
	int err = bpfct_pins_open(&pins, instance, true, why, sizeof(why));

	if (err) {
		fprintf(stderr, "table: %s\n", why);
		return 1;
	}
	err = fill(&pins, n);
	bpfct_pins_close(&pins);
	return err;
}

static double cpu_s(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return ru.ru_utime.tv_sec + ru.ru_stime.tv_sec +
	       (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

/* One whole walk over a map. */
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

/* CPU time of a regular pass over one family, as ctd makes it; adds to *looks. -1: failed. */
static double pass(struct bpfct_core *core, unsigned int family, double *looks)
{
	struct ct_sweep_req req = {.family = family, .more = 1};
	double begun = cpu_s();

	while (req.more) {
		int err = bpfct_sweep_listed(core->listed_fd, &req);

		if (err) {
			fprintf(stderr, "table: ct_sweep_listed: %s\n", strerror(-err));
			return -1;
		}
		*looks += req.looks;
	}
	return cpu_s() - begun;
}

/* Passes a second apart, the median of the last ones. Before that each record has had its turn. */
static int steady(struct bpfct_core *core, int passes)
{
	double took[PASSES_MAX], looks = 0, unused = 0;

	for (int i = -WARM_UP; i < passes; i++) {
		double s = pass(core, 4, i < 0 ? &unused : &looks);

		if (s < 0)
			return 1;
		if (i >= 0)
			took[i] = s;
		usleep(1000000);
	}
	printf("sweep_1m_cpu_s %.3f s\n", median(took, passes));
	printf("sweep_1m_looks %.0f records\n", looks / passes);
	return 0;
}

/* All records are due at once: the clock is set ahead before each pass. */
static int all_due(struct bpfct_core *core, int passes)
{
	double took[PASSES_MAX], looks = 0;

	for (int i = 0; i < passes; i++) {
		core->pins.settings->clock_offset += 30 * core->pins.settings->hz;
		took[i] = pass(core, 4, &looks);
		if (took[i] < 0)
			return 1;
	}
	printf("sweep_1m_due_cpu_s %.3f s\n", median(took, passes));
	printf("sweep_1m_due_looks %.0f records\n", looks / passes);
	return 0;
}

/* A half-open record in every slot of the rings, as a flood leaves them: written by hand, since
 * user space enters only confirmed ones. */
static int fill_rings(struct bpfct_core *core)
{
	int ring = bpf_object__find_map_fd_by_name(core->obj, "ct_half4_v1");
	__u32 now = bpfct_now(&core->pins), at = 0, size;

	for (__u32 side = 0; side < CT_SIDES; side++) {
		size = core->sizes.half[side];
		for (__u32 i = 0; i < size; i++, at++) {
			struct ct_slot4 slot = {.s.born = now};
			struct ct_flow flow;

			make_flow(&flow, i);
			slot.key = flow.key4;
			slot.key.addr[1] = htonl(0xc6336403u + side);
			slot.s.gen = CT_GEN_RING | side << CT_GEN_SIDE_SHIFT | i;
			flow.conn4.c.word = CT_W_GEN(slot.s.gen) | CT_W_LIFE(CT_LIFE_HALF_OPEN) |
					    CT_W_STATUS(CT_S_CONFIRMED);
			flow.conn4.c.expires = now + 3600 * core->pins.settings->hz / 32;
			if (bpf_map_update_elem(core->pins.conn_fd[0], &slot.key, &flow.conn4,
						BPF_NOEXIST) ||
			    bpf_map_update_elem(ring, &at, &slot, BPF_ANY))
				return 1;
		}
	}
	core->pins.table[0].half_open += at;
	core->pins.table[0].nodes += at;
	return 0;
}

/* As steady(), with the rings of the default size full beside the million. */
static int flood(struct bpfct_core *core, int passes)
{
	double took[PASSES_MAX], looks = 0;

	if (fill_rings(core)) {
		perror("table: half-open records");
		return 1;
	}
	for (int i = -WARM_UP; i < passes; i++) {
		double s = pass(core, 4, &looks);

		if (s < 0)
			return 1;
		if (i >= 0)
			took[i] = s;
		usleep(1000000);
	}
	printf("sweep_1m_flood_cpu_s %.3f s\n", median(took, passes));
	return 0;
}

static int whole(struct bpfct_core *core, int passes)
{
	/* conn4 conn6 stub4 stub6, as bpfct_core.sweep[] */
	static const char *const names[] = {"sweep_1m_whole_cpu_s", "sweep_empty_conn6_cpu_s",
					    "sweep_empty_stub4_cpu_s", "sweep_empty_stub6_cpu_s"};
	double took[PASSES_MAX];

	for (unsigned int i = 0; i < sizeof(names) / sizeof(*names); i++) {
		for (int n = 0; n < passes; n++) {
			took[n] = cpu_s();
			if (walk(core->sweep[i])) {
				perror("table: iterator");
				return 1;
			}
			took[n] = cpu_s() - took[n];
		}
		printf("%s %.3f s\n", names[i], median(took, passes));
	}
	return 0;
}

/* On a table of its own, so that no ctd sweeps it meanwhile. */
static int sweep(int passes)
{
	static const struct bpfct_limits limits = {.confirmed = 1048576};
	struct bpfct_core core;
	char why[256] = "";
	int err;

	if (bpfct_core_load(&core, NULL, &limits, why, sizeof(why))) {
		fprintf(stderr, "table: %s\n", why);
		return 1;
	}
	err = fill(&core.pins, 1000000) || steady(&core, passes) || whole(&core, passes) ||
	      all_due(&core, passes) || flood(&core, passes);
	bpfct_core_close(&core);
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
	int passes = argc > 2 ? atoi(argv[2]) : 0;

	if (argc == 4 && !strcmp(argv[1], "fill"))
		return fill_instance(argv[2], strtoul(argv[3], NULL, 0));
	if (argc == 3 && !strcmp(argv[1], "sweep") && passes >= 1 && passes <= PASSES_MAX)
		return sweep(passes);
	if (argc == 3 && !strcmp(argv[1], "sizes"))
		return sizes(argv[2]);
	return usage();
}
