// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Flows: into the datapath's maps in the order that dp_abi.h asks for, and what we have to know to
 * take them out again. Masks, actions and cookies are shared by content. One lock for all
 * that writes; readers (dumps, statistics) read the maps, as a slot stays what it is for a second
 * after it was let go of.
 */
#include "dpif-bpf.h"

#include <bpf/bpf.h>
#include <errno.h>

#include "hash.h"
#include "odp-util.h"

#define COOKIES 65536

struct dp_flow {
	struct hmap_node node; /* dp_bpf.flows, by ufid */
	ovs_u128 ufid;
	uint32_t slot;
};

/* How many flows of a port have a mask: the port looks at it while there is one. */
struct dp_list {
	struct hmap_node node;
	uint32_t port, mask;
	uint32_t flows;
};

static struct dp_flow *find_flow(struct dp_bpf *dp, const ovs_u128 *ufid)
{
	struct dp_flow *f;

	HMAP_FOR_EACH_WITH_HASH(f, node, hash_bytes(ufid, sizeof(*ufid), 0), &dp->flows)
	if (ovs_u128_equals(f->ufid, *ufid))
		return f;
	return NULL;
}

static struct dp_list *find_list(struct dp_bpf *dp, uint32_t port, uint32_t mask)
{
	struct dp_list *l;

	HMAP_FOR_EACH_WITH_HASH(l, node, hash_2words(port, mask), &dp->lists)
	if (l->port == port && l->mask == mask)
		return l;
	return NULL;
}

/* The mask joins the port's list, if it is new there. 0 or ENOSPC. */
static int list_add(struct dp_bpf *dp, uint32_t port, uint32_t mask)
{
	struct dp_list *l = find_list(dp, port, mask);
	struct ovs_port *p;

	if (port >= OVS_PORTS)
		return 0; /* a feature probe: nothing comes by that port */
	if (l) {
		l->flows++;
		return 0;
	}
	p = &dp->port[port];
	if (p->n_masks >= OVS_PORT_MASKS)
		return ENOSPC;
	p->mask[p->n_masks] = mask;
	__atomic_store_n(&p->n_masks, p->n_masks + 1, __ATOMIC_RELEASE);
	l = xmalloc(sizeof(*l));
	l->port = port;
	l->mask = mask;
	l->flows = 1;
	hmap_insert(&dp->lists, &l->node, hash_2words(port, mask));
	return 0;
}

/* The last one takes its place: who misses it in that moment comes by an upcall to the same flow.
 */
static void list_remove(struct dp_bpf *dp, uint32_t port, uint32_t mask)
{
	struct dp_list *l = find_list(dp, port, mask);
	struct ovs_port *p;
	uint32_t i;

	if (!l || --l->flows)
		return;
	p = &dp->port[port];
	for (i = 0; i < p->n_masks && p->mask[i] != mask; i++)
		;
	if (i < p->n_masks) {
		p->mask[i] = p->mask[p->n_masks - 1];
		__atomic_store_n(&p->n_masks, p->n_masks - 1, __ATOMIC_RELEASE);
	}
	hmap_remove(&dp->lists, &l->node);
	free(l);
}

static int cookie_write(void *arg, uint32_t slot, const void *content)
{
	struct dp_bpf *dp = arg;

	return bpf_map_update_elem(dp->cookie_fd, &slot, content, BPF_ANY) ? errno : 0;
}

static void cookie_erase(void *arg, uint32_t slot, const void *content OVS_UNUSED)
{
	struct dp_bpf *dp = arg;

	bpf_map_delete_elem(dp->cookie_fd, &slot);
}

static int action_write(void *arg, uint32_t slot, const void *content)
{
	memcpy(&((struct dp_bpf *)arg)->action[slot], content, sizeof(struct ovs_action));
	return 0;
}

/* An action holds its cookie. */
static void action_erase(void *arg, uint32_t slot OVS_UNUSED, const void *content)
{
	const struct ovs_action *a = content;

	if (a->type == OVS_ACT_USERSPACE && a->user.cookie)
		dp_store_unref(&((struct dp_bpf *)arg)->cookies, a->user.cookie);
}

static int mask_write(void *arg, uint32_t slot, const void *content)
{
	memcpy(&((struct dp_bpf *)arg)->mask[slot], content, sizeof(struct ovs_key));
	return 0;
}

static int cookie_ref(void *arg, const struct ovs_cookie *c, uint32_t *index)
{
	bool fresh;

	return dp_store_ref(&((struct dp_bpf *)arg)->cookies, c, index, &fresh);
}

/* The store has taken the action's own reference to its cookie over if the action was new to it. */
static int action_ref(struct dp_bpf *dp, const struct ovs_action *a, uint32_t *slot)
{
	bool cookie = a->type == OVS_ACT_USERSPACE && a->user.cookie;
	bool fresh;
	int ret = dp_store_ref(&dp->actions, a, slot, &fresh);

	if (cookie && (ret || !fresh))
		dp_store_unref(&dp->cookies, a->user.cookie);
	return ret;
}

void dp_bpf_actions_unref(struct dp_bpf *dp, const uint32_t *slot, uint32_t n)
{
	while (n--)
		dp_store_unref(&dp->actions, slot[n]);
}

/* The outer port is that of the device; one that a SET says has to be the same. */
static bool tunnel_ports_fit(const struct dp_bpf *dp, const struct ovs_action *a, unsigned int n)
{
	ovs_be16 wanted = 0;
	unsigned int port;

	for (; n; a++, n--) {
		if (a->type == OVS_ACT_SET_TUNNEL)
			wanted = (OVS_FORCE ovs_be16)a->note;
		if (a->type == OVS_ACT_OUTPUT && wanted && a->port < OVS_PORTS &&
		    (dp->port[a->port].flags & OVS_PORT_LIVE) &&
		    ovs_scan(dp->port[a->port].name, "vxlan_sys_%u", &port) &&
		    port != ntohs(wanted))
			return false;
	}
	return true;
}

int dp_bpf_actions_ref(struct dp_bpf *dp, const struct nlattr *actions, size_t len,
		       uint32_t slot[OVS_FLOW_ACTIONS], uint32_t *n)
{
	const struct dp_cookies cookies = {.ref = cookie_ref, .arg = dp};
	struct ovs_action a[OVS_FLOW_ACTIONS];
	unsigned int count, i;
	int ret = dp_actions_from_nlattrs(actions, len, &cookies, a, &count), one;

	if (!ret && !tunnel_ports_fit(dp, a, count))
		ret = EINVAL;
	*n = 0;
	for (i = 0; i < count; i++) {
		one = ret;
		if (!ret)
			ret = one = action_ref(dp, &a[i], &slot[*n]);
		else if (a[i].type == OVS_ACT_USERSPACE && a[i].user.cookie)
			dp_store_unref(&dp->cookies, a[i].user.cookie);
		*n += !one;
	}
	if (ret) {
		dp_bpf_actions_unref(dp, slot, *n);
		*n = 0;
	}
	return ret;
}

/* The cookie is one's own from here on. */
static int cookie_keep(struct dp_bpf *dp, const struct ovs_action *a)
{
	const void *cookie = dp_store_get(&dp->cookies, a->user.cookie);
	uint32_t slot;
	bool fresh;

	return cookie ? dp_store_ref(&dp->cookies, cookie, &slot, &fresh) : ENOENT;
}

int dp_bpf_actions_keep(struct dp_bpf *dp, const struct ovs_action *a, uint32_t n,
			uint32_t slot[OVS_FLOW_ACTIONS])
{
	int ret = 0;
	uint32_t i;

	for (i = 0; i < n && !ret; i++) {
		if (a[i].type == OVS_ACT_USERSPACE && a[i].user.cookie)
			ret = cookie_keep(dp, &a[i]);
		if (!ret)
			ret = action_ref(dp, &a[i], &slot[i]);
	}
	if (ret)
		dp_bpf_actions_unref(dp, slot, i - 1);
	return ret;
}

static int match_update(struct dp_bpf *dp, const struct ovs_flow *f, uint32_t slot, uint64_t how)
{
	struct ovs_match m = {.key = f->key, .mask = f->mask};

	return bpf_map_update_elem(dp->match_fd, &m, &slot, how) ? errno : 0;
}

/* A slot with the entry, live, but nothing leads to it yet. */
static int new_entry(struct dp_bpf *dp, const struct ovs_flow *from, uint32_t *slot)
{
	struct ovs_flow *f;
	int ret = dp_slots_take(&dp->flow_slots, slot);

	if (ret)
		return ret;
	f = &dp->flow[*slot];
	__atomic_store_n(&f->live, 0, __ATOMIC_RELEASE);
	memcpy((char *)f + sizeof(f->live), (const char *)from + sizeof(f->live),
	       sizeof(*f) - sizeof(f->live));
	__atomic_store_n(&f->live, 1, __ATOMIC_RELEASE);
	return 0;
}

static void end_entry(struct dp_bpf *dp, uint32_t slot)
{
	struct ovs_flow *f = &dp->flow[slot];

	__atomic_store_n(&f->live, 0, __ATOMIC_RELEASE);
	dp_bpf_actions_unref(dp, f->action, f->n_actions);
	dp_slots_give(&dp->flow_slots, slot);
}

static int create(struct dp_bpf *dp, struct ovs_flow *f, const struct ovs_key *mask,
		  const ovs_u128 *ufid)
{
	uint32_t slot;
	struct dp_flow *flow;
	bool fresh;
	int ret = dp_store_ref(&dp->masks, mask, &f->mask, &fresh);

	if (ret)
		return ret;
	ret = new_entry(dp, f, &slot);
	if (ret)
		goto out_mask;
	ret = match_update(dp, f, slot, BPF_NOEXIST);
	if (ret)
		goto out_slot;
	ret = list_add(dp, f->key.in_port, f->mask);
	if (ret) {
		struct ovs_match m = {.key = f->key, .mask = f->mask};

		bpf_map_delete_elem(dp->match_fd, &m);
		goto out_slot;
	}
	flow = xzalloc(sizeof(*flow));
	flow->ufid = *ufid;
	flow->slot = slot;
	hmap_insert(&dp->flows, &flow->node, hash_bytes(ufid, sizeof(*ufid), 0));
	return 0;
out_slot:
	__atomic_store_n(&dp->flow[slot].live, 0, __ATOMIC_RELEASE);
	dp_slots_give(&dp->flow_slots, slot);
out_mask:
	dp_store_unref(&dp->masks, f->mask);
	return ret;
}

/* Only actions change; f has the new ones. What is counted in between belongs to the new entry too.
 */
static int modify(struct dp_bpf *dp, struct dp_flow *flow, struct ovs_flow *f, bool zero)
{
	const struct ovs_flow *old = &dp->flow[flow->slot];
	struct ovs_flow *now;
	uint32_t slot;
	int ret;

	f->key = old->key;
	f->mask = old->mask;
	if (!zero) {
		f->packets = old->packets;
		f->bytes = old->bytes;
		f->used = old->used;
		f->tcp_flags = old->tcp_flags;
	}
	ret = new_entry(dp, f, &slot);
	if (ret)
		return ret;
	ret = match_update(dp, f, slot, BPF_EXIST);
	if (ret) {
		__atomic_store_n(&dp->flow[slot].live, 0, __ATOMIC_RELEASE);
		dp_slots_give(&dp->flow_slots, slot);
		return ret;
	}
	now = &dp->flow[slot];
	end_entry(dp, flow->slot);
	if (!zero) {
		__atomic_fetch_add(&now->packets, old->packets - f->packets, __ATOMIC_RELAXED);
		__atomic_fetch_add(&now->bytes, old->bytes - f->bytes, __ATOMIC_RELAXED);
	}
	flow->slot = slot;
	return 0;
}

static int put_locked(struct dp_bpf *dp, struct dpif_flow_put *put, struct ovs_flow *f,
		      const struct ovs_key *mask, const ovs_u128 *ufid)
{
	struct dp_flow *flow = find_flow(dp, ufid);
	int ret;

	if (flow && !(put->flags & DPIF_FP_MODIFY))
		return EEXIST;
	if (!flow && !(put->flags & DPIF_FP_CREATE))
		return ENOENT;
	ret = dp_bpf_actions_ref(dp, put->actions, put->actions_len, f->action, &f->n_actions);
	if (ret)
		return ret;
	if (put->stats && flow)
		dp_bpf_flow_stats(dp, &dp->flow[flow->slot], put->stats);
	ret = flow ? modify(dp, flow, f, put->flags & DPIF_FP_ZERO_STATS)
		   : create(dp, f, mask, ufid);
	if (ret)
		dp_bpf_actions_unref(dp, f->action, f->n_actions);
	return ret;
}

int dp_bpf_flow_put(struct dp_bpf *dp, struct dpif_flow_put *put)
{
	struct ovs_flow f = {0};
	struct ovs_key mask;
	ovs_u128 ufid;
	int ret;

	if (put->stats)
		memset(put->stats, 0, sizeof(*put->stats));
	ret = dp_key_from_nlattrs(put->key, put->key_len, put->mask, put->mask_len, &f.key, &mask);
	if (ret)
		return ret;
	if (put->ufid)
		ufid = *put->ufid;
	else
		odp_flow_key_hash(put->key, put->key_len, &ufid);
	memcpy(f.ufid, &ufid, sizeof(f.ufid));
	ovs_mutex_lock(&dp->flow_lock);
	ret = put_locked(dp, put, &f, &mask, &ufid);
	ovs_mutex_unlock(&dp->flow_lock);
	return ret;
}

static void delete_flow(struct dp_bpf *dp, struct dp_flow *flow)
{
	const struct ovs_flow *f = &dp->flow[flow->slot];
	struct ovs_match m = {.key = f->key, .mask = f->mask};

	bpf_map_delete_elem(dp->match_fd, &m);
	list_remove(dp, f->key.in_port, f->mask);
	end_entry(dp, flow->slot);
	dp_store_unref(&dp->masks, f->mask);
	hmap_remove(&dp->flows, &flow->node);
	free(flow);
}

static const ovs_u128 *which(const ovs_u128 *ufid, const struct nlattr *key, size_t len,
			     ovs_u128 *room)
{
	if (ufid)
		return ufid;
	odp_flow_key_hash(key, len, room);
	return room;
}

int dp_bpf_flow_del(struct dp_bpf *dp, struct dpif_flow_del *del)
{
	const struct ovs_flow *f;
	struct dp_flow *flow;
	ovs_u128 room;

	ovs_mutex_lock(&dp->flow_lock);
	flow = find_flow(dp, which(del->ufid, del->key, del->key_len, &room));
	if (flow) {
		f = &dp->flow[flow->slot];
		delete_flow(dp, flow);
		/* Behind the deletion: packets that were under way are counted. */
		if (del->stats)
			dp_bpf_flow_stats(dp, f, del->stats);
	}
	ovs_mutex_unlock(&dp->flow_lock);
	return flow ? 0 : ENOENT;
}

int dp_bpf_flow_get(struct dp_bpf *dp, struct dpif_flow_get *get)
{
	struct dp_flow *flow;
	ovs_u128 room;

	ovs_mutex_lock(&dp->flow_lock);
	flow = find_flow(dp, which(get->ufid, get->key, get->key_len, &room));
	if (flow)
		dp_bpf_flow_fill(dp, &dp->flow[flow->slot], get->buffer, get->flow);
	ovs_mutex_unlock(&dp->flow_lock);
	return flow ? 0 : ENOENT;
}

int dp_bpf_flow_flush(struct dpif *dpif)
{
	struct dp_bpf *dp = dp_bpf_of(dpif);
	struct dp_flow *flow, *next;

	ovs_mutex_lock(&dp->flow_lock);
	HMAP_FOR_EACH_SAFE(flow, next, node, &dp->flows)
	delete_flow(dp, flow);
	__atomic_fetch_add(&dp->config->life, 1, __ATOMIC_RELAXED);
	ovs_mutex_unlock(&dp->flow_lock);
	return 0;
}

static void adopt_actions(struct dp_bpf *dp, const struct ovs_flow *f)
{
	for (uint32_t i = 0; i < MIN(f->n_actions, OVS_FLOW_ACTIONS); i++) {
		uint32_t slot = f->action[i];
		const struct ovs_action *a;
		struct ovs_cookie c;
		bool fresh;

		if (slot >= dp->n_actions)
			continue;
		a = &dp->action[slot];
		fresh = !dp_store_get(&dp->actions, slot);
		dp_store_adopt(&dp->actions, slot, a);
		if (fresh && a->type == OVS_ACT_USERSPACE && a->user.cookie &&
		    !bpf_map_lookup_elem(dp->cookie_fd, &a->user.cookie, &c))
			dp_store_adopt(&dp->cookies, a->user.cookie, &c);
	}
}

/* Adds a flow of a former vswitchd to what we know; one that nothing leads to ends. */
static void adopt_flow(struct dp_bpf *dp, uint32_t slot)
{
	struct ovs_flow *f = &dp->flow[slot];
	struct ovs_match m = {.key = f->key, .mask = f->mask};
	struct dp_flow *flow;
	uint32_t leads_to;

	if (f->mask >= OVS_MASKS || bpf_map_lookup_elem(dp->match_fd, &m, &leads_to) ||
	    leads_to != slot) {
		f->live = 0;
		return;
	}
	dp_store_adopt(&dp->masks, f->mask, &dp->mask[f->mask]);
	adopt_actions(dp, f);
	list_add(dp, f->key.in_port, f->mask);
	flow = xzalloc(sizeof(*flow));
	memcpy(&flow->ufid, f->ufid, sizeof(flow->ufid));
	flow->slot = slot;
	hmap_insert(&dp->flows, &flow->node, hash_bytes(&flow->ufid, sizeof(flow->ufid), 0));
}

static bool is_live(uint32_t slot, void *arg)
{
	return ((struct dp_bpf *)arg)->flow[slot].live;
}

static void init_store(struct dp_bpf *dp, struct dp_store *s, uint32_t first, uint32_t n,
		       size_t size)
{
	dp_store_init(s, first, n, size);
	s->arg = dp;
}

void dp_bpf_flows_init(struct dp_bpf *dp)
{
	ovs_mutex_init(&dp->flow_lock);
	hmap_init(&dp->flows);
	hmap_init(&dp->lists);
	init_store(dp, &dp->masks, 0, OVS_MASKS, sizeof(struct ovs_key));
	dp->masks.write = mask_write;
	init_store(dp, &dp->actions, 0, dp->n_actions, sizeof(struct ovs_action));
	dp->actions.write = action_write;
	dp->actions.erase = action_erase;
	init_store(dp, &dp->cookies, 1, COOKIES, sizeof(struct ovs_cookie));
	dp->cookies.write = cookie_write;
	dp->cookies.erase = cookie_erase;
	if (dp->core.adopted) {
		/* The lists are made again in the order of the flows. */
		for (uint32_t i = 0; i < OVS_PORTS; i++)
			dp->port[i].n_masks = 0;
		for (uint32_t i = OVS_EXECS; i < dp->n_flows; i++)
			if (dp->flow[i].live)
				adopt_flow(dp, i);
		dp_store_adopted(&dp->masks);
		dp_store_adopted(&dp->actions);
		dp_store_adopted(&dp->cookies);
	}
	dp_slots_init(&dp->flow_slots, OVS_EXECS, dp->n_flows, is_live, dp);
}

/* What we know, not what is in the maps. */
void dp_bpf_flows_destroy(struct dp_bpf *dp)
{
	struct dp_flow *flow;
	struct dp_list *list;

	if (!dp->masks.node)
		return;
	HMAP_FOR_EACH_POP(flow, node, &dp->flows)
	free(flow);
	HMAP_FOR_EACH_POP(list, node, &dp->lists)
	free(list);
	hmap_destroy(&dp->flows);
	hmap_destroy(&dp->lists);
	dp_slots_destroy(&dp->flow_slots);
	dp_store_destroy(&dp->masks);
	dp_store_destroy(&dp->actions);
	dp_store_destroy(&dp->cookies);
	ovs_mutex_destroy(&dp->flow_lock);
}
