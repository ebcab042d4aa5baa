// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Two CPUs, in step, do to one tuple what must not go wrong at once, a million
 * operations a test. Afterwards the tables are held
 * against the invariants of DESIGN 3 and the events against each other.
 */
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
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bpf/ct/ct_tcp_table.h"
#include "ct_race.h"
#include "userspace/ctctl/check.h"
#include "userspace/lib/loader.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define TUPLES RACE_TUPLES /* a batch is one round of each */
/* Batches of a race on one family: a million operations on both. */
#define EVENTS	   (1u << 20)
#define BATCHES(t) (EVENTS / (2 * 2 * TUPLES * (t)->steps))
#define LEDGER	   (1u << 22)

static struct bpfct_core core;
static struct bpf_object *obj;
static int prog_fd, conf_fd, cpu_fd, sync_fd, out_fd, prefix_fd;
static uint32_t hz;

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
		int fd = bpf_iter_create(bpf_link__fd(core.sweep[i]));

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
	__atomic_fetch_add(&core.pins.settings->clock_offset, secs * hz, __ATOMIC_SEQ_CST);
}

static unsigned int findings(int family)
{
	struct check_findings found = {0};
	static uint32_t zones[65536];
	struct check_tables t;
	unsigned int n;

	memset(zones, 0, sizeof(zones));
	assert_int_equal(check_read(&core.pins, family, &t), 0);
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
	if (zones[0] != core.pins.zone[0].count) {
		print_error("zone: walk %u, counter %u\n", zones[0], core.pins.zone[0].count);
		n++;
	}
	free(found.v);
	check_free(&t);
	return n;
}

/* A test: what each CPU does step by step, and what to look at between batches. */
struct race_test {
	uint32_t proto;
	uint32_t jitter;
	uint32_t steps;
	struct race_op op[2][RACE_STEPS];
	bool exact; /* every packet passed is counted in some DESTROY */
	void (*between)(int family);
};

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
	return core.pins.table[family == 6].nodes;
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

	assert_int_equal(bpfct_counters(core.pins.drop_fd, sum, CT_DROP_MAX), 0);
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
	struct ct_table *tab = &core.pins.table[family == 6];

	age(500000);
	sweep();
	age(5);
	sweep();
	sweep();
	assert_int_equal(tab->nodes, 0);
	assert_int_equal(tab->confirmed, 0);
	assert_int_equal(tab->half_open, 0);
	assert_int_equal(tab->stubs, 0);
	assert_int_equal(core.pins.zone[0].count, 0);
	assert_int_equal(walk_prefixes(), 0);
	assert_int_equal(findings(family), 0);
}

static void run_race(const struct race_test *t, int family)
{
	struct runner r[2] = {{.cpu = 0, .repeat = TUPLES * t->steps},
			      {.cpu = 1, .repeat = TUPLES * t->steps}};
	uint64_t lost = dropped(CT_DROP_EVENT_LOST), passed = 0, together = 0, refused = 0;
	unsigned int i, left, bad = 0, rounds = 0;

	reset(t, family);
	stop = false;
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&r[i].thread, NULL, run_thread, &r[i]), 0);
	for (i = 0; i < BATCHES(t) && bad < 5; i++) {
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

#define BOTH(t)                                                                                    \
	do {                                                                                       \
		run_race((t), 4);                                                                  \
		run_race((t), 6);                                                                  \
	} while (0)

/* clang-format off */
#define PACKET(w, ...)	{.kind = RACE_PACKET, .way = (w), __VA_ARGS__}
#define OPEN(w, ...)	PACKET(w, .commit = 1, __VA_ARGS__)
#define NOTHING		{0}
/* clang-format on */

#define SYN(w, ...)    OPEN(w, .tcp_flags = CT_TH_SYN, .seq = 1000, __VA_ARGS__)
#define SYNACK(w, ...) PACKET(w, .tcp_flags = CT_TH_SYN | CT_TH_ACK, .seq = 5000, .ack = 1001)
#define ACK(w, ...)    PACKET(w, .tcp_flags = CT_TH_ACK, .seq = 1001, .ack = 5001)

static void one_tuple_committed_twice_is_one_record(void **state)
{
	static const struct race_test t = {
		.proto = IPPROTO_UDP,
		.jitter = 3,
		.exact = true,
		.steps = 2,
		.op = {{OPEN(RACE_C_S), PACKET(RACE_S_C)}, {OPEN(RACE_C_S), PACKET(RACE_S_C)}}};

	(void)state;
	BOTH(&t);
}

static void both_ends_opening_at_once_is_one_record(void **state)
{
	static const struct race_test t = {
		.proto = IPPROTO_UDP,
		.jitter = 3,
		.exact = true,
		.steps = 2,
		.op = {{OPEN(RACE_C_S), PACKET(RACE_S_C)}, {OPEN(RACE_S_C), PACKET(RACE_C_S)}}};

	(void)state;
	BOTH(&t);
}

static void one_tuple_translated_twice_keeps_its_stub(void **state)
{
	static const struct race_test t = {.proto = IPPROTO_UDP,
					   .jitter = 3,
					   .exact = true,
					   .steps = 2,
					   .op = {{OPEN(RACE_C_S, .nat = 1), PACKET(RACE_S_E)},
						  {OPEN(RACE_C_S, .nat = 1), PACKET(RACE_S_E)}}};

	(void)state;
	BOTH(&t);
}

static void a_plain_tuple_and_a_claim_of_it_exclude_each_other(void **state)
{
	static const struct race_test t = {.proto = IPPROTO_UDP,
					   .jitter = 5,
					   .steps = 2,
					   .op = {{OPEN(RACE_C_S, .nat = 1), PACKET(RACE_S_E)},
						  {OPEN(RACE_E_S), PACKET(RACE_S_E)}}};

	(void)state;
	BOTH(&t);
}

/* As above, with an answer that changes the plain record's word while it is
 * looked whether it may stay. */
static void a_claim_wins_though_an_answer_comes(void **state)
{
	static const struct race_test t = {
		.proto = IPPROTO_UDP,
		.jitter = 4,
		.steps = 3,
		.op = {{OPEN(RACE_C_S, .nat = 1), PACKET(RACE_S_E), OPEN(RACE_C_S, .nat = 1)},
		       {OPEN(RACE_E_S), OPEN(RACE_E_S), PACKET(RACE_S_E)}}};

	(void)state;
	BOTH(&t);
}

/* Calls fn with each record of the family. */
static void each_record(int family, void (*fn)(const struct ct_conn *c, uint32_t now))
{
	int six = family == 6, fd = core.pins.conn_fd[six];
	char key[2][40];
	void *last = NULL;
	struct ct_conn6 c;
	uint32_t now = bpfct_now(&core.pins);

	for (int i = 0; !bpf_map_get_next_key(fd, last, key[i]); last = key[i], i = !i)
		if (!bpf_map_lookup_elem(fd, key[i], &c))
			fn(&c.c, now);
}

static unsigned int wrong, looked_at;

/* Did the round of this record's tuple go as written, on both CPUs in step? */
static bool round_was_whole(const struct ct_conn *c, int steps)
{
	unsigned int port = ntohs(c->reply_dport) - RACE_PORT, all = (1u << steps) - 1;
	struct race_out out;

	for (uint32_t i = 0; i < 2; i++) {
		uint32_t at = i * TUPLES + port;

		if (port >= TUPLES || bpf_map_lookup_elem(out_fd, &at, &out) ||
		    (out.met & all) != all || (out.passed & all) != all)
			return false;
	}
	return true;
}

static void want_closed(const struct ct_conn *c, uint32_t now)
{
	if (!round_was_whole(c, 3))
		return;
	looked_at++;
	if (ct_w_state(c->word) != CT_TCP_CLOSE ||
	    (int32_t)(c->expires - now) > (int32_t)(11 * hz >> 5))
		wrong++;
}

static void want_closing(const struct ct_conn *c, uint32_t now)
{
	uint8_t state = ct_w_state(c->word);

	if (!round_was_whole(c, 3))
		return;
	looked_at++;
	if ((state != CT_TCP_CLOSE_WAIT && state != CT_TCP_FIN_WAIT) ||
	    (int32_t)(c->expires - now) > (int32_t)(130 * hz >> 5))
		wrong++;
}

static void closed_between(int family)
{
	each_record(family, want_closed);
}

static void closing_between(int family)
{
	each_record(family, want_closing);
}

/* A reset that meets the last ACK of the handshake closes, whoever is first. */
static void a_reset_is_not_lost_to_a_promotion(void **state)
{
	static const struct race_test t = {
		.proto = IPPROTO_TCP,
		.jitter = 3,
		.steps = 3,
		.between = closed_between,
		.op = {{SYN(RACE_C_S), NOTHING, ACK(RACE_C_S)},
		       {NOTHING, SYNACK(RACE_S_C),
			PACKET(RACE_S_C, .tcp_flags = CT_TH_RST | CT_TH_ACK, .seq = 5001,
			       .ack = 1001)}}};

	(void)state;
	wrong = looked_at = 0;
	BOTH(&t);
	assert_true(looked_at > 1000);
	assert_int_equal(wrong, 0);
}

static void a_fin_is_not_lost_to_a_promotion(void **state)
{
	static const struct race_test t = {
		.proto = IPPROTO_TCP,
		.jitter = 3,
		.steps = 3,
		.between = closing_between,
		.op = {{SYN(RACE_C_S), NOTHING, ACK(RACE_C_S)},
		       {NOTHING, SYNACK(RACE_S_C),
			PACKET(RACE_S_C, .tcp_flags = CT_TH_FIN | CT_TH_ACK, .seq = 5001,
			       .ack = 1001)}}};

	(void)state;
	wrong = looked_at = 0;
	BOTH(&t);
	assert_true(looked_at > 1000);
	assert_int_equal(wrong, 0);
}

static void want_short_lives(const struct ct_conn *c, uint32_t now)
{
	uint32_t life = ct_w_life(c->word);
	int32_t left = c->expires - now;

	if (life == CT_LIFE_DYING && left > 0)
		wrong++;
	/* SYN_SENT and unanswered UDP never have more than two minutes */
	if (life == CT_LIFE_HALF_OPEN && left > (int32_t)(130 * hz >> 5))
		wrong++;
}

static void short_between(int family)
{
	each_record(family, want_short_lives);
}

/* A packet that finds a record just before it expires must not give the dead one
 * a new time-out: it would keep its node. */
static void a_refresh_does_not_outlive_the_death(void **state)
{
	struct race_test t = {.proto = IPPROTO_UDP,
			      .jitter = 5,
			      .steps = 2,
			      .between = short_between,
			      .op = {{OPEN(RACE_C_S), PACKET(RACE_C_S)},
				     {NOTHING, {.kind = RACE_AGE_VISIT, .age = 31 * hz}}}};

	(void)state;
	wrong = looked_at = 0;
	BOTH(&t);
	assert_int_equal(wrong, 0);
}

/* Nor a deleted one: it would stay, dying, for the whole time-out. */
static void a_refresh_does_not_outlive_a_deletion(void **state)
{
	static const struct race_test t = {
		.proto = IPPROTO_UDP,
		.jitter = 6,
		.steps = 2,
		.between = short_between,
		.op = {{OPEN(RACE_C_S), PACKET(RACE_C_S)}, {NOTHING, {.kind = RACE_DELETE}}}};

	(void)state;
	wrong = looked_at = 0;
	BOTH(&t);
	assert_int_equal(wrong, 0);
}

/* Two deletions are one death, two sweeps free one node. */
static void who_deletes_twice_ends_it_once(void **state)
{
	struct race_test t = {.proto = IPPROTO_UDP,
			      .jitter = 3,
			      .steps = 4,
			      .op = {{OPEN(RACE_C_S, .nat = 1),
				      {.kind = RACE_DELETE},
				      NOTHING,
				      {.kind = RACE_VISIT}},
				     {NOTHING,
				      {.kind = RACE_DELETE},
				      {.kind = RACE_AGE, .age = 3 * hz},
				      {.kind = RACE_VISIT}}}};

	(void)state;
	BOTH(&t);
}

/* The same with an established connection that is deleted and opened again: the
 * straggler's five days must not go to the newcomer. */
static void a_straggler_does_not_refresh_the_next_life(void **state)
{
	static const struct race_test t = {
		.proto = IPPROTO_TCP,
		.jitter = 5,
		.steps = 4,
		.between = short_between,
		.op = {{SYN(RACE_C_S), NOTHING, ACK(RACE_C_S), ACK(RACE_C_S)},
		       {NOTHING,
			SYNACK(RACE_S_C),
			NOTHING,
			{.kind = RACE_REPLACE,
			 .commit = 1,
			 .tcp_flags = CT_TH_SYN,
			 .seq = 90000}}}};

	(void)state;
	wrong = looked_at = 0;
	BOTH(&t);
	assert_int_equal(wrong, 0);
}

/* ctctl -D and the sweep end a connection and free its node, while its client
 * opens it again, with the same translation. */
static void a_client_may_come_back_while_its_node_is_freed(void **state)
{
	struct race_test t = {.proto = IPPROTO_UDP,
			      .jitter = 5,
			      .steps = 4,
			      .op = {{OPEN(RACE_C_S, .nat = 1), NOTHING, OPEN(RACE_C_S, .nat = 1),
				      PACKET(RACE_S_E)},
				     {NOTHING,
				      {.kind = RACE_DELETE},
				      {.kind = RACE_AGE_VISIT, .age = 2 * hz},
				      NOTHING}}};

	(void)state;
	BOTH(&t);
}

static void a_deletion_meets_a_reopening(void **state)
{
	static const struct race_test t = {
		.proto = IPPROTO_UDP,
		.jitter = 5,
		.steps = 3,
		.op = {{OPEN(RACE_C_S, .nat = 1), OPEN(RACE_C_S, .nat = 1),
			OPEN(RACE_C_S, .nat = 1)},
		       {NOTHING, {.kind = RACE_DELETE}, {.kind = RACE_DELETE}}}};

	(void)state;
	BOTH(&t);
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
	assert_int_equal(bpfct_core_share(&core, obj, err, errlen), 0);
	assert_int_equal(bpf_object__load(obj), 0);
}

static int set_up(void **state)
{
	static const struct bpfct_limits limits = {.confirmed = 4096, .half = {8192, 8192, 8}};
	struct ct_settings *set;
	char err[256] = "";

	(void)state;
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		print_message("# one CPU only: nothing races\n");
		return -1;
	}
	if (bpfct_core_load(&core, NULL, &limits, err, sizeof(err))) {
		print_error("%s\n", err);
		return -1;
	}
	open_object(err, sizeof(err));
	set = core.pins.settings;
	hz = set->hz;
	set->event_mask = 1 << CT_EVENT_NEW | 1 << CT_EVENT_DESTROY;
	set->half_share = UINT32_MAX;
	prog_fd = bpf_program__fd(bpf_object__find_program_by_name(obj, "race"));
	conf_fd = bpf_object__find_map_fd_by_name(obj, "race_conf_v1");
	cpu_fd = bpf_object__find_map_fd_by_name(obj, "race_cpu_v1");
	sync_fd = bpf_object__find_map_fd_by_name(obj, "race_sync_v1");
	out_fd = bpf_object__find_map_fd_by_name(obj, "race_out_v1");
	prefix_fd = bpf_object__find_map_fd_by_name(core.obj, "ct_prefix_v1");
	ledger.cell = calloc(LEDGER, sizeof(*ledger.cell));
	ledger.ring = ring_buffer__new(core.pins.event_fd, on_event, NULL, NULL);
	pthread_barrier_init(&begin, NULL, 3);
	pthread_barrier_init(&end, NULL, 3);
	return ledger.cell && ledger.ring ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	ring_buffer__free(ledger.ring);
	free(ledger.cell);
	bpf_object__close(obj);
	bpfct_core_close(&core);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_tuple_committed_twice_is_one_record),
		cmocka_unit_test(both_ends_opening_at_once_is_one_record),
		cmocka_unit_test(one_tuple_translated_twice_keeps_its_stub),
		cmocka_unit_test(a_plain_tuple_and_a_claim_of_it_exclude_each_other),
		cmocka_unit_test(a_claim_wins_though_an_answer_comes),
		cmocka_unit_test(a_reset_is_not_lost_to_a_promotion),
		cmocka_unit_test(a_fin_is_not_lost_to_a_promotion),
		cmocka_unit_test(a_refresh_does_not_outlive_the_death),
		cmocka_unit_test(a_refresh_does_not_outlive_a_deletion),
		cmocka_unit_test(who_deletes_twice_ends_it_once),
		cmocka_unit_test(a_straggler_does_not_refresh_the_next_life),
		cmocka_unit_test(a_client_may_come_back_while_its_node_is_freed),
		cmocka_unit_test(a_deletion_meets_a_reopening),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("ct_race", tests, set_up, tear_down) ? 1 : 0;
}
