// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Meters: the datapath's table is what vswitchd writes and reads. */
#include "dpif-bpf.h"

#include <errno.h>

#include "openvswitch/ofp-meter.h"
#include "timeval.h"

void dp_bpf_meter_features(const struct dpif *dpif OVS_UNUSED, struct ofputil_meter_features *f)
{
	memset(f, 0, sizeof(*f));
	f->max_meters = OVS_METERS;
	f->band_types = 1u << OFPMBT13_DROP;
	f->capabilities = OFPMF13_KBPS | OFPMF13_PKTPS | OFPMF13_BURST | OFPMF13_STATS;
	f->max_bands = OVS_BANDS;
}

/* The burst where none was asked for: what comes in a tenth of a second, at least one packet. */
static uint32_t default_burst(uint32_t rate)
{
	return rate / 10 ? rate / 10 : 1;
}

int dp_bpf_meter_set(struct dpif *dpif, ofproto_meter_id id, struct ofputil_meter_config *config)
{
	struct ovs_meter m = {0}, *to;

	if (id.uint32 >= OVS_METERS)
		return EFBIG;
	if (config->n_bands > OVS_BANDS)
		return EINVAL;
	if (config->flags & ~(OFPMF13_STATS | OFPMF13_PKTPS | OFPMF13_KBPS | OFPMF13_BURST))
		return EBADF;
	for (size_t i = 0; i < config->n_bands; i++) {
		const struct ofputil_meter_band *band = &config->bands[i];

		if (band->type != OFPMBT13_DROP || !band->rate)
			return ENODEV;
		m.band[i].rate = band->rate;
		m.band[i].burst = config->flags & OFPMF13_BURST && band->burst_size
					  ? band->burst_size
					  : default_burst(band->rate);
	}
	m.n_bands = config->n_bands;
	to = &dpif_bpf_meters(dpif)[id.uint32];
	__atomic_store_n(&to->flags, 0, __ATOMIC_RELEASE);
	memcpy((char *)to + sizeof(m.flags), (char *)&m + sizeof(m.flags),
	       sizeof(m) - sizeof(m.flags));
	__atomic_store_n(&to->flags,
			 OVS_METER_LIVE | (config->flags & OFPMF13_PKTPS ? OVS_METER_PKTPS : 0),
			 __ATOMIC_RELEASE);
	return 0;
}

int dp_bpf_meter_get(const struct dpif *dpif, ofproto_meter_id id, struct ofputil_meter_stats *s,
		     uint16_t n_bands)
{
	const struct ovs_meter *m;

	if (id.uint32 >= OVS_METERS)
		return EFBIG;
	m = &dpif_bpf_meters(dpif)[id.uint32];
	if (!(m->flags & OVS_METER_LIVE))
		return ENOENT;
	if (!s)
		return 0;
	s->packet_in_count = m->packets;
	s->byte_in_count = m->bytes;
	s->n_bands = MIN(n_bands, m->n_bands);
	for (uint16_t i = 0; i < s->n_bands; i++) {
		s->bands[i].packet_count = m->band[i].packets;
		s->bands[i].byte_count = m->band[i].bytes;
	}
	return 0;
}

int dp_bpf_meter_del(struct dpif *dpif, ofproto_meter_id id, struct ofputil_meter_stats *s,
		     uint16_t n_bands)
{
	int ret = dp_bpf_meter_get(dpif, id, s, n_bands);

	if (!ret)
		__atomic_store_n(&dpif_bpf_meters(dpif)[id.uint32].flags, 0, __ATOMIC_RELEASE);
	return ret;
}
