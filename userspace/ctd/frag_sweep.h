/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_FRAG_SWEEP_H
#define BPFCT_CTD_FRAG_SWEEP_H

#include "ctd.h"

/* Ends datagrams whose time to become whole is over, twice a second, and tells
 * their senders if the configuration says so. */
int frag_sweep_start(struct ctd *d);
void frag_sweep_stop(struct ctd *d);

#endif
