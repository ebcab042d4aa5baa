// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* From compiled rules into the BPF maps, so that every packet sees the old
 * rules or the new ones. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>

#include "fw_conf.h"

static int fw_put(int fd, uint32_t key, const void *value)
{
	return bpf_map_update_elem(fd, &key, value, BPF_ANY) ? -errno : 0;
}

/* A program that started before the last switch may still walk the half that
 * is about to be overwritten: the kernel runs BPF under RCU, and this waits
 * for a grace period. Refused with nohz_full: 50 ms is longer than any walk. */
static void fw_wait_for_walkers(void)
{
	if (syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		usleep(50000);
}

static int fw_clear_hits(const struct fw_fds *fds, uint32_t half, uint32_t n)
{
	int cpus = libbpf_num_possible_cpus(), ret = 0;
	struct fw_hit *zero;

	if (cpus < 1)
		return -EINVAL;
	zero = calloc(cpus, sizeof(*zero));
	if (!zero)
		return -ENOMEM;
	for (uint32_t i = 0; i < n && !ret; i++)
		ret = fw_put(fds->hit, half * FW_HITS + i, zero);
	free(zero);
	return ret;
}

static uint32_t fw_highest_number(const struct fw_rules *rules)
{
	uint32_t highest = 0;

	/* numbers ascend in both lists */
	if (rules->n_rules)
		highest = rules->rule[rules->n_rules - 1].number;
	if (rules->n_nats && rules->nat[rules->n_nats - 1].number > highest)
		highest = rules->nat[rules->n_nats - 1].number;
	if (rules->n_algs && rules->alg[rules->n_algs - 1].alg.number > highest)
		highest = rules->alg[rules->n_algs - 1].alg.number;
	return highest;
}

int fw_rules_install(const struct fw_rules *rules, const struct fw_fds *fds)
{
	struct fw_config config;
	uint32_t zero = 0, half, dst = 0, out = 0;
	int ret = 0;

	if (bpf_map_lookup_elem(fds->config, &zero, &config))
		return -errno;
	half = !(config.active & 1);
	fw_wait_for_walkers();
	for (uint32_t i = 0; i < rules->n_rules && !ret; i++)
		ret = fw_put(fds->rule, half * FW_RULES + i, &rules->rule[i]);
	for (uint32_t i = 0; i < rules->n_nats && !ret; i++)
		ret = fw_put(fds->nat, half * FW_NATS + i, &rules->nat[i]);
	if (!ret)
		ret = fw_clear_hits(fds, half, fw_highest_number(rules) + 1);
	if (ret)
		return ret;
	for (uint32_t i = 0; i < rules->n_nats; i++)
		dst += rules->nat[i].kind == FW_NAT_DST;
	for (uint32_t i = 0; i < rules->n_rules; i++)
		out |= rules->rule[i].dir == FW_OUT;
	/* The counts first: updating an array element is a plain copy, and a
	 * packet in the middle of it must not pair the new half with old counts. */
	config.abi_version = FW_ABI_VERSION;
	config.half[half] = (struct fw_half){.rules = rules->n_rules,
					     .nats = rules->n_nats,
					     .nats_dst = dst,
					     .default_pass = rules->default_pass,
					     .judges_out = out,
					     .antispoof = rules->antispoof,
					     .mss_clamp = rules->mss_clamp};
	ret = fw_put(fds->config, 0, &config);
	if (ret)
		return ret;
	config.active = half;
	config.generation++;
	return fw_put(fds->config, 0, &config);
}

static bool fw_has_index(const struct fw_ifs *ifs, uint32_t ifindex)
{
	for (unsigned int i = 0; i < ifs->n; i++)
		if (ifs->v[i].ifindex == ifindex)
			return true;
	return false;
}

static int fw_near_drop_stale(const struct fw_ifs *ifs, int fd)
{
	const struct fw_iface none = {0};
	struct fw_iface value;
	int ret = 0;

	for (uint32_t i = FW_LATE_CTD + 1; i < FW_NEAR && !ret; i++) {
		if (bpf_map_lookup_elem(fd, &i, &value))
			return -errno;
		if (value.flags && !fw_has_index(ifs, i))
			ret = fw_put(fd, i, &none);
	}
	return ret;
}

/* Deleting while walking restarts a hash map's walk, so the next key is taken first. */
static int fw_drop_stale(const struct fw_ifs *ifs, int fd)
{
	uint32_t key, next;
	int ret = bpf_map_get_next_key(fd, NULL, &next);

	while (!ret) {
		key = next;
		ret = bpf_map_get_next_key(fd, &key, &next);
		if (!fw_has_index(ifs, key & ~FW_WATCHED) && bpf_map_delete_elem(fd, &key) &&
		    errno != ENOENT)
			return -errno;
	}
	return 0;
}

static bool fw_is_attached(const struct fw_if *iface, const uint32_t *attached, unsigned int n)
{
	if (!attached)
		return !iface->loopback;
	for (unsigned int i = 0; i < n; i++)
		if (attached[i] == iface->ifindex)
			return true;
	return false;
}

uint32_t fw_changes(const struct fw_fds *fds)
{
	uint32_t at = FW_LATE_WATCH;
	struct fw_late late;

	return bpf_map_lookup_elem(fds->near, &at, &late) ? 0 : late.changes;
}

int fw_ifs_install(const struct fw_rules *rules, const struct fw_ifs *ifs, uint32_t changes,
		   const uint32_t *attached, unsigned int n_attached, const struct fw_fds *fds)
{
	const struct fw_late seen = {.changes = changes};
	int ret = fw_drop_stale(ifs, fds->iface);

	if (!ret)
		ret = fw_near_drop_stale(ifs, fds->near);
	for (unsigned int i = 0; i < ifs->n && !ret; i++) {
		const struct fw_if *iface = &ifs->v[i];
		struct fw_iface value;

		fw_rules_iface(rules, iface, fw_is_attached(iface, attached, n_attached), &value);
		ret = fw_put(fds->iface, iface->ifindex, &value);
		value.flags |= FW_IF_KNOWN;
		if (!ret && iface->ifindex < FW_NEAR)
			ret = fw_put(fds->near, iface->ifindex, &value);
	}
	/* Last: until then the watch's entries count. */
	return ret ? ret : fw_put(fds->near, FW_LATE_CTD, &seen);
}

static bool fw_has_alg(const struct fw_rules *rules, const struct fw_alg_key *key)
{
	for (unsigned int i = 0; i < rules->n_algs; i++)
		if (!memcmp(&rules->alg[i].key, key, sizeof(*key)))
			return true;
	return false;
}

int fw_algs_install(const struct fw_rules *rules, const struct fw_fds *fds)
{
	struct fw_alg_key key, next;
	int ret = bpf_map_get_next_key(fds->alg, NULL, &next);

	while (!ret) {
		key = next;
		ret = bpf_map_get_next_key(fds->alg, &key, &next);
		if (!fw_has_alg(rules, &key) && bpf_map_delete_elem(fds->alg, &key) &&
		    errno != ENOENT)
			return -errno;
	}
	for (unsigned int i = 0; i < rules->n_algs; i++)
		if (bpf_map_update_elem(fds->alg, &rules->alg[i].key, &rules->alg[i].alg, BPF_ANY))
			return -errno;
	return 0;
}

int fw_hits(const struct fw_fds *fds, unsigned int number, struct fw_hit *out)
{
	int cpus = libbpf_num_possible_cpus(), ret = 0;
	struct fw_config config;
	struct fw_hit *v;
	uint32_t key = 0;

	memset(out, 0, sizeof(*out));
	if (cpus < 1 || number >= FW_HITS)
		return -EINVAL;
	v = calloc(cpus, sizeof(*v));
	if (!v)
		return -ENOMEM;
	if (bpf_map_lookup_elem(fds->config, &key, &config)) {
		ret = -errno;
		goto out;
	}
	key = (config.active & 1) * FW_HITS + number;
	if (bpf_map_lookup_elem(fds->hit, &key, v)) {
		ret = -errno;
		goto out;
	}
	for (int i = 0; i < cpus; i++) {
		out->packets += v[i].packets;
		out->bytes += v[i].bytes;
	}
out:
	free(v);
	return ret;
}
