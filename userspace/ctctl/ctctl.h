/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTCTL_CTCTL_H
#define BPFCT_CTCTL_CTCTL_H

#include <stdbool.h>
#include <stdio.h>

#include "../lib/pins.h"
#include "../lib/text_flow.h"

#define CTCTL_OK     0
#define CTCTL_FAILED 1
#define CTCTL_USAGE  2

/* One run of the program. Data goes to out, words to err; tests pass their own. */
struct ctctl {
	FILE *out;
	FILE *err;
	const char *prog;     /* argv[0] */
	const char *instance; /* "default" unless --instance */
	bool json;
	bool conntrack; /* called under the name conntrack: -j is --any-nat */
};

/* The whole program but for exit(); returns the exit status. */
int ctctl_main(struct ctctl *c, int argc, char **argv);

/* An object of `ctctl OBJECT VERB`; argv[0] is the verb. */
struct ctctl_verb {
	const char *object;
	const char *verb; /* NULL: the object has no verbs, or none was given; argv[0] is the
			     object */
	int (*run)(struct ctctl *c, int argc, char **argv);
	const char *help; /* "ARGS  what it does"; NULL hides it */
};

int ctctl_flow_list(struct ctctl *c, int argc, char **argv);
int ctctl_flow_count(struct ctctl *c, int argc, char **argv);
int ctctl_flow_flush(struct ctctl *c, int argc, char **argv);
int ctctl_flow_import(struct ctctl *c, int argc, char **argv);
int ctctl_flow_export(struct ctctl *c, int argc, char **argv);
int ctctl_expect_list(struct ctctl *c, int argc, char **argv);
int ctctl_expect_count(struct ctctl *c, int argc, char **argv);
int ctctl_expect_delete(struct ctctl *c, int argc, char **argv);
int ctctl_expect_flush(struct ctctl *c, int argc, char **argv);
int ctctl_expect_limit(struct ctctl *c, int argc, char **argv);
int ctctl_expect_events(struct ctctl *c, int argc, char **argv);
int ctctl_zone_show(struct ctctl *c, int argc, char **argv);
int ctctl_zone_limit(struct ctctl *c, int argc, char **argv);
int ctctl_fw_check(struct ctctl *c, int argc, char **argv);
int ctctl_fw_load(struct ctctl *c, int argc, char **argv);
int ctctl_fw_confirm(struct ctctl *c, int argc, char **argv);
int ctctl_fw_unload(struct ctctl *c, int argc, char **argv);
int ctctl_fw_explain(struct ctctl *c, int argc, char **argv);
int ctctl_fw_show(struct ctctl *c, int argc, char **argv);
int ctctl_fw_table(struct ctctl *c, int argc, char **argv);
int ctctl_alg(struct ctctl *c, int argc, char **argv);
int ctctl_frag(struct ctctl *c, int argc, char **argv);
int ctctl_nat(struct ctctl *c, int argc, char **argv);
int ctctl_nat_whois(struct ctctl *c, int argc, char **argv);
int ctctl_nat_blocks(struct ctctl *c, int argc, char **argv);
int ctctl_nat_bindings(struct ctctl *c, int argc, char **argv);
int ctctl_stats(struct ctctl *c, int argc, char **argv);
int ctctl_check(struct ctctl *c, int argc, char **argv);
int ctctl_events(struct ctctl *c, int argc, char **argv);
int ctctl_timeout_show(struct ctctl *c, int argc, char **argv);
int ctctl_timeout_set(struct ctctl *c, int argc, char **argv);
int ctctl_clock(struct ctctl *c, int argc, char **argv);

/* Opens the instance's pins, or says in one line why not. CTCTL_OK or _FAILED. */
int ctctl_open(struct ctctl *c, struct bpfct_pins *p, bool writable);

/* One line on err, CTCTL_USAGE or CTCTL_FAILED back. */
int ctctl_usage(struct ctctl *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int ctctl_fail(struct ctctl *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A whole decimal, octal or hex number up to max; false leaves *n alone. */
bool ctctl_number(const char *s, unsigned long max, unsigned long *n);

/* The moment that ticks are turned into seconds with. */
struct ct_view_clock ctctl_clock_now(struct bpfct_pins *p);

#endif
