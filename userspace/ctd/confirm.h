/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_CONFIRM_H
#define BPFCT_CTD_CONFIRM_H

#include <stdio.h>

#include "ctd.h"

struct rules;

#define CONFIRM_MAX_S 86400

/*
 * Rules on trial (`ctctl fw load --confirm`): unless they are confirmed in time the
 * rules before them come back. Those are also in /run/bpfct/INSTANCE.before as
 * long, so that a ctd that starts meanwhile goes back at once: what its configuration
 * file holds by then may well be what was on trial.
 */
int confirm_start(struct ctd *d);
void confirm_stop(struct ctd *d);

/* Puts rules in force, for seconds only unless they are confirmed; 0: for good, which
 * also ends a trial. They are ours after success only. Lines on err. */
int confirm_load(struct ctd *d, struct rules *r, unsigned int seconds, FILE *err);

/* What is in force stays. Was there a trial? */
bool confirm_accept(struct ctd *d);

/* Seconds of the trial that are left, 0: there is none. */
unsigned int confirm_left(const struct ctd *d);

/* At start, in place of rules_start(): 1 rules_stop() has something to free, as a trial
 * was under way when the last ctd ended; 0 there was none; -errno that has been logged. */
int confirm_recover(struct ctd *d);

/* The rules of confirm_recover() are in force: the trial is over. */
void confirm_recovered(struct ctd *d);

/* Of the instance, whatever it holds: ctd --unload. */
void confirm_forget(const char *instance);

#endif
