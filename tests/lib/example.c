// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * example tc|xdp OBJECT INSTANCE NAMESPACE INSIDE OUTSIDE
 *
 * Does for a consumer of bpf/ct_path.h what ctd does for the firewall: loads and
 * pins the core's maps as INSTANCE, loads OBJECT on the same maps, and attaches
 * its programs `inside` and `outside` to those two devices of the namespace.
 * Says "ready", and takes everything away when it is terminated.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "userspace/lib/loader.h"

static int fail(const char *what, int err)
{
	fprintf(stderr, "example: %s: %s\n", what, strerror(err < 0 ? -err : err));
	return 1;
}

static int enter(const char *netns)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		return -errno;
	close(fd);
	return 0;
}

static int attach(struct bpf_object *obj, const char *name, const char *device, bool xdp)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = if_nametoindex(device),
			    .attach_point = BPF_TC_INGRESS);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1);
	struct bpf_program *prog = bpf_object__find_program_by_name(obj, name);
	int ret;

	if (!prog)
		return -ENOENT;
	if (xdp)
		return bpf_xdp_attach(hook.ifindex, bpf_program__fd(prog), XDP_FLAGS_DRV_MODE,
				      NULL);
	ret = bpf_tc_hook_create(&hook);
	if (ret && ret != -EEXIST)
		return ret;
	opts.prog_fd = bpf_program__fd(prog);
	return bpf_tc_attach(&hook, &opts);
}

static void detach(const char *device, bool xdp)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = if_nametoindex(device),
			    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);

	if (xdp)
		bpf_xdp_detach(hook.ifindex, XDP_FLAGS_DRV_MODE, NULL);
	else
		bpf_tc_hook_destroy(&hook);
}

int main(int argc, char **argv)
{
	struct bpfct_limits limits = {0};
	struct bpfct_core core = {0};
	struct bpf_object *obj;
	char err[256] = "";
	sigset_t end;
	bool xdp;
	int ret, number;

	if (argc != 7)
		return 2;
	xdp = !strcmp(argv[1], "xdp");
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigaddset(&end, SIGINT);
	sigprocmask(SIG_BLOCK, &end, NULL);
	ret = enter(argv[4]);
	if (ret)
		return fail(argv[4], ret);
	ret = bpfct_core_load(&core, argv[3], &limits, err, sizeof(err));
	if (ret)
		return fail(err, ret);
	obj = bpf_object__open(argv[2]);
	if (!obj)
		return fail(argv[2], errno);
	ret = bpfct_core_share(&core, obj, err, sizeof(err));
	if (ret)
		return fail(err, ret);
	ret = bpf_object__load(obj);
	if (ret)
		return fail("load", ret);
	ret = bpfct_core_pin(&core, err, sizeof(err));
	if (ret)
		return fail(err, ret);
	ret = attach(obj, "inside", argv[5], xdp);
	if (!ret)
		ret = attach(obj, "outside", argv[6], xdp);
	if (ret) {
		fail("attach", ret);
	} else {
		printf("ready\n");
		fflush(stdout);
		sigwait(&end, &number);
	}
	detach(argv[5], xdp);
	detach(argv[6], xdp);
	bpf_object__close(obj);
	bpfct_core_close(&core);
	if (bpfct_unpin(argv[3], err, sizeof(err)))
		fprintf(stderr, "example: %s\n", err);
	return !!ret;
}
