/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef TESTS_BENCH_LIB_SIDE_H
#define TESTS_BENCH_LIB_SIDE_H

#include <stdbool.h>
#include <time.h>

#include "figure.h"
#include "tests/bench/path.h"

/*
 * One side of a comparison: three namespaces PREFIX-s, -r, -d as topology.sh builds them, with
 * a generator and a sink at either end. path.c and ovs.c time what lies between.
 */
#define SIDES_MAX  6
#define ROUNDS_MAX 101

enum dir { ORIG = PATH_ORIG, REPLY = PATH_REPLY };

struct bpf_object;
struct side {
	/* "redirect": a bare redirect is attached to the router's devices; "ours", "lru", "hash":
	 * one behind two inserts into maps of that kind (path.bpf.c) */
	char name[16];
	char prefix[32];
	char arg[256]; /* path.c: a command that empties its table; ovs.c: its vswitchd's number */
	bool nat;      /* what arrives must be translated */
	bool lossy;    /* measured is what arrives, however much was offered */
	bool bridged;  /* nothing counts down the TTL */
	bool tcx;      /* the redirect by TCX rather than by clsact */
	struct bpf_object *obj;
	struct path_state *state;
	int gen_fd[2];
	int ns_fd[2];	  /* where the generator of that direction runs */
	const char *bare; /* the program of these, NULL: a datapath is there */
	int map_fd[2];	  /* of the two inserts, else 0 */
	double ns[ROUNDS_MAX];
	clockid_t daemon; /* of the CPU time of who works on packets beside the kernel; 0: none */
	/* Of the last measure(). */
	double cpu_ns;	 /* CPU time a packet that arrived */
	double least_ns; /* the same without what others cost that were lost */
	double came;	 /* the share that arrived */
};

extern struct side sides[SIDES_MAX];
extern int nsides;

/* Says what failed on stderr. Returns -errno, -EIO if there is none. */
int fail(const char *what, const char *which);

/*
 * The options that all programs have, with their defaults: -O objdir, -r rounds, -p packets,
 * -C cpu. common_option() takes one that getopt() has found, or says false.
 */
extern const char *objdir;
extern int rounds, cpu;
extern unsigned int packets;
#define COMMON_OPTIONS "O:r:p:C:"
#define COMMON_USAGE   "[-O objdir] [-r rounds] [-p packets] [-C cpu]"
bool common_option(int opt);

/* NAME:PREFIX[:ARG] becomes the next of `sides`. 0 or -1. */
int parse_side(char *arg);

/* Loads path.bpf.o from objdir, attaches the sinks. 0 or < 0. */
int side_open(struct side *s, unsigned int clients);
void side_close(struct side *s);

/* Empties the maps of a side with two inserts. 0 or < 0. */
int side_empty(const struct side *s);

/* Until a burst of flow 0 comes through each way; 5 s at most. 0 or -1. */
int warm_up(struct side *s);

/* Sends n live frames. 0 or < 0. */
int burst(const struct side *s, enum dir dir, unsigned int n);

/*
 * Nanoseconds a packet of the whole path, for n packets over flows first ..
 * first + flows - 1, from the first frame generated to the last one that the
 * sink timed (0 when n was too small for that): what the system call costs to set up (20 ms and
 * more, in steps of grace periods) is not in it. < 0 when not every packet arrived (unless the
 * side is lossy), or one not translated.
 *
 * cpu_ns: the CPU time of this process, in which the kernel does its part (softirqs that a task
 * raises run in that task's time), and that of `daemon` while packets came, by those that arrived.
 * least_ns: of this process the part of a packet, whether it arrived or not.
 */
double measure(struct side *s, enum dir dir, unsigned int first, unsigned int flows,
	       unsigned int n);

/* Until nothing more arrives. */
void drain(const struct side *s, enum dir dir);

/* To the one core with real-time priority, so that other processes stay off it (the kernel still
 * gives them a share when they starve). */
void pin(void);

#endif
