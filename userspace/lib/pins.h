/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_PINS_H
#define BPFCT_LIB_PINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../bpf/abi/alg_abi.h"
#include "../../bpf/abi/ct_drop.h"
#include "../../bpf/abi/ct_event.h"
#include "../../bpf/abi/ct_table.h"
#include "../../bpf/abi/expect_abi.h"
#include "../../bpf/abi/nat_abi.h"
#include "../../bpf/abi/frag_abi.h"

/*
 * An instance's pinned maps and programs, opened and verified (owner, mode,
 * type, sizes, flags). Array maps of ctd's are mapped into memory, so reads and
 * writes of settings, table, zone and time-outs are plain loads and stores.
 */
struct bpfct_pins {
	char instance[64];
	int conn_fd[2]; /* 0: IPv4, 1: IPv6 */
	int stub_fd[2];
	int half_fd[2];
	int clock_fd[2];
	int label_fd;
	int expect_fd, xport_fd, gre_fd, master_fd, expstate_fd; /* expect_abi.h */
	int drop_fd;						 /* PERCPU_ARRAY */
	int stat_fd;						 /* PERCPU_ARRAY */
	int event_fd;						 /* RINGBUF */
	int control_fd; /* SEC("syscall") program ct_control */
	int alg_fd, algring_fd, algexec_fd, algsess_fd, algbig_fd; /* alg_abi.h */
	int settings_fd, timeout_fd, table_fd, zone_fd;
	/* nat_abi.h; of the instance's daemon and `ctctl nat` */
	int nat_config_fd, nat_pool_fd, nat_head_fd, nat_ring_fd, nat_use_fd, nat_reserved_fd;
	int nat_bound_fd, nat_bind_fd, nat_peer_fd, nat_sub_fd, nat_need_fd;
	int frag_head_fd, frag_zone_fd;
	int frag_stat_fd; /* PERCPU_ARRAY */
	int frag_table_fd;
	struct ct_settings *settings;	/* read-only mapping unless opened for writing */
	struct ct_timeouts *timeouts;	/* [256] */
	struct ct_table *table;		/* [2] */
	struct ct_zone *zone;		/* [65536] */
	struct frag_table *frag;	/* [1] */
	struct ct_expect_state *expect; /* [1] */
};

/* Longest path of a pin, its 0 included. */
#define BPFCT_PATH_MAX 192

/* One of ct_table.h's or nat_abi.h's maps as pinned. entries 0: depends on the configuration. */
struct bpfct_map_spec {
	const char *name;
	uint32_t type; /* enum bpf_map_type */
	uint32_t key_size;
	uint32_t value_size;
	uint32_t flags; /* BPF_F_* given at creation */
	uint32_t entries;
	int fd_off; /* of its descriptor in struct bpfct_pins, -1: not opened */
};
extern const struct bpfct_map_spec bpfct_map_specs[];
extern const unsigned int bpfct_n_map_specs;

/* The layout of a map by name; NULL if it is none of those. */
const struct bpfct_map_spec *bpfct_map_spec(const char *name);

/* Compares an open map with its layout. 0, -EPROTO with one line in err, -errno. */
int bpfct_map_verify(int fd, const struct bpfct_map_spec *spec, const char *path, char *err,
		     size_t errlen);

/* 1 to 63 of [A-Za-z0-9_-]; bpffs allows no dot in a name. */
bool bpfct_instance_valid(const char *name);

/* Path of a pin of the instance, of its directory when name is NULL. */
void bpfct_pin_path(char path[BPFCT_PATH_MAX], const char *instance, const char *name);

/* A directory or socket path that root or the caller owns and that no one else
 * can write to. 0, -EPERM with one line in err, -errno (no line) if not there. */
int bpfct_path_trusted(const char *path, char *err, size_t errlen);

/* Opens the pins of an instance. 0, or -errno with one line in err: -ENOENT no
 * such instance, -EPERM not ours (owner, mode), -EPROTO other layout. */
int bpfct_pins_open(struct bpfct_pins *p, const char *instance, bool writable, char *err,
		    size_t errlen);
void bpfct_pins_close(struct bpfct_pins *p);

/* An unused struct bpfct_pins: closing it does nothing. */
void bpfct_pins_init(struct bpfct_pins *p);

/* Maps settings, timeouts, table and zone of descriptors that are already set;
 * 0 or -errno. bpfct_pins_open() does it. */
int bpfct_pins_map(struct bpfct_pins *p, bool writable);

/* Reads one family's (4 or 6) flows through the pinned iterator; each flow is
 * consistent in itself. A callback that returns non-zero ends the walk and is
 * returned. 0 or -errno. */
typedef int (*bpfct_flow_fn)(const struct ct_flow *flow, void *arg);
int bpfct_dump(struct bpfct_pins *p, int family, bpfct_flow_fn fn, void *arg);

/* Runs ct_control once. 0 if it ran (see req->result), else -errno. */
int bpfct_control(struct bpfct_pins *p, struct ct_control *req);

/* Sum of a per-CPU counter array (drop_fd, stat_fd, frag_stat_fd), n slots. 0 or -errno. */
int bpfct_counters(int fd, uint64_t *sum, unsigned int n);

/* The kernel's clock in ticks (ct_clock.h), test offset included; seconds
 * between ticks, and seconds until a tick (0 when past). */
uint32_t bpfct_now(struct bpfct_pins *p);
double bpfct_ticks_to_s(const struct bpfct_pins *p, int32_t ticks);

/* Text of a drop reason or counter, NULL when out of range. */
const char *bpfct_drop_text(unsigned int reason);
const char *bpfct_stat_text(unsigned int stat);

#endif
