// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "firewall.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "consumers/firewall/fw_tc.skel.h"

/* Programs by [no link header][egress]. */
static const char *const prog_name[2][2] = {{"fw_ingress", "fw_egress"},
					    {"fw_ingress_l3", "fw_egress_l3"}};

struct firewall {
	struct fw_tc *skel[2]; /* 1: for devices without a link header, NULL until there is one */
	struct fw_fds fds;
	int prog[2][2];
};

static int map_fd(const struct firewall *fw, const char *name)
{
	return bpf_object__find_map_fd_by_name(fw->skel[0]->obj, name);
}

static int find_maps(struct firewall *fw)
{
	fw->fds.config = map_fd(fw, "fw_config_v1");
	fw->fds.rule = map_fd(fw, "fw_rule_v2");
	fw->fds.nat = map_fd(fw, "fw_nat_v2");
	fw->fds.hit = map_fd(fw, "fw_hit_v1");
	fw->fds.iface = map_fd(fw, "fw_iface_v2");
	fw->fds.near = map_fd(fw, "fw_near_v2");
	fw->fds.table = map_fd(fw, "fw_table_v1");
	fw->fds.over = map_fd(fw, "fw_over_v1");
	fw->fds.alg = map_fd(fw, "fw_alg_v1");
	if (fw->fds.alg < 0 || fw->fds.table < 0 || fw->fds.over < 0 || fw->fds.config < 0 ||
	    fw->fds.rule < 0 || fw->fds.nat < 0 || fw->fds.hit < 0 || fw->fds.iface < 0 ||
	    fw->fds.near < 0)
		return -ENOENT;
	return 0;
}

/* Opens the object once more with only the programs of one kind. */
static int open_kind(struct firewall *fw, bool no_l2)
{
	struct bpf_program *prog;
	struct fw_tc *skel = fw_tc__open();
	const char *name;

	if (!skel)
		return -errno;
	fw->skel[no_l2] = skel;
	bpf_object__for_each_program(prog, skel->obj)
	{
		name = bpf_program__name(prog);
		if (strcmp(name, prog_name[no_l2][0]) && strcmp(name, prog_name[no_l2][1]))
			bpf_program__set_autoload(prog, false);
	}
	return 0;
}

static int load_kind(struct firewall *fw, bool no_l2)
{
	struct bpf_program *prog;
	int egress, ret;

	ret = fw_tc__load(fw->skel[no_l2]);
	for (egress = 0; egress < 2 && !ret; egress++) {
		prog = bpf_object__find_program_by_name(fw->skel[no_l2]->obj,
							prog_name[no_l2][egress]);
		fw->prog[no_l2][egress] = prog ? bpf_program__fd(prog) : -ENOENT;
		if (fw->prog[no_l2][egress] < 0)
			ret = fw->prog[no_l2][egress];
	}
	return ret;
}

/* The firewall's own maps are those of the first object. */
static int share_own_maps(struct firewall *fw, struct bpf_object *obj)
{
	struct bpf_map *map;
	int fd, ret;

	bpf_object__for_each_map(map, obj)
	{
		if (strncmp(bpf_map__name(map), "fw_", 3))
			continue;
		fd = map_fd(fw, bpf_map__name(map));
		if (fd < 0 && strchr(bpf_map__name(map), '.')) /* another object's .bss */
			continue;
		ret = fd < 0 ? fd : bpf_map__reuse_fd(map, fd);
		if (ret)
			return ret;
	}
	return 0;
}

int firewall_share(struct ctd *d, struct bpf_object *obj)
{
	char err[256] = "";
	int ret = bpfct_core_share(&d->core, obj, err, sizeof(err));

	if (!ret)
		ret = share_own_maps(d->fw, obj);
	if (ret)
		log_event(LOG_FAULT, "share", "error=\"%s\"", err[0] ? err : strerror(-ret));
	return ret;
}

static int load_l3(struct ctd *d)
{
	struct firewall *fw = d->fw;
	char err[256] = "";
	int ret;

	ret = open_kind(fw, true);
	if (!ret)
		ret = bpfct_core_share(&d->core, fw->skel[1]->obj, err, sizeof(err));
	if (!ret)
		ret = share_own_maps(fw, fw->skel[1]->obj);
	if (!ret)
		ret = load_kind(fw, true);
	if (ret) {
		log_event(LOG_FAULT, "load_l3", "error=\"%s\"", err[0] ? err : strerror(-ret));
		fw_tc__destroy(fw->skel[1]);
		fw->skel[1] = NULL;
	}
	return ret;
}

int firewall_start(struct ctd *d)
{
	struct firewall *fw = calloc(1, sizeof(*fw));
	char err[256];
	int ret;

	if (!fw)
		return -ENOMEM;
	d->fw = fw;
	ret = open_kind(fw, false);
	if (ret) {
		log_fail("cannot open the firewall's BPF object: %s", strerror(-ret));
		return ret;
	}
	ret = bpfct_core_share(&d->core, fw->skel[0]->obj, err, sizeof(err));
	if (ret) {
		log_fail("%s", err);
		return ret;
	}
	ret = load_kind(fw, false);
	if (!ret)
		ret = find_maps(fw);
	if (ret)
		log_fail("cannot load the firewall's BPF programs: %s (ctd -v shows why)",
			 strerror(-ret));
	return ret;
}

int firewall_pin(struct ctd *d)
{
	char err[256];
	int ret;

	ret = bpfct_core_pin_maps(&d->core, d->fw->skel[0]->obj, err, sizeof(err));
	if (ret)
		log_fail("%s", err);
	return ret;
}

void firewall_stop(struct ctd *d)
{
	if (!d->fw)
		return;
	fw_tc__destroy(d->fw->skel[1]);
	fw_tc__destroy(d->fw->skel[0]);
	free(d->fw);
	d->fw = NULL;
}

const struct fw_fds *firewall_fds(const struct ctd *d)
{
	return &d->fw->fds;
}

int firewall_prog(struct ctd *d, bool egress, bool no_l2)
{
	int ret = 0;

	if (!d->fw->skel[no_l2])
		ret = load_l3(d);
	return ret ? ret : d->fw->prog[no_l2][egress];
}
