// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "pins.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define FD(field) ((int)offsetof(struct bpfct_pins, field))
#define HASH	  BPF_MAP_TYPE_HASH
#define HASH_LRU  BPF_MAP_TYPE_LRU_HASH
#define ARRAY	  BPF_MAP_TYPE_ARRAY
#define PERCPU	  BPF_MAP_TYPE_PERCPU_ARRAY

const struct bpfct_map_spec bpfct_map_specs[] = {
	{"ct_conn4_v1", HASH_LRU, sizeof(struct ct_key4), sizeof(struct ct_conn4), 0, 0,
	 FD(conn_fd[0])},
	{"ct_conn6_v1", HASH_LRU, sizeof(struct ct_key6), sizeof(struct ct_conn6), 0, 0,
	 FD(conn_fd[1])},
	{"ct_stub4_v1", HASH, sizeof(struct ct_key4), sizeof(struct ct_stub4), 0, 0,
	 FD(stub_fd[0])},
	{"ct_stub6_v1", HASH, sizeof(__u64), sizeof(struct ct_stub6), 0, 0, FD(stub_fd[1])},
	{"ct_half4_v1", ARRAY, 4, sizeof(struct ct_slot4), 0, 0, FD(half_fd[0])},
	{"ct_half6_v1", ARRAY, 4, sizeof(struct ct_slot6), 0, 0, FD(half_fd[1])},
	{"ct_clock4_v1", ARRAY, 4, sizeof(struct ct_slot4), 0, 0, FD(clock_fd[0])},
	{"ct_clock6_v1", ARRAY, 4, sizeof(struct ct_slot6), 0, 0, FD(clock_fd[1])},
	{"ct_grave4_v1", ARRAY, 4, sizeof(struct ct_slot4), 0, 0, -1},
	{"ct_grave6_v1", ARRAY, 4, sizeof(struct ct_slot6), 0, 0, -1},
	{"ct_label_v1", HASH, sizeof(struct ct_label_key), sizeof(struct ct_label),
	 BPF_F_NO_PREALLOC, 0, FD(label_fd)},
	{"ct_expect_v1", HASH, sizeof(struct ct_tuple), sizeof(struct ct_expect), BPF_F_NO_PREALLOC,
	 CT_EXPECT_MAX, FD(expect_fd)},
	{"ct_xport_v1", HASH, sizeof(struct ct_xport_key), sizeof(struct ct_xport),
	 BPF_F_NO_PREALLOC, CT_EXPECT_MAX, FD(xport_fd)},
	{"ct_gre_v1", HASH, sizeof(struct ct_tuple), sizeof(struct ct_gre), BPF_F_NO_PREALLOC,
	 CT_GRE_MAX, FD(gre_fd)},
	{"ct_master_v1", HASH, sizeof(struct ct_label_key), sizeof(struct ct_master),
	 BPF_F_NO_PREALLOC, 0, FD(master_fd)},
	{"ct_expstate_v1", ARRAY, 4, sizeof(struct ct_expect_state), BPF_F_MMAPABLE, 1,
	 FD(expstate_fd)},
	{"ct_settings_v1", ARRAY, 4, sizeof(struct ct_settings), BPF_F_MMAPABLE, 1,
	 FD(settings_fd)},
	{"ct_timeout_v1", ARRAY, 4, sizeof(struct ct_timeouts), BPF_F_MMAPABLE, 256,
	 FD(timeout_fd)},
	{"ct_table_v1", ARRAY, 4, sizeof(struct ct_table), BPF_F_MMAPABLE, 2, FD(table_fd)},
	{"ct_zone_v1", ARRAY, 4, sizeof(struct ct_zone), BPF_F_MMAPABLE, 65536, FD(zone_fd)},
	{"ct_prefix_v1", ARRAY, 4, 4, 0, 16384, -1},
	{"ct_seen_v1", ARRAY, 4, sizeof(struct ct_seen), 0, 16384, -1},
	{"ct_nexthop_v1", ARRAY, 4, sizeof(struct ct_nexthop), 0, CT_NEXTHOPS, -1},
	{"ct_drop_v1", PERCPU, 4, 8, 0, CT_DROP_SLOTS, FD(drop_fd)},
	{"ct_stat_v1", PERCPU, 4, 8, 0, CT_STAT_SLOTS, FD(stat_fd)},
	{"ct_event_v1", BPF_MAP_TYPE_RINGBUF, 0, 0, 0, 4 << 20, FD(event_fd)},
	{"ct_alg_v1", HASH, sizeof(struct ct_label_key), sizeof(struct ct_alg), BPF_F_NO_PREALLOC,
	 CT_ALG_MAX, FD(alg_fd)},
	{"ct_algring_v1", BPF_MAP_TYPE_RINGBUF, 0, 0, 0, ALG_RING_BYTES, FD(algring_fd)},
	{"ct_algbuf_v1", ARRAY, 4, sizeof(struct alg_buf), 0, 0, -1},
	{"ct_algexec_v1", HASH, 4, sizeof(struct alg_exec), 0, ALG_EXECS, FD(algexec_fd)},
	{"ct_algsess_v1", HASH, sizeof(struct ct_label_key), sizeof(struct alg_keep),
	 BPF_F_NO_PREALLOC, CT_ALG_MAX, FD(algsess_fd)},
	{"ct_algbig_v1", HASH, sizeof(struct ct_label_key), sizeof(struct alg_big),
	 BPF_F_NO_PREALLOC, ALG_KEEPS, FD(algbig_fd)},
	{"nat_config_v1", ARRAY, 4, sizeof(struct nat_config), BPF_F_MMAPABLE, 1,
	 FD(nat_config_fd)},
	{"nat_pool_v1", ARRAY, 4, sizeof(struct nat_pool), BPF_F_MMAPABLE, 0, FD(nat_pool_fd)},
	{"nat_head_v1", ARRAY, 4, sizeof(struct nat_head), BPF_F_MMAPABLE, 0, FD(nat_head_fd)},
	{"nat_ring_v1", ARRAY, 4, sizeof(struct nat_chunk), BPF_F_MMAPABLE, 0, FD(nat_ring_fd)},
	{"nat_use_v1", ARRAY, 4, sizeof(struct nat_chunk), BPF_F_MMAPABLE, 0, FD(nat_use_fd)},
	{"nat_reserved_v1", ARRAY, 4, sizeof(struct nat_reserved), BPF_F_MMAPABLE, 2 * NAT_CLASSES,
	 FD(nat_reserved_fd)},
	{"nat_bound_v1", HASH, sizeof(struct nat_bound_key), sizeof(struct nat_bound),
	 BPF_F_NO_PREALLOC, 0, FD(nat_bound_fd)},
	{"nat_bind_v1", HASH, sizeof(struct nat_bind_key), sizeof(struct nat_bind),
	 BPF_F_NO_PREALLOC, 0, FD(nat_bind_fd)},
	{"nat_peer_v1", HASH_LRU, sizeof(struct nat_peer_key), sizeof(struct nat_peer), 0, 0,
	 FD(nat_peer_fd)},
	{"nat_sub_v1", HASH, sizeof(struct nat_sub_key), sizeof(struct nat_sub), BPF_F_NO_PREALLOC,
	 0, FD(nat_sub_fd)},
	{"nat_need_v1", BPF_MAP_TYPE_RINGBUF, 0, 0, 0, 256 << 10, FD(nat_need_fd)},
	{"frag_index_v1", BPF_MAP_TYPE_HASH, sizeof(struct frag_key), 4, 0, 0, -1},
	{"frag_head_v1", ARRAY, 4, sizeof(struct frag_head), 0, 0, FD(frag_head_fd)},
	{"frag_data_v1", ARRAY, 4, sizeof(struct frag_chunk), 0, 0, -1},
	{"frag_heads_v1", BPF_MAP_TYPE_STACK, 0, 4, 0, 0, -1},
	{"frag_chunks_v1", BPF_MAP_TYPE_STACK, 0, 4, 0, 0, -1},
	{"frag_zone_v1", ARRAY, 4, sizeof(struct frag_use), 0, 65536, FD(frag_zone_fd)},
	{"frag_source_v1", ARRAY, 4, sizeof(struct frag_use), 0, FRAG_SOURCES, -1},
	{"frag_stat_v1", PERCPU, 4, 8, 0, FRAG_STAT_SLOTS, FD(frag_stat_fd)},
	{"frag_table_v1", ARRAY, 4, sizeof(struct frag_table), BPF_F_MMAPABLE, 1,
	 FD(frag_table_fd)},
};
const unsigned int bpfct_n_map_specs = sizeof(bpfct_map_specs) / sizeof(bpfct_map_specs[0]);

static int *fd_of(struct bpfct_pins *p, int off)
{
	return (int *)((char *)p + off);
}

bool bpfct_instance_valid(const char *name)
{
	size_t i, n = strlen(name);

	if (n == 0 || n > 63)
		return false;
	for (i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("_-", name[i]))
			return false;
	return true;
}

void bpfct_pin_path(char path[BPFCT_PATH_MAX], const char *instance, const char *name)
{
	snprintf(path, BPFCT_PATH_MAX, CT_PIN_ROOT "/%s%s%s", instance, name ? "/" : "",
		 name ? name : "");
}

int bpfct_path_trusted(const char *path, char *err, size_t errlen)
{
	struct stat st;

	if (lstat(path, &st))
		return -errno;
	if (st.st_uid != 0 && st.st_uid != geteuid()) {
		snprintf(err, errlen, "%s: owned by uid %u, not by root", path, st.st_uid);
		return -EPERM;
	}
	if (S_ISLNK(st.st_mode)) {
		snprintf(err, errlen, "%s: is a symbolic link", path);
		return -EPERM;
	}
	/* A socket's mode says who may connect; nothing else may be writable by others. */
	if (!S_ISSOCK(st.st_mode) && (st.st_mode & 022)) {
		snprintf(err, errlen, "%s: writable by others (mode %o)", path, st.st_mode & 07777);
		return -EPERM;
	}
	return 0;
}

const struct bpfct_map_spec *bpfct_map_spec(const char *name)
{
	unsigned int i;

	for (i = 0; i < bpfct_n_map_specs; i++)
		if (!strcmp(bpfct_map_specs[i].name, name))
			return &bpfct_map_specs[i];
	return NULL;
}

static int mismatch(const char *path, const char *what, uint32_t have, uint32_t want, char *err,
		    size_t errlen)
{
	snprintf(err, errlen, "%s: wrong map layout: %s is %u, must be %u (ctd --unload first)",
		 path, what, have, want);
	return -EPROTO;
}

int bpfct_map_verify(int fd, const struct bpfct_map_spec *spec, const char *path, char *err,
		     size_t errlen)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len)) {
		int e = -errno;

		snprintf(err, errlen, "%s: not a BPF map", path);
		return e == -EINVAL ? -EPROTO : e;
	}
	if (info.type != spec->type)
		return mismatch(path, "type", info.type, spec->type, err, errlen);
	if (info.key_size != spec->key_size)
		return mismatch(path, "key size", info.key_size, spec->key_size, err, errlen);
	if (info.value_size != spec->value_size)
		return mismatch(path, "value size", info.value_size, spec->value_size, err, errlen);
	if (info.map_flags != spec->flags)
		return mismatch(path, "flags", info.map_flags, spec->flags, err, errlen);
	if (spec->entries && info.max_entries != spec->entries)
		return mismatch(path, "max_entries", info.max_entries, spec->entries, err, errlen);
	return 0;
}

void bpfct_pins_init(struct bpfct_pins *p)
{
	unsigned int i;

	memset(p, 0, sizeof(*p));
	for (i = 0; i < bpfct_n_map_specs; i++)
		if (bpfct_map_specs[i].fd_off >= 0)
			*fd_of(p, bpfct_map_specs[i].fd_off) = -1;
	p->control_fd = -1;
}

/* Length of the mapping of an mmapable array: elements are 8-byte aligned. */
static size_t map_len(size_t value_size, size_t entries)
{
	size_t page = sysconf(_SC_PAGESIZE);

	return ((value_size + 7) / 8 * 8 * entries + page - 1) / page * page;
}

static void *map_array(int fd, size_t value_size, size_t entries, bool writable)
{
	void *m = mmap(NULL, map_len(value_size, entries), PROT_READ | (writable ? PROT_WRITE : 0),
		       MAP_SHARED, fd, 0);

	return m == MAP_FAILED ? NULL : m;
}

int bpfct_pins_map(struct bpfct_pins *p, bool writable)
{
	p->settings = map_array(p->settings_fd, sizeof(*p->settings), 1, writable);
	if (!p->settings)
		return -errno;
	p->timeouts = map_array(p->timeout_fd, sizeof(*p->timeouts), 256, writable);
	if (!p->timeouts)
		return -errno;
	p->table = map_array(p->table_fd, sizeof(*p->table), 2, writable);
	if (!p->table)
		return -errno;
	p->zone = map_array(p->zone_fd, sizeof(*p->zone), 65536, writable);
	if (!p->zone)
		return -errno;
	p->frag = map_array(p->frag_table_fd, sizeof(*p->frag), 1, writable);
	if (!p->frag)
		return -errno;
	p->expect = map_array(p->expstate_fd, sizeof(*p->expect), 1, writable);
	if (!p->expect)
		return -errno;
	return 0;
}

void bpfct_pins_close(struct bpfct_pins *p)
{
	unsigned int i;

	if (p->settings)
		munmap(p->settings, map_len(sizeof(*p->settings), 1));
	if (p->timeouts)
		munmap(p->timeouts, map_len(sizeof(*p->timeouts), 256));
	if (p->table)
		munmap(p->table, map_len(sizeof(*p->table), 2));
	if (p->zone)
		munmap(p->zone, map_len(sizeof(*p->zone), 65536));
	if (p->frag)
		munmap(p->frag, map_len(sizeof(*p->frag), 1));
	if (p->expect)
		munmap(p->expect, map_len(sizeof(*p->expect), 1));
	for (i = 0; i < bpfct_n_map_specs; i++)
		if (bpfct_map_specs[i].fd_off >= 0 && *fd_of(p, bpfct_map_specs[i].fd_off) >= 0)
			close(*fd_of(p, bpfct_map_specs[i].fd_off));
	if (p->control_fd >= 0)
		close(p->control_fd);
	bpfct_pins_init(p);
}

static int open_pin(const char *instance, const char *name, char *err, size_t errlen)
{
	char path[BPFCT_PATH_MAX];
	int fd;

	bpfct_pin_path(path, instance, name);
	fd = bpfct_path_trusted(path, err, errlen);
	if (fd == -ENOENT) {
		snprintf(err, errlen, "%s: pin is missing (ctd --unload first)", path);
		return -EPROTO;
	}
	if (fd == -EPERM)
		return fd;
	if (!fd)
		fd = bpf_obj_get(path);
	if (fd < 0)
		snprintf(err, errlen, "%s: %s", path, strerror(-fd));
	return fd;
}

static int check_dirs(const char *instance, char *err, size_t errlen)
{
	char path[BPFCT_PATH_MAX];
	int ret;

	if (!bpfct_instance_valid(instance)) {
		snprintf(err, errlen, "'%s' is not an instance name", instance);
		return -EINVAL;
	}
	bpfct_pin_path(path, instance, NULL);
	ret = bpfct_path_trusted(CT_PIN_ROOT, err, errlen);
	if (!ret)
		ret = bpfct_path_trusted(path, err, errlen);
	if (ret == -ENOENT)
		snprintf(err, errlen, "no instance '%s' (no %s)", instance, path);
	else if (ret && ret != -EPERM)
		snprintf(err, errlen, "%s: %s", path, strerror(-ret));
	return ret;
}

int bpfct_pins_open(struct bpfct_pins *p, const char *instance, bool writable, char *err,
		    size_t errlen)
{
	char path[BPFCT_PATH_MAX];
	unsigned int i;
	int ret, fd;

	bpfct_pins_init(p);
	ret = check_dirs(instance, err, errlen);
	if (ret)
		return ret;
	snprintf(p->instance, sizeof(p->instance), "%s", instance);
	for (i = 0; i < bpfct_n_map_specs; i++) {
		const struct bpfct_map_spec *spec = &bpfct_map_specs[i];

		if (spec->fd_off < 0)
			continue;
		ret = fd = open_pin(instance, spec->name, err, errlen);
		if (fd < 0)
			goto out;
		*fd_of(p, spec->fd_off) = fd;
		bpfct_pin_path(path, instance, spec->name);
		ret = bpfct_map_verify(fd, spec, path, err, errlen);
		if (ret)
			goto out;
	}
	ret = p->control_fd = open_pin(instance, "ct_control", err, errlen);
	if (ret < 0)
		goto out;
	ret = bpfct_pins_map(p, writable);
	if (ret) {
		snprintf(err, errlen, "instance '%s': cannot map its arrays: %s", instance,
			 strerror(-ret));
		goto out;
	}
	if (p->settings->abi_version != CT_ABI_VERSION) {
		snprintf(err, errlen, "instance '%s': ABI version %u, this program knows %d",
			 instance, p->settings->abi_version, CT_ABI_VERSION);
		ret = -EPROTO;
	}
out:
	if (ret)
		bpfct_pins_close(p);
	return ret;
}

/* Hands out the whole records at the front of buf; returns the bytes left over in *len. */
static int dump_records(char *buf, size_t *len, bpfct_flow_fn fn, void *arg)
{
	struct ct_flow flow;
	size_t off = 0;
	int ret = 0;

	while (!ret && *len - off >= sizeof(flow)) {
		memcpy(&flow, buf + off, sizeof(flow));
		off += sizeof(flow);
		ret = fn(&flow, arg);
	}
	memmove(buf, buf + off, *len - off);
	*len -= off;
	return ret;
}

int bpfct_dump(struct bpfct_pins *p, int family, bpfct_flow_fn fn, void *arg)
{
	const size_t size = 64 * 1024;
	char path[BPFCT_PATH_MAX];
	size_t have = 0;
	char *buf;
	int fd, ret = 0;

	bpfct_pin_path(path, p->instance, family == 6 ? "ct_dump6" : "ct_dump4");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	buf = malloc(size);
	if (!buf) {
		ret = -ENOMEM;
		goto out;
	}
	for (;;) {
		ssize_t n = read(fd, buf + have, size - have);

		if (n == 0)
			break;
		if (n < 0) {
			/* EAGAIN: a million entries without output; the walk goes on. */
			if (errno == EAGAIN || errno == EINTR)
				continue;
			ret = -errno;
			break;
		}
		have += n;
		ret = dump_records(buf, &have, fn, arg);
		if (ret)
			break;
	}
	if (!ret && have)
		ret = -EPROTO;
out:
	free(buf);
	close(fd);
	return ret;
}

int bpfct_control(struct bpfct_pins *p, struct ct_control *req)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = req, .ctx_size_in = sizeof(*req));
	int ret = bpf_prog_test_run_opts(p->control_fd, &opts);

	if (ret)
		return ret < 0 ? ret : -errno;
	/* The program itself returns 0 or the -errno of a request that it could not read. */
	return (int)opts.retval < 0 ? (int)opts.retval : 0;
}

int bpfct_counters(int fd, uint64_t *sum, unsigned int n)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *v;
	__u32 i;
	int c, ret = 0;

	if (cpus < 0)
		return cpus;
	v = calloc(cpus, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		sum[i] = 0;
		ret = bpf_map_lookup_elem(fd, &i, v);
		if (ret)
			break;
		for (c = 0; c < cpus; c++)
			sum[i] += v[c];
	}
	free(v);
	return ret;
}

uint32_t bpfct_now(struct bpfct_pins *p)
{
	struct ct_control req = {.op = CT_CONTROL_CLOCK};

	if (bpfct_control(p, &req))
		return 0;
	return (req.jiffies + p->settings->clock_offset) >> 5;
}

double bpfct_ticks_to_s(const struct bpfct_pins *p, int32_t ticks)
{
	return p->settings->hz ? ticks * 32.0 / p->settings->hz : 0;
}

const char *bpfct_drop_text(unsigned int reason)
{
	static const char *const text[] = {
#define X(name, txt, cls, meaning) txt,
		CT_DROP_REASONS(X)
#undef X
	};

	return reason < CT_DROP_MAX ? text[reason] : NULL;
}

const char *bpfct_stat_text(unsigned int stat)
{
	static const char *const text[] = {
#define X(name, txt) txt,
		CT_STATS(X)
#undef X
	};

	return stat < CT_STAT_MAX ? text[stat] : NULL;
}
