// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "firewall.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "consumers/firewall/fw_tc.skel.h"

struct firewall {
	struct fw_tc *skel;
	struct fw_fds fds;
	int prog[2][2]; /* [no link header][egress] */
};

static int map_fd(const struct firewall *fw, const char *name)
{
	return bpf_object__find_map_fd_by_name(fw->skel->obj, name);
}

static int prog_fd(const struct firewall *fw, const char *name)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(fw->skel->obj, name);

	return prog ? bpf_program__fd(prog) : -ENOENT;
}

static int find_fds(struct firewall *fw)
{
	fw->fds.config = map_fd(fw, "fw_config_v1");
	fw->fds.rule = map_fd(fw, "fw_rule_v1");
	fw->fds.nat = map_fd(fw, "fw_nat_v1");
	fw->fds.hit = map_fd(fw, "fw_hit_v1");
	fw->fds.iface = map_fd(fw, "fw_iface_v1");
	fw->prog[0][0] = prog_fd(fw, "fw_ingress");
	fw->prog[0][1] = prog_fd(fw, "fw_egress");
	fw->prog[1][0] = prog_fd(fw, "fw_ingress_l3");
	fw->prog[1][1] = prog_fd(fw, "fw_egress_l3");
	if (fw->fds.config < 0 || fw->fds.rule < 0 || fw->fds.nat < 0 || fw->fds.hit < 0 ||
	    fw->fds.iface < 0 || fw->prog[0][0] < 0 || fw->prog[0][1] < 0 || fw->prog[1][0] < 0 ||
	    fw->prog[1][1] < 0)
		return -ENOENT;
	return 0;
}

int firewall_start(struct ctd *d)
{
	struct firewall *fw = calloc(1, sizeof(*fw));
	char err[256];
	int ret;

	if (!fw)
		return -ENOMEM;
	d->fw = fw;
	fw->skel = fw_tc__open();
	if (!fw->skel) {
		ret = -errno;
		log_fail("cannot open the firewall's BPF object: %s", strerror(-ret));
		return ret;
	}
	ret = bpfct_core_share(&d->core, fw->skel->obj, err, sizeof(err));
	if (ret) {
		log_fail("%s", err);
		return ret;
	}
	ret = fw_tc__load(fw->skel);
	if (!ret)
		ret = find_fds(fw);
	if (ret)
		log_fail("cannot load the firewall's BPF programs: %s (ctd -v shows why)",
			 strerror(-ret));
	return ret;
}

int firewall_pin(struct ctd *d)
{
	char err[256];
	int ret;

	ret = bpfct_core_pin_maps(&d->core, d->fw->skel->obj, err, sizeof(err));
	if (ret)
		log_fail("%s", err);
	return ret;
}

void firewall_stop(struct ctd *d)
{
	if (!d->fw)
		return;
	fw_tc__destroy(d->fw->skel);
	free(d->fw);
	d->fw = NULL;
}

const struct fw_fds *firewall_fds(const struct ctd *d)
{
	return &d->fw->fds;
}

int firewall_prog(const struct ctd *d, bool egress, bool no_l2)
{
	return d->fw->prog[no_l2][egress];
}
