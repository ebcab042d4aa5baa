// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ovsplay.h"

struct ovs_config *ovs_config;
struct ovs_port *ovs_ports;
struct ovs_key *ovs_masks;
struct ovs_flow *ovs_flows;
struct ovs_action *ovs_actions;
struct ovs_meter *ovs_meters;
unsigned int ovs_ifindex[OVS_TEST_PORTS + 1];
int ovs_match_fd, ovs_alg_fd;
struct ovs_hook ovs_hook;
bool ovs_complete;

static struct bpf_object *obj;
static int port_fd, hook_fd, stat_fd, peer_fd[OVS_TEST_PORTS + 1];
static struct ring_buffer *ring;
static unsigned int n_flows, n_masks, n_actions, exec_ifindex;
static struct ovs_upcall *waiting[64];
static unsigned int n_waiting, taken;

static void *map_of(const char *name, size_t entry)
{
	struct bpf_map *m = bpf_object__find_map_by_name(obj, name);
	size_t step = (entry + 7) / 8 * 8, size = step * bpf_map__max_entries(m);
	void *p = mmap(NULL, (size + 4095) & ~4095UL, PROT_READ | PROT_WRITE, MAP_SHARED,
		       bpf_map__fd(m), 0);

	if (p == MAP_FAILED) {
		print_error("cannot map %s\n", name);
		exit(1);
	}
	return p;
}

static void sh(const char *command)
{
	if (system(command)) {
		print_error("failed: %s\n", command);
		exit(1);
	}
}

static int open_peer(const char *name)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ALL),
				 .sll_ifindex = if_nametoindex(name)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void make_devices(void)
{
	char command[512];

	if (unshare(CLONE_NEWNET))
		exit(1);
	sh("sysctl -qw net.ipv6.conf.default.disable_ipv6=1");
	sh("ip link add exec0 mtu 65535 type veth peer name exec1 mtu 65535 && "
	   "ip link set exec0 up && ip link set exec1 up");
	for (int i = 1; i <= OVS_TEST_PORTS; i++) {
		snprintf(command, sizeof(command),
			 "ip link add p%d type veth peer name q%d && ip link set p%d up && "
			 "ip link set q%d up",
			 i, i, i, i);
		sh(command);
		snprintf(command, sizeof(command), "p%d", i);
		ovs_ifindex[i] = if_nametoindex(command);
		command[0] = 'q';
		peer_fd[i] = open_peer(command);
	}
	exec_ifindex = if_nametoindex("exec0");
}

static int on_upcall(void *ctx, void *data, size_t size)
{
	const struct ovs_upcall *u = data;

	(void)ctx;
	if (n_waiting < sizeof(waiting) / sizeof(*waiting)) {
		waiting[n_waiting] = malloc(size);
		memcpy(waiting[n_waiting++], data, size);
	}
	if (u->key.in_port <= OVS_TEST_PORTS)
		ovs_ports[u->key.in_port].done += u->size;
	return 0;
}

static void attach_execute(void)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = exec_ifindex, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog(obj, "ovs_execute"));

	assert_int_equal(bpf_tc_hook_create(&hook), 0);
	assert_int_equal(bpf_tc_attach(&hook, &opts), 0);
}

static void set_ports(void)
{
	uint64_t *near = map_of("ovs_near_v1", sizeof(*near));

	for (uint32_t i = 1; i <= OVS_TEST_PORTS; i++) {
		ovs_ports[i] = (struct ovs_port){.ifindex = ovs_ifindex[i], .flags = OVS_PORT_LIVE};
		near[ovs_ifindex[i]] = i + 1;
	}
	munmap(near, OVS_NEAR * 8);
}

int ovs_up(void **state)
{
	make_devices();
	if (core_up(state))
		return -1;
	obj = open_shared("ovs_hooks.bpf.o");
	port_fd = prog(obj, "ovs_port");
	hook_fd = bpf_object__find_map_fd_by_name(obj, "hook_case_v1");
	stat_fd = bpf_object__find_map_fd_by_name(obj, "ovs_stat_v1");
	ovs_match_fd = bpf_object__find_map_fd_by_name(obj, "ovs_match_v1");
	ovs_alg_fd = bpf_object__find_map_fd_by_name(obj, "ovs_alg_v1");
	ovs_config = map_of("ovs_config_v1", sizeof(*ovs_config));
	ovs_ports = map_of("ovs_port_v1", sizeof(*ovs_ports));
	ovs_masks = map_of("ovs_mask_v1", sizeof(*ovs_masks));
	ovs_flows = map_of("ovs_flow_v1", sizeof(*ovs_flows));
	ovs_actions = map_of("ovs_action_v1", sizeof(*ovs_actions));
	ovs_meters = map_of("ovs_meter_v1", sizeof(*ovs_meters));
	ring = ring_buffer__new(bpf_object__find_map_fd_by_name(obj, "ovs_ring0_v2"), on_upcall,
				NULL, NULL);
	assert_non_null(ring);
	attach_execute();
	return 0;
}

int ovs_down(void **state)
{
	ring_buffer__free(ring);
	bpf_object__close(obj);
	for (int i = 1; i <= OVS_TEST_PORTS; i++)
		close(peer_fd[i]);
	return core_down(state);
}

static void drain(void)
{
	uint8_t frame[64];

	ring_buffer__consume(ring);
	while (n_waiting)
		free(waiting[--n_waiting]);
	taken = 0;
	for (uint32_t i = 1; i <= OVS_TEST_PORTS; i++)
		while (recv(peer_fd[i], frame, sizeof(frame), MSG_DONTWAIT) > 0)
			;
}

void ovs_flush(void)
{
	struct ovs_match m;
	unsigned int i;

	while (!bpf_map_get_next_key(ovs_match_fd, NULL, &m))
		bpf_map_delete_elem(ovs_match_fd, &m);
	for (i = 0; i < OVS_EXECS + n_flows; i++)
		memset(&ovs_flows[i], 0, sizeof(*ovs_flows));
	memset(ovs_masks, 0, n_masks * sizeof(*ovs_masks));
	memset(ovs_actions, 0, (n_actions + 1) * sizeof(*ovs_actions));
	memset(ovs_meters, 0, 2 * sizeof(*ovs_meters));
	n_flows = n_masks = n_actions = 0;
	*ovs_config = (struct ovs_config){.abi_version = OVS_ABI_VERSION,
					  .exec_ifindex = exec_ifindex,
					  .upcall_quota = 1 << 20};
	set_ports();
	drain();
	ovs_ports[1].sent = ovs_ports[1].done = 0;
}

int ovs_reset(void **state)
{
	memset(&ovs_hook, 0, sizeof(ovs_hook));
	ovs_flush();
	return reset(state);
}

/* The slot of a mask, known to the flow's port. */
static uint32_t mask_of(const struct ovs_key *mask, uint32_t in_port)
{
	struct ovs_port *p = &ovs_ports[in_port];
	uint32_t i, j;

	for (i = 0; i < n_masks; i++)
		if (!memcmp(&ovs_masks[i], mask, sizeof(*mask)))
			break;
	if (i == n_masks)
		ovs_masks[n_masks++] = *mask;
	for (j = 0; j < p->n_masks; j++)
		if (p->mask[j] == i)
			return i;
	assert_true(p->n_masks < OVS_PORT_MASKS);
	p->mask[p->n_masks++] = i;
	return i;
}

uint32_t ovs_flow_put(struct ovs_key key, struct ovs_key mask, const struct ovs_action *a,
		      unsigned int n)
{
	uint8_t *k = (uint8_t *)&key, *m = (uint8_t *)&mask;
	uint32_t slot = OVS_EXECS + n_flows++;
	struct ovs_flow *f = &ovs_flows[slot];
	struct ovs_match match = {0};

	mask.in_port = mask.recirc_id = 0xffffffff;
	for (size_t i = 0; i < sizeof(key); i++)
		k[i] &= m[i];
	memset(f, 0, sizeof(*f));
	f->key = match.key = key;
	f->mask = match.mask = mask_of(&mask, key.in_port);
	f->n_actions = n;
	for (unsigned int i = 0; i < n && i < OVS_FLOW_ACTIONS; i++) {
		ovs_actions[++n_actions] = a[i];
		f->action[i] = n_actions;
	}
	f->live = 1;
	assert_int_equal(bpf_map_update_elem(ovs_match_fd, &match, &slot, BPF_ANY), 0);
	return slot;
}

uint32_t ovs_flow_all(uint32_t in_port, uint32_t recirc_id, const struct ovs_action *a,
		      unsigned int n)
{
	struct ovs_key key = {.in_port = in_port, .recirc_id = recirc_id}, mask = {0};

	return ovs_flow_put(key, mask, a, n);
}

static struct ovs_run run(int fd, const uint8_t *frame, size_t len, struct __sk_buff *in)
{
	struct ovs_run r = {0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len,
		    .data_out = r.out, .data_size_out = sizeof(r.out), .repeat = 1, .ctx_in = in,
		    .ctx_size_in = sizeof(*in), .ctx_out = &r.ctx, .ctx_size_out = sizeof(r.ctx));
	struct ovs_hook hook;
	uint32_t zero = 0;

	assert_int_equal(bpf_map_update_elem(hook_fd, &zero, &ovs_hook, BPF_ANY), 0);
	assert_int_equal(
		ovs_complete ? run_summed(fd, &opts, true) : bpf_prog_test_run_opts(fd, &opts), 0);
	assert_int_equal(bpf_map_lookup_elem(hook_fd, &zero, &hook), 0);
	r.hook = hook;
	r.action = opts.retval;
	r.len = opts.data_size_out;
	r.ifindex = r.action == TC_ACT_REDIRECT ? hook.ifindex : 0;
	return r;
}

struct ovs_run ovs_run(uint32_t port, const uint8_t *frame, size_t len, const struct __sk_buff *ctx)
{
	struct __sk_buff in = ctx ? *ctx : (struct __sk_buff){0};

	in.ifindex = ovs_ifindex[port];
	return run(port_fd, frame, len, &in);
}

struct ovs_run ovs_run_token(uint32_t token, const uint8_t *frame, size_t len)
{
	struct __sk_buff in = {.ifindex = exec_ifindex, .mark = token};

	return run(prog(obj, "ovs_execute"), frame, len, &in);
}

struct ovs_run ovs_packet(uint32_t port, const struct packet *p)
{
	uint8_t frame[600];

	return ovs_run(port, frame, build(frame, p), NULL);
}

static void same(const uint8_t *got, size_t n, const struct packet *want, int line)
{
	uint8_t frame[600];
	size_t len = build(frame, want);

	if (n == len && !memcmp(got, frame, n))
		return;
	dump("out", got, n);
	dump("want", frame, len);
	fail_msg("line %d: not the packet wanted", line);
}

void ovs_wants(uint32_t in, const struct packet *p, uint32_t out, const struct packet *want,
	       int line)
{
	struct ovs_run r = ovs_packet(in, p);

	if (r.action != TC_ACT_REDIRECT || r.ifindex != ovs_ifindex[out])
		fail_msg("line %d: action %d to %u, not a redirect to %u", line, r.action,
			 r.ifindex, ovs_ifindex[out]);
	if (want)
		same(r.out, r.len, want, line);
}

void ovs_wants_drop(uint32_t in, const struct packet *p, enum ct_drop reason, int line)
{
	uint64_t before = drops(reason);
	struct ovs_run r = ovs_packet(in, p);

	if (r.action != TC_ACT_SHOT)
		fail_msg("line %d: action %d to %u, not a drop", line, r.action, r.ifindex);
	if (drops(reason) != before + 1)
		fail_msg("line %d: %s counted %ld times", line, bpfct_drop_text(reason),
			 (long)(drops(reason) - before));
}

size_t ovs_peer(uint32_t port, uint8_t *frame, size_t room, int ms)
{
	struct pollfd p = {.fd = peer_fd[port], .events = POLLIN};
	ssize_t n;

	if (poll(&p, 1, ms) != 1)
		return 0;
	n = recv(peer_fd[port], frame, room, MSG_DONTWAIT);
	return n < 0 ? 0 : n;
}

void ovs_peer_wants(uint32_t port, const struct packet *want, int line)
{
	uint8_t frame[2048];
	size_t n = ovs_peer(port, frame, sizeof(frame), 2000);

	if (!n)
		fail_msg("line %d: nothing came out of port %u", line, port);
	same(frame, n, want, line);
}

const struct ovs_upcall *ovs_upcall_next(void)
{
	ring_buffer__consume(ring);
	return taken < n_waiting ? waiting[taken++] : NULL;
}

struct ovs_key ovs_key_of(const uint8_t *frame, size_t len, const struct __sk_buff *ctx)
{
	const struct ovs_upcall *u;

	ovs_run(1, frame, len, ctx);
	u = ovs_upcall_next();
	assert_non_null(u);
	return u->key;
}

int ovs_send_token(uint32_t token, const uint8_t *frame, size_t n)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = exec_ifindex};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), one = 1;
	uint8_t buf[700] = {0};
	ssize_t sent;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MARK, &token, sizeof(token)), 0);
	memcpy(buf + sizeof(struct virtio_net_hdr), frame, n);
	n += sizeof(struct virtio_net_hdr);
	sent = sendto(fd, buf, n, 0, (struct sockaddr *)&to, sizeof(to));
	close(fd);
	return sent == (ssize_t)n ? 0 : -1;
}

uint64_t ovs_stat_of(enum ovs_stat stat)
{
	uint64_t s[OVS_STAT_SLOTS] = {0};

	assert_int_equal(bpfct_counters(stat_fd, s, OVS_STAT_MAX), 0);
	return s[stat];
}
