// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Upcalls: from the datapath's ring buffers to Open vSwitch's handlers. A port has one ring, a
 * handler the rings whose number is its own modulo the number of handlers. A port that floods uses
 * up its quota of a ring, not the ring (ovs_port.sent, done).
 */
#include "dpif-bpf.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include "csum.h"
#include "netlink.h"
#include "odp-util.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "packets.h"

VLOG_DEFINE_THIS_MODULE(dpif_bpf_upcall);
static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(5, 5);

#define ROOM_ATTRS 2048 /* of attributes: the key, what the action said, the flow's actions */
#define ROOM_HEAD  128	/* in front of the packet, for headers that are pushed */
#define RESTS	   64

/* SKB_GSO_* of the kernel, in ovs_upcall.gso_type. */
#define GSO_TCPV4 (1 << 0)
#define GSO_TCPV6 (1 << 4)

static int open_ring(struct dp_ring *r)
{
	size_t page = sysconf(_SC_PAGESIZE);

	ovs_mutex_init(&r->lock);
	r->consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (r->consumer == MAP_FAILED) {
		r->consumer = NULL;
		return errno;
	}
	r->producer = mmap(NULL, page + 2 * OVS_RING_BYTES, PROT_READ, MAP_SHARED, r->fd, page);
	if (r->producer == MAP_FAILED) {
		r->producer = NULL;
		return errno;
	}
	r->data = (const uint8_t *)r->producer + page;
	return 0;
}

int dp_bpf_rings_open(struct dp_bpf *dp)
{
	char name[24]; /* the compiler knows no bound of i */
	int ret = 0;

	atomic_init(&dp->handlers, 1);
	atomic_init(&dp->receive, false);
	dp_bpf_bare_open(dp);
	for (int i = 0; i < OVS_RINGS && !ret; i++) {
		snprintf(name, sizeof(name), "ovs_ring%d_v2", i);
		dp->ring[i].fd = dp_bpf_map(dp, name);
		ret = dp->ring[i].fd < 0 ? ENOENT : open_ring(&dp->ring[i]);
	}
	return ret;
}

void dp_bpf_rings_close(struct dp_bpf *dp)
{
	size_t page = sysconf(_SC_PAGESIZE);

	dp_bpf_bare_close(dp);
	for (int i = 0; i < OVS_RINGS; i++) {
		struct dp_ring *r = &dp->ring[i];

		if (r->consumer)
			munmap(r->consumer, page);
		if (r->producer)
			munmap((void *)r->producer, page + 2 * OVS_RING_BYTES);
		r->consumer = NULL;
		r->producer = NULL;
	}
}

int dp_bpf_recv_set(struct dpif *dpif, bool enable)
{
	atomic_store_relaxed(&dp_bpf_of(dpif)->receive, enable);
	return 0;
}

int dp_bpf_handlers_set(struct dpif *dpif, uint32_t n)
{
	atomic_store_relaxed(&dp_bpf_of(dpif)->handlers, n ? n : 1);
	return 0;
}

/* The oldest record, or NULL; those that BPF gave up are passed over. */
static const struct ovs_upcall *peek(struct dp_ring *r, uint64_t *next)
{
	uint64_t at = *r->consumer, end = __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);

	while (at < end) {
		const uint32_t *head = (const void *)(r->data + (at & (OVS_RING_BYTES - 1)));
		uint32_t len = __atomic_load_n(head, __ATOMIC_ACQUIRE);

		if (len & BPF_RINGBUF_BUSY_BIT)
			return NULL;
		at += ROUND_UP((len & ~BPF_RINGBUF_DISCARD_BIT) + BPF_RINGBUF_HDR_SZ, 8);
		if (!(len & BPF_RINGBUF_DISCARD_BIT)) {
			*next = at;
			return (const void *)(head + BPF_RINGBUF_HDR_SZ / 4);
		}
		__atomic_store_n(r->consumer, at, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* Its room in the ring, and in the port's quota, is free again. (Entry 0: of what came by no port.)
 */
static void done(struct dp_bpf *dp, struct dp_ring *r, const struct ovs_upcall *u, uint64_t next)
{
	uint32_t port = u->key.in_port < OVS_PORTS ? u->key.in_port : 0;

	__atomic_fetch_add(&dp->port[port].done, u->size, __ATOMIC_RELAXED);
	__atomic_store_n(r->consumer, next, __ATOMIC_RELEASE);
}

/* A checksum that the sender's stack has left to a device, of a packet that is not to be cut up. */
static void complete_checksum(uint8_t *data, const struct ovs_upcall *u)
{
	uint32_t at = u->csum_start + u->csum_offset;
	ovs_be16 sum;

	if (u->csum != OVS_CSUM_PARTIAL || u->gso_size || u->caplen < u->len ||
	    at + 2 > u->caplen || u->csum_start >= u->caplen)
		return;
	sum = csum(data + u->csum_start, u->caplen - u->csum_start);
	/* 0 means "none" to UDP; TCP takes either form. */
	sum = sum ? sum : htons(0xffff);
	memcpy(data + at, &sum, 2);
}

/* What an EXECUTE of the same packet needs to know to send it as it came; dpif hands it through
 * as the packet's hash. */
static void put_hash(struct ofpbuf *buf, const struct ovs_upcall *u, struct dpif_upcall *upcall)
{
	union dp_hash h = {.word = 0};

	if (u->csum != OVS_CSUM_PARTIAL || !u->gso_size)
		return;
	h.gso = u->gso_type & GSO_TCPV4	  ? DP_GSO_TCP4
		: u->gso_type & GSO_TCPV6 ? DP_GSO_TCP6
					  : DP_GSO_UDP;
	h.gso_size = u->gso_size;
	h.csum_start = u->csum_start + (u->vlan_tpid ? VLAN_HEADER_LEN : 0);
	h.csum_offset = u->csum_offset;
	upcall->hash = ofpbuf_tail(buf);
	nl_msg_put_u64(buf, OVS_PACKET_ATTR_HASH, h.word);
}

static void fill_packet(struct ofpbuf *buf, const struct ovs_upcall *u, struct dp_packet *packet)
{
	uint32_t len = MIN(u->caplen, u->len);
	uint8_t *data;

	dp_packet_use_stub(packet, ofpbuf_tail(buf), ofpbuf_tailroom(buf));
	dp_packet_set_data(packet, (char *)dp_packet_base(packet) + ROOM_HEAD);
	dp_packet_set_size(packet, len);
	data = dp_packet_data(packet);
	memcpy(data, u->data, len);
	complete_checksum(data, u);
	packet->packet_type = htonl(PT_ETH);
	if (u->vlan_tpid)
		eth_push_vlan(packet, u->vlan_tpid, u->vlan_tci);
	if (u->gso_size && u->caplen >= u->len)
		dp_super_note(packet, u->gso_size, u->gso_type);
}

static void fill_action(struct dp_bpf *dp, struct ofpbuf *buf, const struct ovs_upcall *u,
			struct dpif_upcall *upcall)
{
	const struct ovs_cookie *c;
	const struct nlattr *attr;
	size_t left;

	ovs_mutex_lock(&dp->flow_lock);
	c = dp_store_get(&dp->cookies, u->cookie);
	if (c) {
		NL_ATTR_FOR_EACH(attr, left, (const struct nlattr *)c->data, c->len)
		{
			if (nl_attr_type(attr) != OVS_USERSPACE_ATTR_USERDATA)
				continue;
			upcall->userdata = ofpbuf_tail(buf);
			ofpbuf_put(buf, attr, NLA_ALIGN(attr->nla_len));
		}
	}
	ovs_mutex_unlock(&dp->flow_lock);
}

static void fill_upcall(struct dp_bpf *dp, struct ofpbuf *buf, const struct ovs_upcall *u,
			struct dpif_upcall *upcall)
{
	memset(upcall, 0, sizeof(*upcall));
	/* All at once: what points into buf must not move. */
	ofpbuf_clear(buf);
	ofpbuf_prealloc_tailroom(buf, ROOM_ATTRS + ROOM_HEAD + MIN(u->caplen, u->len) + 64);
	upcall->type = u->reason == OVS_UPCALL_MISS ? DPIF_UC_MISS : DPIF_UC_ACTION;
	upcall->key = ofpbuf_tail(buf);
	dp_key_to_nlattrs(&u->key, NULL, buf, NULL);
	upcall->key_len = (char *)ofpbuf_tail(buf) - (char *)upcall->key;
	odp_flow_key_hash(upcall->key, upcall->key_len, &upcall->ufid);
	put_hash(buf, u, upcall);
	if (u->mru) {
		upcall->mru = ofpbuf_tail(buf);
		nl_msg_put_u16(buf, OVS_PACKET_ATTR_MRU, u->mru);
	}
	if (u->reason == OVS_UPCALL_ACTION && !(u->flags & OVS_USER_REST))
		fill_action(dp, buf, u, upcall);
	fill_packet(buf, u, &upcall->packet);
}

/* The rest of a list, behind the upcall that it came with; in the thread that has read it. */
static void do_rest(struct dpif *dpif, struct dpif_upcall *upcall, const struct ovs_cookie *rest)
{
	struct dpif_execute e = {.actions = ALIGNED_CAST(const struct nlattr *, rest->data),
				 .actions_len = rest->len,
				 .packet = &upcall->packet};
	struct flow flow;
	int ret;

	if (odp_flow_key_to_flow(upcall->key, upcall->key_len, &flow, NULL) == ODP_FIT_ERROR)
		return;
	pkt_metadata_from_flow(&upcall->packet.md, &flow);
	flow_extract(&upcall->packet, &flow); /* where its headers are */
	e.flow = &flow;
	ret = dp_bpf_execute_helped(dpif, &e);
	if (ret)
		VLOG_WARN_RL(&rl, "%s: rest of actions: %s", dpif_name(dpif), ovs_strerror(ret));
}

/* An output of a packet that the programs could not cut; the record has it cut. */
static void rest_is_output(struct ovs_cookie *rest, uint32_t port)
{
	uint64_t room[4];
	struct ofpbuf buf;

	ofpbuf_use_stack(&buf, room, sizeof(room));
	nl_msg_put_u32(&buf, OVS_ACTION_ATTR_OUTPUT, port);
	memcpy(rest->data, buf.data, buf.size);
	rest->len = buf.size;
}

/* Is the upcall of a flow whose list goes on in user space? That is copied then. */
static bool has_rest(struct dp_bpf *dp, const struct ovs_upcall *u, struct ovs_cookie *rest)
{
	const struct ovs_cookie *c;

	rest->len = 0;
	if (u->reason != OVS_UPCALL_ACTION || !(u->flags & OVS_USER_REST))
		return false;
	if (u->flags & OVS_USER_OUTPUT) {
		rest_is_output(rest, u->cookie);
		return true;
	}
	ovs_mutex_lock(&dp->flow_lock);
	c = dp_store_get(&dp->cookies, u->cookie);
	if (c && dp_rest_flags(c->data, c->len) == u->flags)
		*rest = *c;
	ovs_mutex_unlock(&dp->flow_lock);
	return true;
}

static int recv_one(struct dpif *dpif, uint32_t handler, struct dpif_upcall *upcall,
		    struct ofpbuf *buf, struct ovs_cookie *rest, bool *is_rest)
{
	static thread_local uint32_t turn; /* of the rings and the queue beside them */
	struct dp_bpf *dp = dp_bpf_of(dpif);
	const struct ovs_upcall *u = NULL;
	uint32_t handlers;
	uint64_t next;
	bool on;

	*is_rest = false;

	atomic_read_relaxed(&dp->handlers, &handlers);
	atomic_read_relaxed(&dp->receive, &on);
	for (int i = 0; on && i <= OVS_RINGS && !u; i++) {
		uint32_t number = turn++ % (OVS_RINGS + 1);
		struct dp_ring *r = &dp->ring[number];

		if (number % handlers != handler)
			continue;
		if (number == OVS_RINGS) {
			if (!dp_bpf_bare_recv(dp, upcall, buf))
				return 0;
			continue;
		}
		ovs_mutex_lock(&r->lock);
		u = peek(r, &next);
		if (u) {
			*is_rest = has_rest(dp, u, rest);
			fill_upcall(dp, buf, u, upcall);
			done(dp, r, u, next);
		}
		ovs_mutex_unlock(&r->lock);
	}
	return u ? 0 : EAGAIN;
}

/* What has a rest is done here; after so many of those the handler looks for other work. */
int dp_bpf_recv(struct dpif *dpif, uint32_t handler, struct dpif_upcall *upcall, struct ofpbuf *buf)
{
	struct ovs_cookie rest;
	bool is_rest;
	int ret;

	for (int i = 0; i < RESTS; i++) {
		ret = recv_one(dpif, handler, upcall, buf, &rest, &is_rest);
		if (ret || !is_rest)
			return ret;
		if (rest.len)
			do_rest(dpif, upcall, &rest);
		dp_packet_uninit(&upcall->packet);
	}
	return EAGAIN;
}

void dp_bpf_recv_wait(struct dpif *dpif, uint32_t handler)
{
	struct dp_bpf *dp = dp_bpf_of(dpif);
	uint32_t handlers;
	bool on;

	atomic_read_relaxed(&dp->handlers, &handlers);
	atomic_read_relaxed(&dp->receive, &on);
	for (uint32_t i = handler; on && i < OVS_RINGS; i += handlers)
		poll_fd_wait(dp->ring[i].fd, POLLIN);
	if (on && OVS_RINGS % handlers == handler)
		dp_bpf_bare_wait(dp);
}

void dp_bpf_recv_purge(struct dpif *dpif)
{
	struct dp_bpf *dp = dp_bpf_of(dpif);
	const struct ovs_upcall *u;
	uint64_t next;

	for (int i = 0; i < OVS_RINGS; i++) {
		ovs_mutex_lock(&dp->ring[i].lock);
		while ((u = peek(&dp->ring[i], &next)))
			done(dp, &dp->ring[i], u, next);
		ovs_mutex_unlock(&dp->ring[i].lock);
	}
	dp_bpf_bare_purge(dp);
}
