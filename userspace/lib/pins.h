/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_PINS_H
#define BPFCT_LIB_PINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../bpf/abi/ct_drop.h"
#include "../../bpf/abi/ct_event.h"
#include "../../bpf/abi/ct_table.h"

/*
 * An instance's pinned maps and programs, opened and verified (owner, mode,
 * type, sizes, flags). Array maps of ctd's are mapped into memory, so reads and
 * writes of settings, table, zone and time-outs are plain loads and stores.
 */
struct bpfct_pins {
	char instance[64];
	int conn_fd[2];  /* 0: IPv4, 1: IPv6 */
	int stub_fd[2];
	int half_fd[2];
	int clock_fd[2];
	int label_fd;
	int drop_fd;     /* PERCPU_ARRAY */
	int stat_fd;     /* PERCPU_ARRAY */
	int event_fd;    /* RINGBUF */
	int control_fd;  /* SEC("syscall") program ct_control */
	int settings_fd, timeout_fd, table_fd, zone_fd;
	struct ct_settings *settings; /* read-only mapping unless opened for writing */
	struct ct_timeouts *timeouts; /* [256] */
	struct ct_table *table;       /* [2] */
	struct ct_zone *zone;         /* [65536] */
};

/* Opens the pins of an instance. 0, or -errno with one line in err: -ENOENT no
 * such instance, -EPERM not ours (owner, mode), -EPROTO other layout. */
int bpfct_pins_open(struct bpfct_pins *p, const char *instance, bool writable, char *err,
		    size_t errlen);
void bpfct_pins_close(struct bpfct_pins *p);

/* Reads one family's (4 or 6) flows through the pinned iterator; each flow is
 * consistent in itself. A callback that returns non-zero ends the walk and is
 * returned. 0 or -errno. */
typedef int (*bpfct_flow_fn)(const struct ct_flow *flow, void *arg);
int bpfct_dump(struct bpfct_pins *p, int family, bpfct_flow_fn fn, void *arg);

/* Runs ct_control once. 0 if it ran (see req->result), else -errno. */
int bpfct_control(struct bpfct_pins *p, struct ct_control *req);

/* Sum of a per-CPU counter array (drop_fd or stat_fd), n slots. 0 or -errno. */
int bpfct_counters(int fd, uint64_t *sum, unsigned int n);

/* The kernel's clock in ticks (ct_clock.h), test offset included; seconds
 * between ticks, and seconds until a tick (0 when past). */
uint32_t bpfct_now(struct bpfct_pins *p);
double bpfct_ticks_to_s(const struct bpfct_pins *p, int32_t ticks);

/* Text of a drop reason or counter, NULL when out of range. */
const char *bpfct_drop_text(unsigned int reason);
const char *bpfct_stat_text(unsigned int stat);

#endif
