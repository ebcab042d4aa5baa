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

/* A source may hold a quarter of what there is by default, a zone all of it. */
static void frag_settings(struct frag_table *t, const struct bpfct_sizes *sizes,
			  const struct fw_settings *s)
{
	const uint32_t *n = s->frag;
	int i;

	bpfct_frag_limits(t, sizes);
	SET(t->timeout, n[FW_FRAG_TIMEOUT] ? n[FW_FRAG_TIMEOUT] : FRAG_TIMEOUT);
	SET(t->zone.datagrams, n[FW_FRAG_ZONE_DATAGRAMS]);
	SET(t->zone.bytes, n[FW_FRAG_ZONE_BYTES]);
	SET(t->source.datagrams,
	    n[FW_FRAG_SOURCE_DATAGRAMS] ? n[FW_FRAG_SOURCE_DATAGRAMS] : t->total.datagrams / 4);
	SET(t->source.bytes,
	    n[FW_FRAG_SOURCE_BYTES] ? n[FW_FRAG_SOURCE_BYTES] : t->total.bytes / 4);
	for (i = 0; i < 2; i++)
		SET(t->min_size[i], n[FW_FRAG_MIN4 + i]);
	SET(t->icmp, s->frag_icmp);
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
	for (i = 0; i < 2; i++)
		SET(set->fragments[i], s->fragments[i]);
	frag_settings(p->frag, &d->core.sizes, s);
}
