/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_HEARTBEAT_H
#define BPFCT_CTD_HEARTBEAT_H

#include "ctd.h"

/* Once a second: settings->heartbeat, by which the datapath knows that ctd lives
 * (routes are trusted, expiry is looked after), and systemd's watchdog. */
int heartbeat_start(struct ctd *d);
void heartbeat_stop(struct ctd *d);

#endif
