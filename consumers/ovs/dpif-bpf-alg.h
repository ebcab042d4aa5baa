/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_OVS_DPIF_BPF_ALG_H
#define BPFCT_OVS_DPIF_BPF_ALG_H

#include <stddef.h>
#include <stdint.h>

#include "userspace/lib/loader.h"

/*
 * Helpers of connections (ct(commit,alg=...)). Who reads their payload is ctd's code, from ctd's
 * sources, in a thread of vswitchd: dpif-bpf-alg-ctd.c is what that code meets here in place of
 * ctd, dpif-bpf-alg.c what it needs of the datapath. Neither side's headers suit the other.
 */
struct dp_bpf;
struct alg_exec;

/* dpif-bpf-alg-ctd.c. Runs until `stop` can be read. 0 or -errno; the maps must outlive it. */
int dp_alg_run(struct dp_bpf *dp, const struct bpfct_core *core, int stop);

/* dpif-bpf-alg.c. A line for the log; level as in userspace/ctd/log.h. */
void dp_alg_log(int level, const char *text);

/* Enters e in algexec_fd under the mark, for a frame on the way of the last packet that came in
 * e's connection and direction. 0 or -errno: -ENOENT when that way is not there any more. */
int dp_alg_enter(struct dp_bpf *dp, int algexec_fd, uint32_t mark, struct alg_exec *e);
/* Sends that frame. 0 or -errno. */
int dp_alg_send(struct dp_bpf *dp, uint32_t mark, const uint8_t *frame, size_t len);

/* Ways of connections that have no helper any more go. */
void dp_alg_sweep(struct dp_bpf *dp, int alg_fd);

#endif
