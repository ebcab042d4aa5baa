// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * EXECUTE: a packet of user space's with actions. Both go through a slot of the flow table that is
 * the caller's alone for the time of one send(): that comes back when the datapath has
 * done with the packet (dp_abi.h). Handlers, monitors and the main thread may all do so at once.
 */
#include "dpif-bpf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "csum.h"
#include "dp-packet.h"
#include "odp-util.h"
#include "packets.h"
#include "random.h"
#include "userspace/ctd/tcx.h"

#include <bpf/libbpf.h>

#define EXEC_DEVICE "ovsbpfx0"
#define EXEC_PEER   "ovsbpfx1"
#define EXEC_MTU    65535
#define MSS	    1400 /* of a TCP super-packet of which nobody knows more */

#define LARGE 1522 /* more than an Ethernet frame with two tags */

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

static int attach(struct dp_bpf *dp, uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1, .flags = BPF_TC_F_REPLACE);
	int prog = dp_bpf_prog(dp, "ovs_execute");
	int ret = tcx_attach(dp->instance, ifindex, true, prog);

	if (ret != -EOPNOTSUPP)
		return -ret;
	ret = bpf_tc_hook_create(&hook);
	if (ret && ret != -EEXIST)
		return -ret;
	opts.prog_fd = prog;
	return -bpf_tc_attach(&hook, &opts);
}

static int make_device(struct dp_bpf *dp, uint32_t *ifindex)
{
	int ret = 0;

	if (!if_nametoindex(EXEC_DEVICE))
		ret = dp_link_add_pair(EXEC_PEER, EXEC_DEVICE, EXEC_MTU);
	if (!ret)
		ret = dp_link_no_ipv6(EXEC_DEVICE);
	if (!ret)
		ret = dp_link_no_ipv6(EXEC_PEER);
	*ifindex = if_nametoindex(EXEC_DEVICE);
	if (!ret && !*ifindex)
		ret = ENODEV;
	if (!ret)
		ret = attach(dp, *ifindex);
	if (!ret)
		ret = dp_link_flags(*ifindex, IFF_UP | IFF_NOARP, 0);
	if (!ret)
		ret = dp_link_flags(if_nametoindex(EXEC_PEER), IFF_UP | IFF_NOARP, 0);
	return ret;
}

int dp_bpf_exec_open(struct dp_bpf *dp)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET};
	uint32_t ifindex;
	int on = 1, room = INT_MAX / 2, ret = make_device(dp, &ifindex);

	ovs_mutex_init(&dp->exec_lock);
	xpthread_cond_init(&dp->exec_free, NULL);
	if (ret)
		return ret;
	/* No protocol: it receives nothing. */
	dp->exec_sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	at.sll_ifindex = ifindex;
	if (dp->exec_sock < 0 || bind(dp->exec_sock, (struct sockaddr *)&at, sizeof(at)) ||
	    setsockopt(dp->exec_sock, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)))
		return errno;
	/* A packet is the socket's until it has left the machine: what waits in the queue of a slow
	 * port must not keep the others' packets from being sent. The queue has its own bound. */
	if (setsockopt(dp->exec_sock, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)))
		return errno;
	dp->config->exec_ifindex = ifindex;
	return 0;
}

void dp_bpf_exec_close(struct dp_bpf *dp)
{
	if (dp->exec_sock >= 0)
		close(dp->exec_sock);
	dp->exec_sock = -1;
	if (dp->gone) {
		tcx_detach(dp->instance, if_nametoindex(EXEC_DEVICE));
		dp_link_del(EXEC_DEVICE);
	}
}

static uint32_t take_slot(struct dp_bpf *dp)
{
	uint32_t slot;

	BUILD_ASSERT_DECL(OVS_EXECS == 64);
	ovs_mutex_lock(&dp->exec_lock);
	while (dp->exec_busy == UINT64_MAX)
		ovs_mutex_cond_wait(&dp->exec_free, &dp->exec_lock);
	slot = __builtin_ctzll(~dp->exec_busy);
	dp->exec_busy |= UINT64_C(1) << slot;
	ovs_mutex_unlock(&dp->exec_lock);
	return slot;
}

static void give_slot(struct dp_bpf *dp, uint32_t slot)
{
	ovs_mutex_lock(&dp->exec_lock);
	dp->exec_busy &= ~(UINT64_C(1) << slot);
	xpthread_cond_signal(&dp->exec_free);
	ovs_mutex_unlock(&dp->exec_lock);
}

/* Segments of a TCP packet that was changed on its way through vswitchd, or that came to us by
 * another way than an upcall: there any size will do. The pseudo-header's sum is for us to make. */
static void guess_gso(struct dp_packet *packet, struct virtio_net_hdr *h)
{
	struct flow flow;
	struct tcp_header *tcp;
	uint32_t sum;

	flow_extract(packet, &flow);
	tcp = dp_packet_l4(packet);
	if (flow.nw_proto != IPPROTO_TCP || !tcp || flow.nw_frag)
		return;
	if (flow.dl_type == htons(ETH_TYPE_IP)) {
		h->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		sum = packet_csum_pseudoheader(dp_packet_l3(packet));
	} else {
		h->gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
		sum = dp_super_sum6(dp_packet_l3(packet), IPPROTO_TCP, dp_packet_l4_size(packet));
	}
	tcp->tcp_csum = (OVS_FORCE ovs_be16)~csum_finish(sum);
	h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h->csum_start = (char *)tcp - (char *)dp_packet_data(packet);
	h->csum_offset = offsetof(struct tcp_header, tcp_csum);
	h->hdr_len = h->csum_start + TCP_OFFSET(tcp->tcp_ctl) * 4;
	h->gso_size = dp_super_size(packet);
	if (!h->gso_size)
		h->gso_size = MSS;
}

static void vnet_header(struct dp_packet *packet, uint64_t word, struct virtio_net_hdr *h)
{
	union dp_hash hash = {.word = word};
	static const uint8_t type[] = {[DP_GSO_TCP4] = VIRTIO_NET_HDR_GSO_TCPV4,
				       [DP_GSO_TCP6] = VIRTIO_NET_HDR_GSO_TCPV6,
				       [DP_GSO_UDP] = VIRTIO_NET_HDR_GSO_UDP_L4};

	memset(h, 0, sizeof(*h));
	if (!hash.gso_size) {
		if (dp_packet_size(packet) > LARGE || dp_super_size(packet))
			guess_gso(packet, h);
		return;
	}
	h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h->csum_start = hash.csum_start;
	h->csum_offset = hash.csum_offset;
	h->gso_size = hash.gso_size;
	h->gso_type = type[hash.gso];
}

static int send_packet(struct dp_bpf *dp, struct dp_packet *packet, uint64_t hash, uint32_t token)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(uint32_t))];
	} mark = {.head = {.cmsg_len = CMSG_LEN(sizeof(uint32_t)),
			   .cmsg_level = SOL_SOCKET,
			   .cmsg_type = SO_MARK}};
	struct virtio_net_hdr h;
	struct iovec iov[2] = {{&h, sizeof(h)}};
	struct msghdr msg = {.msg_iov = iov,
			     .msg_iovlen = 2,
			     .msg_control = &mark,
			     .msg_controllen = sizeof(mark)};

	memcpy(CMSG_DATA(&mark.head), &token, sizeof(token));
	vnet_header(packet, hash, &h);
	iov[1].iov_base = dp_packet_data(packet);
	iov[1].iov_len = dp_packet_size(packet);
	/* ENOBUFS: the datapath has dropped it, and counted that. */
	return sendmsg(dp->exec_sock, &msg, 0) < 0 && errno != ENOBUFS ? errno : 0;
}

static void fill_key(struct ovs_key *key, const struct dpif_execute *e)
{
	const struct pkt_metadata *md = &e->packet->md;
	struct flow flow;

	memset(&flow, 0, sizeof(flow));
	if (flow_tnl_dst_is_set(&md->tunnel))
		flow.tunnel = md->tunnel;
	flow.in_port = md->in_port;
	flow.recirc_id = md->recirc_id;
	flow.dp_hash = md->dp_hash;
	flow.skb_priority = md->skb_priority;
	flow.pkt_mark = md->pkt_mark;
	flow.ct_state = md->ct_state;
	flow.ct_zone = md->ct_zone;
	flow.ct_mark = md->ct_mark;
	flow.ct_label = md->ct_label;
	if (md->ct_state) {
		flow.dl_type = e->flow->dl_type;
		flow.ct_nw_proto = e->flow->ct_nw_proto;
		flow.ct_tp_src = e->flow->ct_tp_src;
		flow.ct_tp_dst = e->flow->ct_tp_dst;
		flow.ct_nw_src = e->flow->ct_nw_src;
		flow.ct_nw_dst = e->flow->ct_nw_dst;
		flow.ct_ipv6_src = e->flow->ct_ipv6_src;
		flow.ct_ipv6_dst = e->flow->ct_ipv6_dst;
	}
	dp_key_from_flow(key, &flow);
}

int dp_bpf_execute_flow(struct dp_bpf *dp, struct dp_packet *packet, uint64_t hash,
			const struct ovs_flow *now)
{
	uint32_t slot = take_slot(dp), token;
	struct ovs_flow *f = &dp->flow[slot];
	int ret;

	token = (random_uint32() & ~(OVS_EXECS - 1)) | slot;
	if (!(token >> OVS_EXEC_BITS))
		token |= 1 << OVS_EXEC_BITS; /* 0 is no token */
	memcpy(&f->mask, &now->mask, sizeof(*f) - offsetof(struct ovs_flow, mask));
	__atomic_store_n(&f->live, token, __ATOMIC_RELEASE);
	ret = send_packet(dp, packet, hash, token);
	__atomic_store_n(&f->live, 0, __ATOMIC_RELEASE);
	give_slot(dp, slot);
	return ret;
}

struct sending {
	struct dp_bpf *dp;
	const struct ovs_flow *flow;
};

static int send_segment(struct dp_packet *segment, void *arg)
{
	const struct sending *to = arg;

	return dp_bpf_execute_flow(to->dp, segment, 0, to->flow);
}

static int execute_with(struct dp_bpf *dp, struct dpif_execute *e, struct ovs_flow *now)
{
	struct sending to = {dp, now};

	fill_key(&now->key, e);
	now->mru = e->mtu;
	if (!e->hash && dp_super_is_wrapped(e->packet))
		return dp_super_cut(e->packet, send_segment, &to);
	return dp_bpf_execute_flow(dp, e->packet, e->hash, now);
}

/* Does the list have what odp_execute_actions() can do and the datapath cannot? */
static bool is_for_user_space(const struct nlattr *actions, size_t len)
{
	const struct nlattr *a, *key;
	unsigned int n = 0;
	size_t left;

	NL_ATTR_FOR_EACH(a, left, actions, len)
	{
		n++;
		if (dp_user_is_header(a))
			return true;
		switch (nl_attr_type(a)) {
		case OVS_ACTION_ATTR_POP_NSH:
		case OVS_ACTION_ATTR_SAMPLE:
		case OVS_ACTION_ATTR_CLONE:
		case OVS_ACTION_ATTR_CHECK_PKT_LEN:
			return true;
		case OVS_ACTION_ATTR_SET:
		case OVS_ACTION_ATTR_SET_MASKED:
			key = nl_attr_get(a);
			if (nl_attr_get_size(a) >= NLA_HDRLEN &&
			    nl_attr_type(key) != OVS_KEY_ATTR_TUNNEL)
				return true;
		}
	}
	return n > OVS_FLOW_ACTIONS; /* one after the other */
}

static bool has_action(const struct nlattr *actions, size_t len, int type)
{
	const struct nlattr *a;
	size_t left;

	NL_ATTR_FOR_EACH(a, left, actions, len)
	{
		if (nl_attr_type(a) == type)
			return true;
	}
	return false;
}

/* pop_mpls() forgets a super-packet's note (dpif-bpf-segment.c), so such a list is done in parts. A
 * meter holds for an output that comes later, which has to be in the same part. */
int dp_bpf_execute_helped(struct dpif *dpif, const struct dpif_execute *e)
{
	const char *end = (const char *)e->actions + e->actions_len;
	struct dpif_execute part = *e;
	const struct nlattr *a;
	uint32_t note;
	size_t left;
	int ret = 0, error;

	part.needs_help = true;
	if (!dp_packet_has_flow_mark(e->packet, &note) ||
	    has_action(e->actions, e->actions_len, OVS_ACTION_ATTR_METER))
		return dpif_execute(dpif, &part);
	NL_ATTR_FOR_EACH(a, left, e->actions, e->actions_len)
	{
		const char *next = (const char *)a + NLA_ALIGN(a->nla_len);

		if (nl_attr_type(a) != OVS_ACTION_ATTR_POP_MPLS && next < end)
			continue;
		part.actions_len = next - (const char *)part.actions;
		error = dpif_execute(dpif, &part);
		ret = error ? error : ret;
		dp_packet_set_flow_mark(e->packet, note);
		part.actions = ALIGNED_CAST(const struct nlattr *, next);
	}
	return ret;
}

int dp_bpf_execute(struct dpif *dpif, struct dpif_execute *e)
{
	struct dp_bpf *dp = dp_bpf_of(dpif);
	struct ovs_flow now = {0};
	int ret;

	if (!dp_user_begin(e->actions, e->actions_len) && e->actions_len) {
		ret = EINVAL; /* it is here already: nothing to send there and back */
	} else if (e->packet->packet_type == htonl(PT_ETH)) {
		ovs_mutex_lock(&dp->flow_lock);
		ret = dp_bpf_actions_ref(dp, e->actions, e->actions_len, now.action,
					 &now.n_actions);
		ovs_mutex_unlock(&dp->flow_lock);
	} else {
		ret = dp_bpf_bare_recirc(dp, e);
		if (!ret)
			return 0;
	}
	if (ret == EINVAL && !e->needs_help && !e->probe &&
	    is_for_user_space(e->actions, e->actions_len))
		return dp_bpf_execute_helped(dpif, e);
	if (ret)
		return ret;
	if (now.n_actions)
		ret = execute_with(dp, e, &now);
	ovs_mutex_lock(&dp->flow_lock);
	dp_bpf_actions_unref(dp, now.action, now.n_actions);
	ovs_mutex_unlock(&dp->flow_lock);
	return ret;
}
