// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Drives keys.bpf.c: twin and packed maps in turn, at 1, 100 k and 1 M
 * connections, and prints `name value unit` lines, medians over rounds. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "keys.h"
#include "lib/figure.h"

#define ROUNDS_MAX 21
#define CHUNK	   65536 /* steps a call: some 20 ms, not interruptible */

enum { NONE, TWIN, PACKED, KINDS };
static const char *const kind_name[KINDS] = {"none", "twin", "packed"};
static const char *const find_prog[KINDS] = {"run_none_step", "run_twin_find", "run_packed_find"};
static const char *const add_prog[KINDS] = {NULL, "run_twin_add", "run_packed_add"};

static const struct {
	const char *name;
	unsigned int flows;
	unsigned int adds; /* into the empty map; a single insert cannot be timed */
	unsigned int finds;
} sizes[] = {{"1", 1, 1000, 500000},
	     {"100k", 100000, 100000, 500000},
	     {"1m", 1000000, 1000000, 1000000}};
#define SIZES (sizeof(sizes) / sizeof(*sizes))

static double find_ns[SIZES][KINDS][ROUNDS_MAX], add_ns[SIZES][KINDS][ROUNDS_MAX];
static double bytes[KINDS];

/* Nanoseconds a step over `steps` steps of a program; < 0 when one missed. */
static double run(struct bpf_object *obj, struct keys_state *state, const char *prog,
		  unsigned int steps)
{
	static char frame[64];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame));
	int fd = bpf_program__fd(bpf_object__find_program_by_name(obj, prog));

	state->at = 0;
	state->ns = 0;
	state->missed = 0;
	for (unsigned int left = steps; left; left -= state->todo) {
		state->todo = left < CHUNK ? left : CHUNK;
		if (bpf_prog_test_run_opts(fd, &opts) || state->missed) {
			fprintf(stderr, "keys: %s: %s, %u missed\n", prog, strerror(errno),
				state->missed);
			return -1;
		}
	}
	return (double)state->ns / steps;
}

static int one_round(const char *path, unsigned int size, int round)
{
	struct bpf_object *obj = bpf_object__open_file(path, NULL);
	struct keys_state *state = MAP_FAILED;
	int err = -1;

	if (!obj)
		goto out;
	for (int k = TWIN; k < KINDS; k++) {
		/* A quarter more, as the half-open have in ctd's default. */
		unsigned int cap = sizes[size].adds + sizes[size].adds / 4 + 4096;

		bpf_map__set_max_entries(bpf_object__find_map_by_name(obj, kind_name[k]), cap);
	}
	if (bpf_object__load(obj))
		goto out;
	state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE, MAP_SHARED,
		     bpf_map__fd(bpf_object__find_map_by_name(obj, ".bss")), 0);
	if (state == MAP_FAILED)
		goto out;
	state->flows = sizes[size].flows;
	for (int k = NONE; k < KINDS; k++) {
		if (k != NONE) {
			struct bpf_map *map = bpf_object__find_map_by_name(obj, kind_name[k]);

			add_ns[size][k][round] = run(obj, state, add_prog[k], sizes[size].adds);
			bytes[k] = memlock(bpf_map__fd(map)) / bpf_map__max_entries(map);
		}
		find_ns[size][k][round] = run(obj, state, find_prog[k], sizes[size].finds);
		if (add_ns[size][k][round] < 0 || find_ns[size][k][round] < 0)
			goto out;
	}
	err = 0;
out:
	if (err)
		fprintf(stderr, "keys: %s: %s\n", path, strerror(errno));
	if (state != MAP_FAILED)
		munmap(state, sizeof(*state));
	bpf_object__close(obj);
	return err;
}

static void print_size(unsigned int size, int rounds)
{
	double none = median(find_ns[size][NONE], rounds);

	for (int k = TWIN; k < KINDS; k++) {
		printf("key_%s_find_%s_ns %.0f ns\n", kind_name[k], sizes[size].name,
		       median(find_ns[size][k], rounds) - none);
		printf("key_%s_insert_%s_ns %.0f ns\n", kind_name[k], sizes[size].name,
		       median(add_ns[size][k], rounds) - none);
	}
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[2]) : 5;
	cpu_set_t set;

	if (argc < 2 || rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: keys keys.bpf.o [rounds] [cpu]\n");
		return 2;
	}
	CPU_ZERO(&set);
	CPU_SET(argc > 3 ? atoi(argv[3]) : 0, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		perror("keys: sched_setaffinity");
	for (unsigned int size = 0; size < SIZES; size++) {
		for (int r = 0; r < rounds; r++) {
			if (one_round(argv[1], size, r))
				return 1;
		}
		print_size(size, rounds);
	}
	for (int k = TWIN; k < KINDS; k++)
		printf("key_%s_bytes %.0f B\n", kind_name[k], bytes[k]);
	return 0;
}
