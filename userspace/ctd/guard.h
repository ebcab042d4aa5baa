/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_GUARD_H
#define BPFCT_CTD_GUARD_H

#include "ctd.h"

/*
 * With `set default deny` an interface without our programs is closed: an nft
 * table of ours (guard_nft.h) drops what arrives there and what would be forwarded
 * there. An interface is opened after our programs are on it, and closed when they
 * are not. The table stays when ctd ends, as the programs do, so what appears
 * meanwhile stays closed. Packets that our programs redirect never meet it.
 */

/* Before anything is loaded: closes all interfaces but loopback and those that a
 * former ctd's programs are on. With `set default pass` the table goes. */
int guard_start(struct ctd *d);

/* Opens what has our programs now, closes the rest; after each change of that.
 * Does nothing before guard_start(). 0, or -errno that has been logged. */
int guard_sync(struct ctd *d);

/* Are interfaces without our programs closed? */
bool guard_is_on(const struct ctd *d);

/* From now on ctd puts back what others take away (`nft flush ruleset`). */
int guard_watch(struct ctd *d);

/* The table stays; `undo` removes it if guard_start() has made it. */
void guard_stop(struct ctd *d, bool undo);

/* Takes the instance's table out of the namespace. */
int guard_remove(const char *instance);

#endif
