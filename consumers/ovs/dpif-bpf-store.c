// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "dpif-bpf-store.h"

#include <errno.h>

#include "hash.h"
#include "timeval.h"
#include "util.h"

#define REUSE_MS 1500 /* packets are done with a slot within a second; clocks are coarse */

struct dp_node {
	struct hmap_node hmap_node;
	uint32_t slot;
	uint32_t refs;	     /* 0: dead, but may be looked at, and taken up again */
	bool given;	     /* its slot is among the dying or free ones */
	long long int until; /* ms; of a dead one */
	uint8_t content[];
};

void dp_slots_init(struct dp_slots *s, uint32_t first, uint32_t size,
		   bool (*used)(uint32_t slot, void *arg), void *arg)
{
	s->size = size;
	s->free = xcalloc(size, sizeof(*s->free));
	s->dying = xcalloc(size, sizeof(*s->dying));
	s->n_free = s->head = s->n_dying = 0;
	for (uint32_t i = size; i-- > first;)
		if (!used || !used(i, arg))
			s->free[s->n_free++] = i;
}

void dp_slots_destroy(struct dp_slots *s)
{
	free(s->free);
	free(s->dying);
	s->free = NULL;
	s->dying = NULL;
}

int dp_slots_take(struct dp_slots *s, uint32_t *slot)
{
	long long int now = time_msec();

	while (s->n_dying && s->dying[s->head].until <= now) {
		s->free[s->n_free++] = s->dying[s->head].slot;
		s->head = (s->head + 1) % s->size;
		s->n_dying--;
	}
	if (!s->n_free)
		return ENOSPC;
	*slot = s->free[--s->n_free];
	return 0;
}

void dp_slots_give(struct dp_slots *s, uint32_t slot)
{
	struct dp_dying *d = &s->dying[(s->head + s->n_dying++) % s->size];

	d->slot = slot;
	d->until = time_msec() + REUSE_MS;
}

void dp_store_init(struct dp_store *s, uint32_t first, uint32_t n, size_t size)
{
	hmap_init(&s->map);
	dp_slots_init(&s->slots, first, n, NULL, NULL);
	s->node = xcalloc(n, sizeof(struct dp_node *));
	s->size = size;
}

void dp_store_destroy(struct dp_store *s)
{
	struct dp_node *node;

	if (!s->node)
		return;
	HMAP_FOR_EACH_POP(node, hmap_node, &s->map)
	free(node);
	hmap_destroy(&s->map);
	dp_slots_destroy(&s->slots);
	free(s->node);
	s->node = NULL;
}

static struct dp_node *find(const struct dp_store *s, const void *content, uint32_t hash)
{
	struct dp_node *node;

	HMAP_FOR_EACH_WITH_HASH(node, hmap_node, hash, &s->map)
	if (!memcmp(node->content, content, s->size))
		return node;
	return NULL;
}

static void insert(struct dp_store *s, uint32_t slot, const void *content, uint32_t hash)
{
	struct dp_node *node = xzalloc(sizeof(*node) + s->size);

	node->slot = slot;
	node->refs = 1;
	memcpy(node->content, content, s->size);
	hmap_insert(&s->map, &node->hmap_node, hash);
	s->node[slot] = node;
	s->live++;
}

static void reclaim(struct dp_store *s, struct dp_node *node)
{
	hmap_remove(&s->map, &node->hmap_node);
	s->node[node->slot] = NULL;
	if (s->erase)
		s->erase(s->arg, node->slot, node->content);
	free(node);
}

/* A slot whose last content is dead for long enough. */
static int take(struct dp_store *s, uint32_t *slot)
{
	long long int now = time_msec();
	struct dp_node *node;
	int ret;

	while (!(ret = dp_slots_take(&s->slots, slot))) {
		node = s->node[*slot];
		if (!node)
			return 0;
		if (node->refs) {
			node->given = false; /* was taken up again */
		} else if (node->until > now) {
			dp_slots_give(&s->slots, *slot); /* and let go of again */
		} else {
			reclaim(s, node);
			return 0;
		}
	}
	return ret;
}

int dp_store_ref(struct dp_store *s, const void *content, uint32_t *slot, bool *fresh)
{
	uint32_t hash = hash_bytes(content, s->size, 0);
	struct dp_node *node = find(s, content, hash);
	int ret;

	*fresh = !node;
	if (node) {
		s->live += !node->refs++;
		*slot = node->slot;
		return 0;
	}
	ret = take(s, slot);
	if (ret)
		return ret;
	ret = s->write(s->arg, *slot, content);
	if (ret) {
		s->slots.free[s->slots.n_free++] = *slot; /* nobody has seen it */
		return ret;
	}
	insert(s, *slot, content, hash);
	return 0;
}

void dp_store_unref(struct dp_store *s, uint32_t slot)
{
	struct dp_node *node = s->node[slot];

	if (!node || --node->refs)
		return;
	s->live--;
	node->until = time_msec() + REUSE_MS;
	if (!node->given)
		dp_slots_give(&s->slots, slot);
	node->given = true;
}

const void *dp_store_get(const struct dp_store *s, uint32_t slot)
{
	return slot < s->slots.size && s->node[slot] ? s->node[slot]->content : NULL;
}

void dp_store_adopt(struct dp_store *s, uint32_t slot, const void *content)
{
	if (slot >= s->slots.size)
		return;
	if (s->node[slot])
		s->node[slot]->refs++;
	else
		insert(s, slot, content, hash_bytes(content, s->size, 0));
}

static bool is_used(uint32_t slot, void *arg)
{
	const struct dp_store *s = arg;

	return s->node[slot] != NULL;
}

void dp_store_adopted(struct dp_store *s)
{
	uint32_t first = s->slots.free[s->slots.n_free - 1], size = s->slots.size;

	dp_slots_destroy(&s->slots);
	dp_slots_init(&s->slots, first, size, is_used, s);
}
