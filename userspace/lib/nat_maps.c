// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "nat_maps.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf.h>

static int map_one(struct nat_maps *m, int k, int fd, size_t size, bool writable, void **out,
		   uint32_t *entries)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);
	void *at;

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	m->len[k] = ((size_t)info.max_entries * size + 4095) & ~4095ul;
	at = mmap(NULL, m->len[k], PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	*out = at;
	*entries = info.max_entries;
	return 0;
}

int nat_maps_open(struct nat_maps *m, const struct bpfct_pins *p, bool writable)
{
	const struct {
		int fd;
		size_t size;
		void **at;
	} map[6] = {
		{p->nat_config_fd, sizeof(*m->config), (void **)&m->config},
		{p->nat_pool_fd, sizeof(*m->pool), (void **)&m->pool},
		{p->nat_head_fd, sizeof(*m->head), (void **)&m->head},
		{p->nat_ring_fd, sizeof(struct nat_chunk), (void **)&m->ring},
		{p->nat_use_fd, sizeof(struct nat_chunk), (void **)&m->use},
		{p->nat_reserved_fd, sizeof(*m->reserved), (void **)&m->reserved},
	};
	uint32_t entries[6];
	int i, ret;

	memset(m, 0, sizeof(*m));
	for (i = 0; i < 6; i++) {
		ret = map_one(m, i, map[i].fd, map[i].size, writable, map[i].at, &entries[i]);
		if (ret)
			return ret;
	}
	m->pools = entries[1];
	m->heads = entries[2] / m->pools;
	m->ring_room = (uint64_t)entries[3] * NAT_CHUNK / m->pools;
	m->areas = (uint64_t)entries[4] * NAT_CHUNK / NAT_AREA;
	return 0;
}

void nat_maps_close(struct nat_maps *m)
{
	void *at[6] = {m->config, m->pool, m->head, m->ring, m->use, m->reserved};
	int i;

	for (i = 0; i < 6; i++)
		if (at[i])
			munmap(at[i], m->len[i]);
	memset(m, 0, sizeof(*m));
}

uint64_t nat_maps_tuples(const struct nat_maps *m, uint32_t index)
{
	uint64_t claimed = 0, released = 0;
	uint32_t i;

	for (i = 0; i < m->heads; i++) {
		const struct nat_head *h = &m->head[m->pool[index].head_base + i];

		released += __atomic_load_n(&h->released, __ATOMIC_ACQUIRE);
		claimed += __atomic_load_n(&h->claimed, __ATOMIC_ACQUIRE);
	}
	return claimed - released;
}
