// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The way back of ctd's own: the execute device (alg_io.h). */
#include "alg_way.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <net/if.h>

#include "alg_conn.h"
#include "rules.h"

#define DEVICE	    "ctalg"
#define TCX_INGRESS 46

bool alg_is_device(const char *name)
{
	return !strncmp(name, DEVICE, strlen(DEVICE));
}

/* No addresses, so no neighbour discovery of the kernel's on it. */
static void no_ipv6(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, "1", 1) != 1)
		log_event(LOG_TRACE, "alg_device", "error=\"%s: %s\"", path, strerror(errno));
	close(fd);
}

static int bring_up(const char *name)
{
	struct ifreq ifr = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret = 0;

	if (fd < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, SIOCGIFFLAGS, &ifr))
		ret = -errno;
	ifr.ifr_flags |= IFF_UP | IFF_NOARP;
	if (!ret && ioctl(fd, SIOCSIFFLAGS, &ifr))
		ret = -errno;
	close(fd);
	return ret;
}

/* The program that lets packets in again: by TCX, or the qdisc, which dies with the device. */
static int attach_execute(struct ctd *d, struct alg *a)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(d->core.obj, "ct_execute");
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = a->ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1);
	int ret;

	if (!prog)
		return -ENOENT;
	a->link = d->opt.clsact
			  ? -1
			  : bpf_link_create(bpf_program__fd(prog), a->ifindex, TCX_INGRESS, NULL);
	if (a->link >= 0)
		return 0;
	ret = bpf_tc_hook_create(&hook);
	if (ret && ret != -EEXIST)
		return ret;
	opts.prog_fd = bpf_program__fd(prog);
	return bpf_tc_attach(&hook, &opts);
}

void alg_way_close(struct ctd *d)
{
	struct alg *a = d->alg;

	if (a->link >= 0)
		close(a->link);
	if (a->tap >= 0)
		close(a->tap); /* and the device is gone */
	a->link = a->tap = -1;
}

int alg_way_open(struct ctd *d)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	struct alg *a = d->alg;
	int ret;

	a->tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (a->tap < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), DEVICE "%%d");
	if (ioctl(a->tap, TUNSETIFF, &ifr)) {
		ret = -errno;
		alg_way_close(d);
		return ret;
	}
	no_ipv6(ifr.ifr_name);
	a->ifindex = if_nametoindex(ifr.ifr_name);
	/* Nothing is sent out by it. Closed until the program is there. */
	ret = a->ifindex ? attach_execute(d, a) : -errno;
	if (!ret)
		ret = bring_up(ifr.ifr_name);
	if (ret)
		alg_way_close(d);
	else
		log_event(LOG_INFO, "alg_device", "interface=%s ifindex=%u", ifr.ifr_name,
			  a->ifindex);
	return ret;
}

bool alg_way_wanted(const struct ctd *d)
{
	return rules_compiled(d)->n_algs;
}

/* On a gateway nothing is open before the peer has agreed. */
bool alg_way_port_at_once(const struct ctd *d)
{
	(void)d;
	return false;
}

int alg_way_enter(struct ctd *d, uint32_t mark, struct alg_exec *e)
{
	return bpf_map_update_elem(d->core.pins.algexec_fd, &mark, e, BPF_ANY) ? -errno : 0;
}

/* The mark where the link header's addresses stand, which the program puts back. */
int alg_way_send(struct ctd *d, uint32_t mark, uint8_t *frame, size_t len)
{
	memset(frame, 0, 2 * ETH_ALEN);
	memcpy(frame, &mark, sizeof(mark));
	return write(d->alg->tap, frame, len) == (ssize_t)len ? 0 : -errno;
}
