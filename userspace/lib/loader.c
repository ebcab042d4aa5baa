// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "loader_pins.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "bpf/ct_core.skel.h"

static const char *const sweep_prog[] = {"ct_sweep4",	   "ct_sweep6",	      "ct_stub_sweep4",
					 "ct_stub_sweep6", "nat_sweep_bound", "nat_sweep_sub",
					 "frag_sweep"};
static const char *const sweep_map[] = {"ct_conn4_v1",	"ct_conn6_v1", "ct_stub4_v1", "ct_stub6_v1",
					"nat_bound_v1", "nat_sub_v1",  "frag_head_v1"};

static struct bpfct_map_spec spec_of(const struct bpf_map *map)
{
	const struct bpfct_map_spec *known = bpfct_map_spec(bpf_map__name(map));
	struct bpfct_map_spec spec = {
		.name = bpf_map__name(map),
		.type = bpf_map__type(map),
		.key_size = bpf_map__key_size(map),
		.value_size = bpf_map__value_size(map),
		.flags = bpf_map__map_flags(map),
		.entries = bpf_map__max_entries(map),
		.fd_off = -1,
	};

	if (known && !known->entries)
		spec.entries = 0; /* sized by configuration: judged by check_sizes() */
	return spec;
}

/* Opens a pin and compares it with the map of the object. A descriptor, -ENOENT, -errno + line. */
static int open_map_pin(const char *instance, const struct bpf_map *map, char *err, size_t errlen)
{
	struct bpfct_map_spec spec = spec_of(map);
	char path[BPFCT_PATH_MAX];
	int fd, ret;

	bpfct_pin_path(path, instance, spec.name);
	ret = bpfct_path_trusted(path, err, errlen);
	if (ret == -ENOENT || ret == -EPERM)
		return ret;
	fd = bpf_obj_get(path);
	if (fd < 0) {
		ret = -errno;
		snprintf(err, errlen, "%s: %s", path, strerror(-ret));
		return ret;
	}
	ret = bpfct_map_verify(fd, &spec, path, err, errlen);
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

static int entries(int fd, uint32_t *out)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	*out = info.max_entries;
	return 0;
}

/* Takes over the pins of every map of the object; missing ones are a broken layout. */
static int adopt_maps(struct bpfct_core *core, const char *instance, char *err, size_t errlen)
{
	struct bpf_map *map;
	int fd, ret;

	bpf_object__for_each_map(map, core->obj)
	{
		if (loader_is_private(map))
			continue;
		fd = open_map_pin(instance, map, err, errlen);
		if (fd == -ENOENT) {
			snprintf(err, errlen,
				 CT_PIN_ROOT "/%s/%s: wrong map layout: pin is missing "
					     "(ctd --unload first)",
				 instance, bpf_map__name(map));
			return -EPROTO;
		}
		if (fd < 0)
			return fd;
		ret = bpf_map__reuse_fd(map, fd);
		close(fd);
		if (ret) {
			snprintf(err, errlen, "cannot adopt map %s: %s", bpf_map__name(map),
				 strerror(-ret));
			return ret;
		}
	}
	return 0;
}

static int map_fd(const struct bpfct_core *core, const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(core->obj, name);

	return map ? bpf_map__fd(map) : -ENOENT;
}

static int too_small(const char *what, uint32_t need, uint32_t have, char *err, size_t errlen)
{
	snprintf(err, errlen,
		 "the configured limits need %u entries in %s, the running table has %u "
		 "(lower the limits, or ctd --unload first)",
		 need, what, have);
	return -EPROTO;
}

/* May the limits of the configuration be applied to the maps that are there? */
static int check_sizes(struct bpfct_core *core, struct bpfct_sizes *s, char *err, size_t errlen)
{
	static const char *const name[] = {"ct_conn", "ct_stub", "ct_half", "ct_clock", "ct_grave"};
	uint32_t have[5], frag[2] = {0};
	char full[16];
	int i, family;

	for (family = 4; family <= 6; family += 2) {
		for (i = 0; i < 5; i++) {
			snprintf(full, sizeof(full), "%s%d_v1", name[i], family);
			if (entries(map_fd(core, full), &have[i])) {
				snprintf(err, errlen, "map %s: cannot be read", full);
				return -EPROTO;
			}
		}
		if (have[0] < s->conn_min)
			return too_small("ct_conn", s->conn_min, have[0], err, errlen);
		if (have[1] < s->stub_min && have[1] < have[0])
			return too_small("ct_stub", s->stub_min, have[1], err, errlen);
		if (have[2] != s->half_slots) {
			snprintf(
				err, errlen,
				"the configured half-open rings have %u slots, the running ones %u "
				"(ctd --unload first)",
				s->half_slots, have[2]);
			return -EPROTO;
		}
		if (have[3] < s->clock)
			return too_small("ct_clock", s->clock, have[3], err, errlen);
	}
	if (entries(map_fd(core, "frag_head_v1"), &frag[0]) ||
	    entries(map_fd(core, "frag_data_v1"), &frag[1])) {
		snprintf(err, errlen, "map frag_head_v1 or frag_data_v1: cannot be read");
		return -EPROTO;
	}
	if (frag[0] < s->frag_slots)
		return too_small("frag_head_v1", s->frag_slots, frag[0], err, errlen);
	if (frag[1] < s->frag_chunks)
		return too_small("frag_data_v1", s->frag_chunks, frag[1], err, errlen);
	s->conn = have[0];
	s->stub = have[1];
	s->clock = have[3];
	s->grave = have[4];
	return 0;
}

/* The pins structure of our own descriptors. */
static int fill_pins(struct bpfct_core *core, const char *instance)
{
	struct bpf_program *control = bpf_object__find_program_by_name(core->obj, "ct_control");
	struct bpf_program *listed = bpf_object__find_program_by_name(core->obj, "ct_sweep_listed");
	unsigned int i;
	int fd;

	snprintf(core->pins.instance, sizeof(core->pins.instance), "%s", instance ? instance : "");
	for (i = 0; i < bpfct_n_map_specs; i++) {
		const struct bpfct_map_spec *spec = &bpfct_map_specs[i];

		fd = map_fd(core, spec->name);
		if (fd < 0)
			return fd;
		if (spec->fd_off < 0)
			continue;
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return -errno;
		*(int *)((char *)&core->pins + spec->fd_off) = fd;
	}
	if (!control || !listed)
		return -ENOENT;
	core->listed_fd = bpf_program__fd(listed);
	fd = fcntl(bpf_program__fd(control), F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return -errno;
	core->pins.control_fd = fd;
	return bpfct_pins_map(&core->pins, true);
}

static int clock_read(struct bpfct_pins *p, struct ct_control *req)
{
	memset(req, 0, sizeof(*req));
	req->op = CT_CONTROL_CLOCK;
	return bpfct_control(p, req);
}

int bpfct_measure_hz(struct bpfct_pins *p, uint32_t *hz)
{
	static const uint32_t known[] = {100, 250, 300, 1000};
	struct timespec wait = {.tv_nsec = 60 * 1000 * 1000};
	struct ct_control a, b;
	double rate, off, best = 1e9;
	unsigned int i, turn;
	int ret;

	/* A CPU that was stolen in between shows a rate that is near none of them: again. */
	for (turn = 0; turn < 5; turn++) {
		ret = clock_read(p, &a);
		if (ret)
			return ret;
		nanosleep(&wait, NULL);
		ret = clock_read(p, &b);
		if (ret)
			return ret;
		if (b.ktime_ns <= a.ktime_ns)
			return -EPROTO;
		rate = (b.jiffies - a.jiffies) * 1e9 / (b.ktime_ns - a.ktime_ns);
		for (best = 1e9, i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
			off = rate > known[i] ? rate / known[i] - 1 : 1 - rate / known[i];
			if (off < best) {
				best = off;
				*hz = known[i];
			}
		}
		if (best < 0.08)
			return 0;
		wait.tv_nsec = 200 * 1000 * 1000;
	}
	return 0;
}

/* Contents of a new instance's arrays. */
static int set_defaults(struct bpfct_core *core)
{
	struct ct_settings *set = core->pins.settings;
	const struct bpfct_sizes *s = &core->sizes;
	int i, ret;

	for (i = 0; i < 256; i++)
		bpfct_default_timeouts(&core->pins.timeouts[i]);
	bpfct_table_limits(core->pins.table, s);
	core->pins.frag->slots = s->frag_slots;
	core->pins.frag->chunks = s->frag_chunks;
	core->pins.frag->timeout = FRAG_TIMEOUT;
	bpfct_frag_limits(core->pins.frag, s);
	set->fragments[0] = set->fragments[1] = FRAG_MODE_REASSEMBLE;
	core->pins.expect->limit = CT_EXPECT_LIMIT;
	core->pins.expect->master_limit = CT_EXPECT_MASTER_LIMIT;
	set->tcp_max_retrans = 3;
	set->tcp_loose = 1;
	set->checksum = 1;
	set->route_epoch = 1;
	for (i = 0; i < CT_SIDES; i++)
		set->half_size[i] = s->half[i];
	set->half_share = s->half_share;
	set->clock_size = s->clock;
	set->grave_size = s->grave;
	if (getrandom(set->secret, sizeof(set->secret), 0) != sizeof(set->secret))
		return -EIO;
	ret = bpfct_measure_hz(&core->pins, &set->hz);
	if (ret)
		return ret;
	set->abi_version = CT_ABI_VERSION;
	return 0;
}

static int check_rings(const struct bpfct_core *core, const struct bpfct_sizes *s, char *err,
		       size_t errlen)
{
	const struct ct_settings *set = core->pins.settings;
	int i;

	for (i = 0; i < CT_SIDES; i++) {
		if (set->half_size[i] == s->half[i])
			continue;
		snprintf(err, errlen,
			 "half-open ring %d is configured with %u slots, the running one has %u "
			 "(ctd --unload first)",
			 i, s->half[i], set->half_size[i]);
		return -EPROTO;
	}
	return 0;
}

/* What only the contents of adopted arrays can tell. */
static int check_adopted(struct bpfct_core *core, char *err, size_t errlen)
{
	const struct ct_settings *set = core->pins.settings;

	if (set->abi_version != CT_ABI_VERSION || !set->hz) {
		snprintf(err, errlen,
			 "instance '%s': wrong map layout: ABI version %u, this ctd has %d "
			 "(ctd --unload first)",
			 core->pins.instance, set->abi_version, CT_ABI_VERSION);
		return -EPROTO;
	}
	return check_rings(core, &core->sizes, err, errlen);
}

static unsigned int possible_cpus(void)
{
	int cpus = libbpf_num_possible_cpus();

	return cpus < 1 ? 1 : cpus;
}

int bpfct_core_fit(struct bpfct_core *core, const struct bpfct_limits *limits,
		   struct bpfct_sizes *out, char *err, size_t errlen)
{
	int ret = bpfct_sizes(limits, possible_cpus(), out, err, errlen);

	if (!ret)
		ret = check_sizes(core, out, err, errlen);
	if (!ret)
		ret = check_rings(core, out, err, errlen);
	return ret;
}

static int attach_iterators(struct bpfct_core *core)
{
	union bpf_iter_link_info info = {0};
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));
	struct bpf_program *prog;
	struct bpf_link *link;
	const int n = BPFCT_LINKS;
	int i;

	for (i = 0; i < n + 2; i++) {
		prog = bpf_object__find_program_by_name(core->obj, i < n ? sweep_prog[i]
									 : loader_dump_prog[i - n]);
		if (!prog)
			return -ENOENT;
		info.map.map_fd = map_fd(core, sweep_map[i < n ? i : i - n]);
		link = bpf_program__attach_iter(prog, &opts);
		if (!link)
			return -errno;
		*(i < n ? &core->sweep[i] : &core->dump[i - n]) = link;
	}
	return 0;
}

int bpfct_sweep_listed(int prog_fd, struct ct_sweep_req *req)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = req, .ctx_size_in = sizeof(*req));
	int ret = bpf_prog_test_run_opts(prog_fd, &opts);

	if (ret)
		return ret < 0 ? ret : -errno;
	return (int)opts.retval;
}

static int open_object(struct bpfct_core *core, const char *instance, char *err, size_t errlen)
{
	struct ct_core *skel;
	int ret;

	skel = ct_core__open();
	if (!skel) {
		ret = -errno;
		snprintf(err, errlen, "cannot open the BPF object: %s", strerror(-ret));
		return ret;
	}
	core->skel = skel;
	core->obj = skel->obj;
	ret = bpfct_object_size(core->obj, &core->sizes);
	if (ret) {
		snprintf(err, errlen, "cannot size the maps: %s", strerror(-ret));
		return ret;
	}
	if (core->adopted)
		ret = adopt_maps(core, instance, err, errlen);
	if (!ret && core->adopted)
		ret = check_sizes(core, &core->sizes, err, errlen);
	return ret;
}

int bpfct_core_load(struct bpfct_core *core, const char *instance,
		    const struct bpfct_limits *limits, char *err, size_t errlen)
{
	int ret;

	memset(core, 0, sizeof(*core));
	bpfct_pins_init(&core->pins);
	ret = bpfct_sizes(limits, possible_cpus(), &core->sizes, err, errlen);
	if (ret)
		return ret;
	if (instance) {
		ret = loader_instance_exists(instance, err, errlen);
		if (ret < 0)
			return ret;
		core->adopted = core->pinned = ret;
	}
	ret = open_object(core, instance, err, errlen);
	if (ret)
		goto out;
	ret = ct_core__load(core->skel);
	if (ret) {
		snprintf(err, errlen, "cannot load the BPF programs: %s (ctd -v shows why)",
			 strerror(-ret));
		goto out;
	}
	ret = fill_pins(core, instance);
	if (!ret && !core->adopted)
		ret = set_defaults(core);
	if (!ret)
		ret = attach_iterators(core);
	if (ret) {
		snprintf(err, errlen, "cannot set up the loaded maps: %s", strerror(-ret));
		goto out;
	}
	if (core->adopted)
		ret = check_adopted(core, err, errlen);
out:
	if (ret)
		bpfct_core_close(core);
	return ret;
}

int bpfct_core_share(struct bpfct_core *core, struct bpf_object *obj, char *err, size_t errlen)
{
	struct bpf_map *map;
	int fd, ret;

	ret = bpfct_object_size(obj, &core->sizes);
	if (ret) {
		snprintf(err, errlen, "cannot size the maps: %s", strerror(-ret));
		return ret;
	}
	bpf_object__for_each_map(map, obj)
	{
		if (loader_is_private(map))
			continue;
		fd = map_fd(core, bpf_map__name(map));
		if (fd >= 0) {
			ret = bpf_map__reuse_fd(map, fd);
		} else if (core->pinned) {
			fd = open_map_pin(core->pins.instance, map, err, errlen);
			if (fd == -ENOENT)
				continue;
			if (fd < 0)
				return fd;
			ret = bpf_map__reuse_fd(map, fd);
			close(fd);
		}
		if (ret) {
			snprintf(err, errlen, "cannot share map %s: %s", bpf_map__name(map),
				 strerror(-ret));
			return ret;
		}
	}
	return 0;
}

void bpfct_core_close(struct bpfct_core *core)
{
	int i;

	for (i = 0; i < BPFCT_LINKS; i++)
		bpf_link__destroy(core->sweep[i]);
	for (i = 0; i < 2; i++)
		bpf_link__destroy(core->dump[i]);
	bpfct_pins_close(&core->pins);
	ct_core__destroy(core->skel);
	memset(core, 0, sizeof(*core));
	bpfct_pins_init(&core->pins); /* descriptors that are none, and not 0 */
}
