/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_TCX_H
#define BPFCT_CTD_TCX_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Programs on an interface by TCX (Linux 6.6), as links pinned beside the
 * instance's maps, `tcx_in_IFINDEX` and `tcx_out_IFINDEX`. A link, and not a
 * plain attachment, since an interface that moves to another network namespace
 * takes its TCX programs along (those of a clsact qdisc stay behind): through
 * the pin they can still be taken off it.
 */

/* 0, -EOPNOTSUPP without TCX, -ENODEV, another -errno. A program of a former
 * ctd is replaced in place. */
int tcx_attach(const char *instance, uint32_t ifindex, bool egress, int prog);

/* Are both sides attached to that interface still? */
bool tcx_attached(const char *instance, uint32_t ifindex);

/* The same, and the interface is in our network namespace: one that moved away may
 * have left its index to another. */
bool tcx_present(const char *instance, uint32_t ifindex);

/* Takes both sides off, wherever the interface is by now. No pin is no error. */
void tcx_detach(const char *instance, uint32_t ifindex);

/* The same for all pins whose interface is not in ifindex[0..n). */
void tcx_detach_others(const char *instance, const uint32_t *ifindex, unsigned int n);

#endif
