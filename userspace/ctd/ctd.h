/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_H
#define BPFCT_CTD_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <event2/event.h>

#include "../../consumers/firewall/fw_conf.h"
#include "../lib/loader.h"
#include "log.h"
#include "rundir.h"

/*
 * ctd: one process, one event loop, one file a duty. main.c starts the duties
 * in order and stops them in reverse; each has its own state behind a pointer
 * here, and <duty>_start() / <duty>_stop(). Functions return 0 or -errno and
 * have logged why.
 */
#define CTD_VERSION "0.1"

struct ctd_options {
	const char *config;
	const char *instance;
	const char *netns; /* NULL: the one we were started in */
	bool unload;
	bool check;
	bool guard;    /* only install the guard */
	bool no_guard; /* leave interfaces without our programs open */
	bool clsact;   /* attach by the qdisc though there is TCX */
	bool verbose;
};

struct ctd {
	struct ctd_options opt;
	struct timespec started; /* CLOCK_MONOTONIC */
	struct run_lock lock;
	struct event_base *base;
	struct bpfct_core core;
	struct rules *rules;		   /* rules.c: configuration and what is compiled from it */
	struct firewall *fw;		   /* firewall.c: the consumer's object */
	struct fw_explain *explain;	   /* explain.c: NULL until somebody asks */
	struct guard *guard;		   /* guard.c */
	struct attach *attach;		   /* attach.c */
	struct aside *aside;		   /* aside.c */
	struct sweep *sweep;		   /* sweep.c */
	struct frag_sweep *frag_sweep;	   /* frag_sweep.c */
	struct heartbeat *heart;	   /* heartbeat.c */
	struct route *route;		   /* route.c */
	struct fw_watch *watch;		   /* watch.c */
	struct events *events;		   /* events.c */
	struct nat *nat;		   /* nat_pool.c */
	struct alg *alg;		   /* alg_io.c */
	struct expect *expect;		   /* expect.c */
	struct expect_ports *expect_ports; /* expect_port.c */
	struct expect_gre *expect_gre;	   /* expect_gre.c */
	bool quit;			   /* told to end for good: exit status 3 */
	struct confirm *confirm;	   /* confirm.c */
	struct control *control;	   /* control.c */
};

#endif
