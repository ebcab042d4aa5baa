// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "settings.h"

/* Packets read these while we write: each word is complete in itself, and no
 * two of them have to change together. */
#define SET(where, value) __atomic_store_n(&(where), (value), __ATOMIC_RELAXED)

static void zone_limits(struct ct_zone *zone, const struct fw_settings *s)
{
	unsigned int i, next = 0;
	uint32_t limit;

	for (i = 0; i < 65536; i++) {
		limit = 0;
		if (next < s->zones && s->zone[next].zone == i)
			limit = s->zone[next++].limit;
		/* Reading is cheap, writing makes the page our own. */
		if (zone[i].limit != limit)
			SET(zone[i].limit, limit);
	}
}

void settings_apply(struct ctd *d, const struct fw_settings *s)
{
	struct bpfct_pins *p = &d->core.pins;
	struct ct_settings *set = p->settings;
	int i;

	for (i = 0; i < CT_TIMEOUT_MAX; i++)
		SET(p->timeouts[0].secs[i], s->timeout[i]);
	zone_limits(p->zone, s);
	bpfct_table_limits(p->table, &d->core.sizes);
	SET(set->half_share, d->core.sizes.half_share);
	SET(set->tcp_max_retrans, s->tcp_max_retrans);
	SET(set->tcp_be_liberal, s->tcp_be_liberal);
	SET(set->tcp_loose, s->tcp_loose);
	SET(set->tcp_ignore_invalid_rst, s->tcp_ignore_invalid_rst);
	SET(set->checksum, s->checksum);
	SET(set->fragments_pass, s->fragments_pass);
}
