/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_ATTACH_H
#define BPFCT_CTD_ATTACH_H

#include "ctd.h"

/*
 * fw_ingress and fw_egress on the clsact qdisc of every interface but loopback.
 * Priority and handle are ours, so what others have attached stays, and a
 * restarted ctd replaces its own programs in place.
 */

/* Attaches to every interface; -errno and one line if one fails. */
int attach_start(struct ctd *d);

/* Attaches to interfaces that are new, forgets those that are gone. */
void attach_refresh(struct ctd *d);

/* Programs stay attached. */
void attach_stop(struct ctd *d);

/* Indexes of the interfaces with our programs; valid until the next refresh. */
unsigned int attach_list(const struct ctd *d, const uint32_t **ifindex);

/* Detaches this instance's programs from all interfaces of the namespace, and
 * removes the clsact qdiscs that are ours and empty. */
int attach_remove(const char *instance, const struct run_lock *lock);

#endif
