// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "tcx.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "../lib/pins.h"

/* enum bpf_attach_type since Linux 6.6; Debian 12's header ends before. */
#define TCX_INGRESS  46
#define TCX_PROG_MAX 64 /* the kernel's own limit of programs a side */

static const char *const side[2] = {"tcx_in_", "tcx_out_"};

static void pin_path(char path[BPFCT_PATH_MAX], const char *instance, uint32_t ifindex, bool egress)
{
	char name[32];

	snprintf(name, sizeof(name), "%s%u", side[egress], ifindex);
	bpfct_pin_path(path, instance, name);
}

/* What the kernel says of a link; its interface is 0 when that is gone or the
 * link was detached. */
static int link_info(int link, uint32_t *prog_id, uint32_t *ifindex)
{
	struct bpf_link_info info = {0};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(link, &info, &len))
		return -errno;
	*prog_id = info.prog_id;
	*ifindex = info.xdp.ifindex; /* where tcx.ifindex is, which the header lacks */
	return 0;
}

/* Is the link on the interface with that index in *this* namespace? One that
 * moved away may have kept its index. */
static bool link_is_here(int link, uint32_t ifindex, bool egress)
{
	uint32_t id[TCX_PROG_MAX], n = TCX_PROG_MAX, prog_id = 0, on = 0, i;

	if (link_info(link, &prog_id, &on) || on != ifindex)
		return false;
	if (bpf_prog_query(ifindex, TCX_INGRESS + egress, 0, NULL, id, &n))
		return false;
	for (i = 0; i < n; i++)
		if (id[i] == prog_id)
			return true;
	return false;
}

static void drop_side(const char *instance, uint32_t ifindex, bool egress)
{
	char path[BPFCT_PATH_MAX];
	int link;

	pin_path(path, instance, ifindex, egress);
	link = bpf_obj_get(path);
	if (link < 0)
		return;
	/* Without this the program runs until the kernel's worker frees the link. */
	bpf_link_detach(link);
	unlink(path);
	close(link);
}

static int create(const char *path, uint32_t ifindex, bool egress, int prog)
{
	int link, ret = 0;

	link = bpf_link_create(prog, ifindex, TCX_INGRESS + egress, NULL);
	if (link < 0)
		return -errno;
	if (bpf_obj_pin(link, path))
		ret = -errno;
	close(link);
	return ret;
}

int tcx_attach(const char *instance, uint32_t ifindex, bool egress, int prog)
{
	uint32_t n = 0;
	char path[BPFCT_PATH_MAX];
	int link, ret;

	/* EINVAL: an attach type that this kernel does not know. */
	if (bpf_prog_query(ifindex, TCX_INGRESS + egress, 0, NULL, NULL, &n))
		return errno == EINVAL ? -EOPNOTSUPP : -errno;
	pin_path(path, instance, ifindex, egress);
	link = bpf_obj_get(path);
	if (link >= 0) {
		ret = link_is_here(link, ifindex, egress) && !bpf_link_update(link, prog, NULL);
		close(link);
		if (ret)
			return 0;
		drop_side(instance, ifindex, egress);
	}
	return create(path, ifindex, egress, prog);
}

bool tcx_attached(const char *instance, uint32_t ifindex)
{
	char path[BPFCT_PATH_MAX];
	uint32_t prog_id, on = 0;
	int egress, link;

	for (egress = 0; egress < 2; egress++) {
		pin_path(path, instance, ifindex, egress);
		link = bpf_obj_get(path);
		if (link < 0)
			return false;
		if (link_info(link, &prog_id, &on))
			on = 0;
		close(link);
		if (on != ifindex)
			return false;
	}
	return true;
}

bool tcx_present(const char *instance, uint32_t ifindex)
{
	char path[BPFCT_PATH_MAX];
	bool here = true;
	int egress, link;

	for (egress = 0; egress < 2 && here; egress++) {
		pin_path(path, instance, ifindex, egress);
		link = bpf_obj_get(path);
		here = link >= 0 && link_is_here(link, ifindex, egress);
		if (link >= 0)
			close(link);
	}
	return here;
}

void tcx_detach(const char *instance, uint32_t ifindex)
{
	drop_side(instance, ifindex, false);
	drop_side(instance, ifindex, true);
}

static bool among(uint32_t x, const uint32_t *v, unsigned int n)
{
	while (n--)
		if (v[n] == x)
			return true;
	return false;
}

/* The interface of a pin that is not in ifindex[0..n); 0: there is none. */
static uint32_t find_other(const char *instance, const uint32_t *ifindex, unsigned int n)
{
	char path[BPFCT_PATH_MAX];
	uint32_t index, found = 0;
	struct dirent *entry;
	DIR *dir;
	int i;

	bpfct_pin_path(path, instance, NULL);
	dir = opendir(path);
	if (!dir)
		return 0;
	while (!found && (entry = readdir(dir)))
		for (i = 0; i < 2; i++) {
			if (strncmp(entry->d_name, side[i], strlen(side[i])))
				continue;
			index = strtoul(entry->d_name + strlen(side[i]), NULL, 10);
			if (!among(index, ifindex, n))
				found = index;
		}
	closedir(dir);
	return found;
}

/* One look at the directory a pin: a walk may skip entries while others go. */
void tcx_detach_others(const char *instance, const uint32_t *ifindex, unsigned int n)
{
	uint32_t index, last = 0;

	while ((index = find_other(instance, ifindex, n)) && index != last) {
		tcx_detach(instance, index);
		last = index;
	}
}
