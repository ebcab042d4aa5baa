// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "nat_block.h"

#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "../../bpf/abi/nat_block.h"

static uint32_t last_word(const __be32 addr[4], int family)
{
	return ntohl(addr[family == 4 ? 0 : 3]);
}

static uint32_t blocks_of(const struct nat_pool *p)
{
	return p->block ? (p->port_max - p->port_min + 1u) / p->block : 0;
}

void nat_block_set(struct ctd *d, uint32_t index, const struct fw_pool *f)
{
	struct nat *n = d->nat;
	struct nat_pool *p = &n->m.pool[index];
	struct nat_own *own = &n->own[index];
	uint32_t first, word = p->family == 4 ? 0 : 3;
	__be32 inside[4];

	if (!f->block)
		return;
	p->block = f->block;
	first = last_word(p->addr, p->family) - last_word(f->span[0].first, p->family);
	memcpy(inside, f->inside, sizeof(inside));
	inside[word] = htonl(last_word(f->inside, p->family) + first * blocks_of(p));
	memcpy(p->inside, inside, sizeof(inside));
	p->inside_plen = f->inside_plen;
	if (!own->block_used)
		own->block_used = calloc(blocks_of(p) / 64 + 1, sizeof(*own->block_used));
}

/* Any port of this block, of any class? The pools of an address stand together. */
static bool in_use(const struct nat *n, uint32_t base, uint32_t block)
{
	uint32_t class, i, size = n->m.pool[base].block;

	for (class = 0; class < NAT_CLASSES; class ++) {
		const uint32_t *use = nat_maps_use(&n->m, base + class) + block * size;

		for (i = 0; i < size; i++)
			if (nat_uses(__atomic_load_n(&use[i], __ATOMIC_RELAXED)))
				return true;
	}
	return false;
}

static void tell(const struct nat_pool *p, uint32_t block, bool used)
{
	char in[INET6_ADDRSTRLEN], out[INET6_ADDRSTRLEN];
	uint32_t word = p->family == 4 ? 0 : 3, min = p->port_min + block * p->block;
	int family = p->family == 4 ? AF_INET : AF_INET6;
	__be32 inside[4];

	memcpy(inside, p->inside, sizeof(inside));
	inside[word] = htonl(ntohl(inside[word]) + block);
	inet_ntop(family, inside, in, sizeof(in));
	inet_ntop(family, p->addr, out, sizeof(out));
	log_event(LOG_INFO, "nat_block", "inside=%s address=%s ports=%u-%u state=%s", in, out, min,
		  min + p->block - 1, used ? "begin" : "end");
}

void nat_block_look(struct ctd *d, uint32_t index)
{
	struct nat *n = d->nat;
	uint32_t base = index - n->m.pool[index].class, blocks, b;
	uint64_t *used = n->own[base].block_used;

	/* All four classes' pools are of one block; they come and go together. */
	if (!used || !n->own[base].live || base + NAT_CLASSES > n->m.pools)
		return;
	blocks = blocks_of(&n->m.pool[base]);
	for (b = 0; b < blocks; b++) {
		bool now = in_use(n, base, b), was = used[b / 64] >> b % 64 & 1;

		if (now == was)
			continue;
		used[b / 64] ^= 1ull << b % 64;
		tell(&n->m.pool[base], b, now);
	}
}
