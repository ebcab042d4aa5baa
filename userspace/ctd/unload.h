/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_UNLOAD_H
#define BPFCT_CTD_UNLOAD_H

#include "ctd.h"

/* Takes everything of the instance out of the machine: programs, qdiscs that are
 * ours, pins, socket, lock file. Refused while its ctd runs. */
int unload_run(struct ctd *d);

/* The same when a first start failed half way; the lock is held and dropped. */
void unload_failed_start(struct ctd *d);

#endif
