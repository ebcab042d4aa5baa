// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Packets that decap() has left without an Ethernet header. The datapath knows none such: what is
 * to be recirculated goes from EXECUTE straight to Open vSwitch's handlers, as a miss behind that
 * recirculation, by a queue beside the rings. Such a flow is refused at put, so each packet comes
 * this way.
 */
#include "dpif-bpf.h"

#include <errno.h>

#include "dp-packet.h"
#include "flow.h"
#include "netlink.h"
#include "odp-util.h"
#include "openvswitch/poll-loop.h"
#include "seq.h"

#define ROOM_ATTRS 2048
#define ROOM_HEAD  128 /* for the headers that encap() puts in front again */

void dp_bpf_bare_open(struct dp_bpf *dp)
{
	ovs_mutex_init(&dp->bare.lock);
	dp->bare.news = seq_create();
	dp->bare.first = dp->bare.end = 0;
}

static struct dp_packet *take(struct dp_bpf *dp)
{
	struct dp_packet *packet = NULL;

	ovs_mutex_lock(&dp->bare.lock);
	if (dp->bare.first != dp->bare.end)
		packet = dp->bare.packet[dp->bare.first++ % DP_BARE_MAX];
	ovs_mutex_unlock(&dp->bare.lock);
	return packet;
}

void dp_bpf_bare_purge(struct dp_bpf *dp)
{
	struct dp_packet *packet;

	while ((packet = take(dp)))
		dp_packet_delete(packet);
}

void dp_bpf_bare_close(struct dp_bpf *dp)
{
	if (!dp->bare.news)
		return;
	dp_bpf_bare_purge(dp);
	seq_destroy(dp->bare.news);
	ovs_mutex_destroy(&dp->bare.lock);
}

/* Are the actions a recirculation and nothing else that is to be done? The tunnel that the packet
 * came by is in its metadata; dpif_execute_with_help() sets it once more. */
static bool is_recirc(const struct nlattr *actions, size_t len, uint32_t *recirc_id)
{
	const struct nlattr *a;
	bool found = false;
	size_t left;

	NL_ATTR_FOR_EACH(a, left, actions, len)
	{
		if (found)
			return false;
		if (nl_attr_type(a) == OVS_ACTION_ATTR_SET &&
		    nl_attr_type(nl_attr_get(a)) == OVS_KEY_ATTR_TUNNEL)
			continue;
		if (nl_attr_type(a) != OVS_ACTION_ATTR_RECIRC)
			return false;
		*recirc_id = nl_attr_get_u32(a);
		found = true;
	}
	return found;
}

int dp_bpf_bare_recirc(struct dp_bpf *dp, const struct dpif_execute *e)
{
	struct dp_packet *packet;
	uint32_t recirc_id;
	int ret = 0;

	if (!is_recirc(e->actions, e->actions_len, &recirc_id))
		return EINVAL;
	packet = dp_packet_clone_with_headroom(e->packet, ROOM_HEAD);
	packet->md.recirc_id = recirc_id;
	ovs_mutex_lock(&dp->bare.lock);
	if (dp->bare.end - dp->bare.first < DP_BARE_MAX) {
		dp->bare.packet[dp->bare.end++ % DP_BARE_MAX] = packet;
		seq_change(dp->bare.news);
	} else {
		ret = ENOBUFS;
	}
	ovs_mutex_unlock(&dp->bare.lock);
	if (ret)
		dp_packet_delete(packet);
	return ret;
}

int dp_bpf_bare_recv(struct dp_bpf *dp, struct dpif_upcall *upcall, struct ofpbuf *buf)
{
	struct odp_flow_key_parms parms = {.support = dp_key_fields};
	struct dp_packet *packet = take(dp);
	struct flow flow;
	uint32_t size, mark;

	if (!packet)
		return EAGAIN;
	flow_extract(packet, &flow);
	parms.flow = &flow;
	size = dp_packet_size(packet);
	memset(upcall, 0, sizeof(*upcall));
	ofpbuf_clear(buf);
	ofpbuf_prealloc_tailroom(buf, ROOM_ATTRS + ROOM_HEAD + size);
	upcall->type = DPIF_UC_MISS;
	upcall->key = ofpbuf_tail(buf);
	odp_flow_key_from_flow(&parms, buf);
	upcall->key_len = (char *)ofpbuf_tail(buf) - (char *)upcall->key;
	odp_flow_key_hash(upcall->key, upcall->key_len, &upcall->ufid);
	/* The caller frees buf, not what is in it. */
	dp_packet_use_stub(&upcall->packet, ofpbuf_tail(buf), ofpbuf_tailroom(buf));
	dp_packet_reserve(&upcall->packet, ROOM_HEAD);
	dp_packet_put(&upcall->packet, dp_packet_data(packet), size);
	upcall->packet.packet_type = packet->packet_type;
	if (dp_packet_has_flow_mark(packet, &mark))
		dp_packet_set_flow_mark(&upcall->packet, mark); /* dpif-bpf-segment.c */
	dp_packet_delete(packet);
	return 0;
}

void dp_bpf_bare_wait(struct dp_bpf *dp)
{
	ovs_mutex_lock(&dp->bare.lock);
	if (dp->bare.first != dp->bare.end)
		poll_immediate_wake();
	else
		seq_wait(dp->bare.news, seq_read(dp->bare.news));
	ovs_mutex_unlock(&dp->bare.lock);
}
