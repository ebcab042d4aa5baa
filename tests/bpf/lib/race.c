// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "race.h"
#include "userspace/ctctl/check.h"

#define TUPLES	RACE_TUPLES /* a batch is one round of each */
#define MILLION (1u << 20)
#define LEDGER	(1u << 22)

struct bpfct_core race_core;
uint32_t race_hz;
int race_out_fd;
static struct bpf_object *obj;
static int prog_fd, conf_fd, cpu_fd, sync_fd, prefix_fd;

/* Each DESTROY once per (key, generation), after or before its NEW: a cell is a
 * hash of the two with what has been seen in the low bits. */
static struct {
	uint64_t *cell;
	uint64_t news, destroys, updates, twice, packets;
	struct ring_buffer *ring;
} ledger;

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ULL;
	return h ^ (h >> 32);
}

static int on_event(void *ctx, void *data, size_t size)
{
	const struct ct_flow *flow = data;
	uint64_t h = mix(flow->family, ct_w_gen(flow->c.word)), w[5] = {0};
	uint64_t bit = flow->type == CT_EVENT_NEW ? 1 : 2;

	(void)ctx;
	assert_int_equal(size, sizeof(*flow));
	if (flow->type == CT_EVENT_UPDATE) {
		ledger.updates++;
		return 0;
	}
	memcpy(w, &flow->key6, sizeof(flow->key6));
	for (int i = 0; i < 5; i++)
		h = mix(h, w[i]);
	h = (h | 4) & ~3ULL;
	if (bit == 1) {
		ledger.news++;
	} else {
		ledger.destroys++;
		ledger.packets += flow->c.count[0].packets + flow->c.count[1].packets;
	}
	for (uint64_t at = h >> 3;; at++) {
		uint64_t *cell = &ledger.cell[at & (LEDGER - 1)];

		if (!*cell)
			*cell = h;
		if ((*cell & ~3ULL) != h)
			continue;
		ledger.twice += !!(*cell & bit);
		*cell |= bit;
		return 0;
	}
}

static uint64_t ledger_open(void)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < LEDGER; i++)
		n += ledger.cell[i] && (ledger.cell[i] & 3) != 3;
	return n;
}

static void sweep(void)
{
	char buf[256];

	for (int i = 0; i < 4; i++) {
		int fd = bpf_iter_create(bpf_link__fd(race_core.sweep[i]));

		if (fd < 0)
			abort();
		while (read(fd, buf, sizeof(buf)) > 0)
			;
		close(fd);
	}
	ring_buffer__consume(ledger.ring);
}

static void age(int64_t secs)
{
	__atomic_fetch_add(&race_core.pins.settings->clock_offset, secs * race_hz,
			   __ATOMIC_SEQ_CST);
}

static unsigned int findings(int family)
{
	struct check_findings found = {0};
	static uint32_t zones[65536];
	struct check_tables t;
	unsigned int n;

	memset(zones, 0, sizeof(zones));
	assert_int_equal(check_read(&race_core.pins, family, &t), 0);
	/* nothing runs now, and nothing is under way */
	t.churn = 0;
	t.grace = 0;
	assert_int_equal(check_verify(&t, zones, &found), 0);
	n = found.n;
	for (unsigned int i = 0; i < found.n && i < 3; i++)
		print_error("kind %d: %s walk %llu, counter %llu; port %u, gen %08x\n",
			    found.v[i].kind, found.v[i].what ? found.v[i].what : "",
			    (unsigned long long)found.v[i].walk,
			    (unsigned long long)found.v[i].count, ntohs(found.v[i].key.port[0]),
			    found.v[i].gen);
	if (zones[0] != race_core.pins.zone[0].count) {
		print_error("zone: walk %u, counter %u\n", zones[0], race_core.pins.zone[0].count);
		n++;
	}
	free(found.v);
	check_free(&t);
	return n;
}

struct runner {
	pthread_t thread;
	int cpu;
	uint32_t repeat;
	int error;
};
static pthread_barrier_t begin, end;
static bool stop;

static void *run_thread(void *arg)
{
	struct runner *r = arg;
	uint8_t frame[64] = {0};
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(r->cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		r->error = errno;
	setpriority(PRIO_PROCESS, 0, -20);
	for (;;) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
			    .data_size_in = sizeof(frame), .repeat = r->repeat);

		pthread_barrier_wait(&begin);
		if (stop)
			return NULL;
		if (bpf_prog_test_run_opts(prog_fd, &opts))
			r->error = errno;
		pthread_barrier_wait(&end);
	}
}

/* What the next batch finds under its tuples: live records, expired ones, dying
 * ones, or none, stubs included. Returns how many nodes are left that should not
 * be. No assertion here: the threads wait. */
static unsigned int between_batches(unsigned int batch, int family)
{
	static const char how[] = {'e', 'd', 'n', 'e', 'n', 'l', 'd', 'n'};

	switch (how[batch % sizeof(how)]) {
	case 'l':
		return 0;
	case 'e':
		age(200);
		return 0;
	case 'd':
		age(200);
		sweep();
		return 0;
	}
	age(200);
	sweep();
	age(3);
	sweep();
	return race_core.pins.table[family == 6].nodes;
}

static unsigned int walk_prefixes(void)
{
	static uint32_t keys[16384], values[16384];
	uint32_t at = 0, n = 16384;
	unsigned int bad = 0;

	if (bpf_map_lookup_batch(prefix_fd, NULL, &at, keys, values, &n, NULL) && errno != ENOENT)
		fail();
	for (uint32_t i = 0; i < n; i++)
		bad += values[i] != 0;
	return bad;
}

static uint64_t dropped(enum ct_drop reason)
{
	uint64_t sum[CT_DROP_SLOTS] = {0};

	assert_int_equal(bpfct_counters(race_core.pins.drop_fd, sum, CT_DROP_MAX), 0);
	return sum[reason];
}

static void reset(const struct race_test *t, int family)
{
	struct race_conf conf = {
		.family = family, .proto = t->proto, .tuples = TUPLES, .jitter = t->jitter};
	uint64_t at[16] = {0};
	uint32_t i, zero = 0;

	memset(ledger.cell, 0, LEDGER * sizeof(*ledger.cell));
	ledger.news = ledger.destroys = ledger.updates = ledger.twice = ledger.packets = 0;
	assert_int_equal(bpf_map_update_elem(conf_fd, &zero, &conf, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(sync_fd, &zero, at, BPF_ANY), 0);
	for (i = 0; i < 2; i++) {
		struct race_cpu c = {.steps = t->steps};

		memcpy(c.op, t->op[i], sizeof(c.op));
		assert_int_equal(bpf_map_update_elem(cpu_fd, &i, &c, BPF_ANY), 0);
	}
}

/* Everything expires, dies and is deleted: what is left over was lost. */
static void check_empty(int family)
{
	struct ct_table *tab = &race_core.pins.table[family == 6];

	age(500000);
	sweep();
	age(5);
	sweep();
	sweep();
	assert_int_equal(tab->nodes, 0);
	assert_int_equal(tab->confirmed, 0);
	assert_int_equal(tab->half_open, 0);
	assert_int_equal(tab->stubs, 0);
	assert_int_equal(race_core.pins.zone[0].count, 0);
	assert_int_equal(walk_prefixes(), 0);
	assert_int_equal(findings(family), 0);
}

/* Half of a race, as there are two families: a million operations, or with BPFCT_LONG
 * (make check-long) a million rounds, where each pair of events meets a million times. */
static unsigned int batches(const struct race_test *t)
{
	return MILLION / (2 * TUPLES * (getenv("BPFCT_LONG") ? 1 : 2 * t->steps));
}

void run_race(const struct race_test *t, int family)
{
	struct runner r[2] = {{.cpu = 0, .repeat = TUPLES * t->steps},
			      {.cpu = 1, .repeat = TUPLES * t->steps}};
	uint64_t lost = dropped(CT_DROP_EVENT_LOST), passed = 0, together = 0, refused = 0;
	unsigned int i, n = batches(t), left, bad = 0, rounds = 0;

	reset(t, family);
	stop = false;
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&r[i].thread, NULL, run_thread, &r[i]), 0);
	for (i = 0; i < n && bad < 5; i++) {
		pthread_barrier_wait(&begin);
		pthread_barrier_wait(&end);
		ring_buffer__consume(ledger.ring);
		rounds += TUPLES;
		bad += findings(family);
		if (t->between)
			t->between(family);
		left = between_batches(i, family);
		if (left)
			print_error("%u nodes left after two sweeps\n", left);
		bad += left;
		ring_buffer__consume(ledger.ring);
	}
	stop = true;
	pthread_barrier_wait(&begin);
	for (i = 0; i < 2; i++) {
		struct race_cpu c;

		pthread_join(r[i].thread, NULL);
		assert_int_equal(r[i].error, 0);
		assert_int_equal(bpf_map_lookup_elem(cpu_fd, &i, &c), 0);
		passed += c.passed;
		refused += c.refused;
		together += c.together;
	}
	print_message("# IPv%d: %u rounds, %llu steps in step, %llu passed, %llu refused, "
		      "%llu NEW\n",
		      family, rounds, (unsigned long long)together / 2, (unsigned long long)passed,
		      (unsigned long long)refused, (unsigned long long)ledger.news);
	assert_int_equal(bad, 0);
	check_empty(family);
	assert_int_equal(dropped(CT_DROP_EVENT_LOST), lost);
	assert_int_equal(ledger.news, ledger.destroys);
	assert_int_equal(ledger.twice, 0);
	assert_int_equal(ledger_open(), 0);
	assert_true(ledger.news > 1000);
	assert_true(ledger.packets <= passed + refused);
	if (t->exact)
		assert_int_equal(ledger.packets, passed);
}

static void open_object(char *err, size_t errlen)
{
	char path[PATH_MAX], object[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	assert_true(n > 0);
	path[n] = 0;
	snprintf(object, sizeof(object), "%s/ct_race.bpf.o", dirname(path));
	obj = bpf_object__open_file(object, NULL);
	assert_non_null(obj);
	assert_int_equal(bpfct_core_share(&race_core, obj, err, errlen), 0);
	assert_int_equal(bpf_object__load(obj), 0);
}

int race_set_up(void **state)
{
	static const struct bpfct_limits limits = {.confirmed = 4096, .half = {8192, 8192, 8}};
	struct ct_settings *set;
	char err[256] = "";

	(void)state;
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		print_message("# one CPU only: nothing races\n");
		return -1;
	}
	if (bpfct_core_load(&race_core, NULL, &limits, err, sizeof(err))) {
		print_error("%s\n", err);
		return -1;
	}
	open_object(err, sizeof(err));
	set = race_core.pins.settings;
	race_hz = set->hz;
	set->event_mask = 1 << CT_EVENT_NEW | 1 << CT_EVENT_DESTROY;
	set->half_share = UINT32_MAX;
	prog_fd = bpf_program__fd(bpf_object__find_program_by_name(obj, "race"));
	conf_fd = bpf_object__find_map_fd_by_name(obj, "race_conf_v1");
	cpu_fd = bpf_object__find_map_fd_by_name(obj, "race_cpu_v1");
	sync_fd = bpf_object__find_map_fd_by_name(obj, "race_sync_v1");
	race_out_fd = bpf_object__find_map_fd_by_name(obj, "race_out_v1");
	prefix_fd = bpf_object__find_map_fd_by_name(race_core.obj, "ct_prefix_v1");
	ledger.cell = calloc(LEDGER, sizeof(*ledger.cell));
	ledger.ring = ring_buffer__new(race_core.pins.event_fd, on_event, NULL, NULL);
	pthread_barrier_init(&begin, NULL, 3);
	pthread_barrier_init(&end, NULL, 3);
	return ledger.cell && ledger.ring ? 0 : -1;
}

int race_tear_down(void **state)
{
	(void)state;
	ring_buffer__free(ledger.ring);
	free(ledger.cell);
	bpf_object__close(obj);
	bpfct_core_close(&race_core);
	return 0;
}
