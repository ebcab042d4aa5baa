/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_ROUTE_H
#define BPFCT_CTD_ROUTE_H

#include "ctd.h"

/*
 * Listens to rtnetlink. Whatever may change where a packet goes raises
 * settings->route_epoch, and the datapath looks its cached routes up again; a
 * change of interfaces or addresses also renews the firewall's view of them.
 */
int route_start(struct ctd *d);
void route_stop(struct ctd *d);

/* No remembered route holds any more. */
void route_new_epoch(struct ctd *d);

#endif
