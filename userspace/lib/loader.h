/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_LOADER_H
#define BPFCT_LIB_LOADER_H

#include <bpf/libbpf.h>

#include "bpf/abi/ct_sweep.h"
#include "pins.h"

/*
 * From limits to map sizes, and from bpf/ct_core.bpf.c to a running, pinned
 * instance or to the adoption of one that is there. ctd is the user; tests and
 * benchmarks load without pins.
 */

/* What the operator asks for; 0 is the default in brackets. */
struct bpfct_limits {
	uint32_t confirmed;	 /* confirmed connections a family [262144] */
	uint32_t half[CT_SIDES]; /* half-open rings [65536, 65536, 8192], rounded up to 2^n */
	uint32_t nat;		 /* translated connections a family [as many as records] */
	uint32_t nat_pools;	 /* pools: external address x protocol class [64] */
	uint32_t nat_bindings;	 /* endpoint-independent mappings [65536] */
	uint32_t nat_subs;	 /* subscribers under limits at a time [65536] */
	uint32_t frag_datagrams; /* held at a time [1024] */
	uint32_t frag_bytes;	 /* held at a time, in chunks [4 MiB] */
};

/* Sizes of the maps and the limits that follow; the same for both families. */
struct bpfct_sizes {
	uint32_t confirmed;
	uint32_t half[CT_SIDES];
	uint32_t half_slots; /* sum of half[]: entries of ct_half*_v1 */
	uint32_t half_share; /* an eighth of the smaller side's ring */
	uint32_t clock;	     /* entries of ct_clock*_v1: 2^n >= 2 * confirmed */
	uint32_t grave;	     /* entries of ct_grave*_v1: 2^n >= records dying at a time */
	uint32_t slack;	     /* nodes that the LRU's free lists hold back (FACTS.md) */
	uint32_t conn;	     /* entries of ct_conn*_v1 */
	uint32_t stub;
	uint32_t conn_min; /* what conn must be at least, without rounding */
	uint32_t stub_min;
	uint32_t label;
	uint32_t cpus;	    /* entries of ct_algbuf_v1 */
	uint32_t nat_pools; /* entries of nat_pool_v1: index 0 is not used */
	uint32_t nat_heads; /* entries of nat_head_v1: two a pool and CPU (PARITY) */
	uint32_t
		nat_ring; /* chunks of nat_ring_v1: NAT_RING_MAX slots a pool and CPU, for 8 CPUs */
	uint32_t nat_use; /* chunks of nat_use_v1: 65536 words a pool */
	uint32_t nat_bindings;
	uint32_t nat_subs;
	uint32_t frag_slots;  /* entries of frag_head_v1 */
	uint32_t frag_chunks; /* entries of frag_data_v1 */
};

/* 0, or -EINVAL with one line in err. cpus: possible CPUs. */
int bpfct_sizes(const struct bpfct_limits *limits, unsigned int cpus, struct bpfct_sizes *out,
		char *err, size_t errlen);

/* Sets max_entries of every map of ct_table.h in an object that is not loaded yet. 0 or -errno. */
int bpfct_object_size(struct bpf_object *obj, const struct bpfct_sizes *sizes);

#define BPFCT_SWEEPS 6			/* tables that are swept */
#define BPFCT_LINKS  (BPFCT_SWEEPS + 1) /* and the fragments' */

/* An instance as its daemon holds it. */
struct bpfct_core {
	struct bpf_object *obj;
	void *skel;
	bool pinned;  /* the instance is visible under its name */
	bool adopted; /* pins were there; their contents are kept */
	struct bpfct_sizes sizes;
	struct bpfct_pins pins;
	struct bpf_link *sweep[BPFCT_LINKS]; /* conn4 conn6 stub4 stub6 bound sub frag */
	int listed_fd;			     /* program ct_sweep_listed; goes with obj */
	struct bpf_link *dump[2];
};

/*
 * Opens, sizes and loads ct_core. Are there pins of this instance, they are
 * verified first and taken over, else the maps are new and hold defaults
 * (HZ measured, secret drawn, netfilter's time-outs). Nothing is visible in
 * bpffs before bpfct_core_pin(). instance NULL: for tests, never pinned.
 * 0, or -errno with one line in err: -EPROTO another layout or sizes, -EPERM.
 */
int bpfct_core_load(struct bpfct_core *core, const char *instance,
		    const struct bpfct_limits *limits, char *err, size_t errlen);

/*
 * Makes an object use core's maps and, of the others, the instance's pins of
 * the same name; call between open and load. Maps of the object that are in
 * ct_table.h get core's sizes. 0 or -errno with one line in err.
 */
int bpfct_core_share(struct bpfct_core *core, struct bpf_object *obj, char *err, size_t errlen);

/* Sizes for other limits, if the maps that are loaded allow them: 0, or -errno
 * (-EPROTO) with one line in err. The caller applies them. */
int bpfct_core_fit(struct bpfct_core *core, const struct bpfct_limits *limits,
		   struct bpfct_sizes *out, char *err, size_t errlen);

/* Publishes: a new instance appears with all its pins at once; of an adopted
 * one the programs and iterators are replaced, one atomic rename each. */
int bpfct_core_pin(struct bpfct_core *core, char *err, size_t errlen);

/* Pins those maps of an object that have no pin yet (a consumer's own). */
int bpfct_core_pin_maps(struct bpfct_core *core, struct bpf_object *obj, char *err, size_t errlen);

void bpfct_core_close(struct bpfct_core *core);

/* Removes an instance's pins, or what is left of them. 0 or -errno with one line in err. */
int bpfct_unpin(const char *instance, char *err, size_t errlen);

/* Writes limits of `sizes` into both tables; counts and high-water marks stay. */
void bpfct_table_limits(struct ct_table table[2], const struct bpfct_sizes *sizes);

/* Total limits on held fragments. */
void bpfct_frag_limits(struct frag_table *t, const struct bpfct_sizes *sizes);

/* A stretch of the regular pass: runs ct_sweep_listed by its descriptor, see ct_sweep.h. 0 or
 * -errno. */
int bpfct_sweep_listed(int prog_fd, struct ct_sweep_req *req);

/* netfilter's defaults. */
void bpfct_default_timeouts(struct ct_timeouts *t);

/* Jiffies a second of the running kernel, from two clock readings 50 ms or more apart. */
int bpfct_measure_hz(struct bpfct_pins *p, uint32_t *hz);

#endif
