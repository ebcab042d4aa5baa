/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_SETTINGS_H
#define BPFCT_CTD_SETTINGS_H

#include "ctd.h"

/* Writes the configuration's settings, default time-outs, zone quotas and limits
 * into the maps. Clock offset, secret, epoch, counts and high-water marks stay. */
void settings_apply(struct ctd *d, const struct fw_settings *s);

#endif
