// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fragplay.h"

static struct bpf_object *obj;
static int fragment_fd, case_map, wire, twin;

struct frag_case frag_how;
uint32_t mark;
struct frag_datagram d;

void datagram(int six, uint8_t proto, uint16_t payload)
{
	d.six = six;
	d.in = (struct packet){.src = C[six],
			       .dst = S[six],
			       .proto = proto == IPPROTO_ICMP ? ICMP_OF(six) : proto,
			       .sport = 5000,
			       .dport = 80,
			       .tcp = 0x02,
			       .id = 5000,
			       .type = six ? 128 : 8,
			       .payload = payload};
	d.out = d.in;
	d.out.src = E[six];
	d.out.sport = d.out.id = PORT_OUT;
	d.len = build_part(d.part, &d.in);
	assert_int_equal(build_part(d.sent, &d.out), d.len);
}

/* The frame of a fragment as it comes (out 0) or as it has to leave. */
static size_t frame_of(uint8_t *f, const struct step *s, int out)
{
	const char *src = out ? d.out.src : d.in.src;
	size_t n = s->end - s->off, ip = d.six ? 48 : 20;
	uint8_t *at = f + 14;

	memset(f, 0, 14 + ip);
	f[5] = 1;
	f[11] = 2;
	put2(f + 12, d.six ? ETH_P_IPV6 : ETH_P_IP);
	if (d.six) {
		at[0] = 0x60;
		put2(at + 4, 8 + n + s->extra);
		at[6] = IPPROTO_FRAGMENT;
		at[7] = 64;
		assert_int_equal(inet_pton(AF_INET6, src, at + 8), 1);
		assert_int_equal(inet_pton(AF_INET6, d.in.dst, at + 24), 1);
		at[8 + 7] += s->host;
		at[40] = d.in.proto;
		put2(at + 42, s->off | !s->last);
		put4(at + 44, 0x12345600 + s->other);
	} else {
		at[0] = 0x45;
		put2(at + 2, ip + n + s->extra);
		put2(at + 4, 0x1200 + s->other);
		put2(at + 6, (s->last ? 0 : 0x2000) | s->off >> 3);
		at[8] = 64;
		at[9] = d.in.proto;
		assert_int_equal(inet_pton(AF_INET, src, at + 12), 1);
		assert_int_equal(inet_pton(AF_INET, d.in.dst, at + 16), 1);
		at[12 + 3] += s->host;
		put2(at + 10, ~sum(at, 20, 0) ^ s->header);
	}
	memcpy(at + ip, (out ? d.sent : d.part) + s->off, n);
	memset(at + ip + n, 0, s->extra);
	if (n)
		at[ip + n - 1] ^= s->flip;
	return 14 + ip + n + s->extra;
}

/* Plays one; returns its action. The frame that it left is in out. */
int run(const struct step *s, uint8_t *out, size_t *len)
{
	uint8_t in[ROOM];
	size_t n = frame_of(in, s, 0);
	struct __sk_buff is = {.ifindex = twin, .ingress_ifindex = twin, .mark = mark};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = n, .data_out = out,
		    .data_size_out = ROOM, .repeat = 1, .ctx_in = &is, .ctx_size_in = sizeof(is),
		    .ctx_out = &is, .ctx_size_out = sizeof(is));
	uint32_t zero = 0;

	assert_int_equal(bpf_map_update_elem(case_map, &zero, &frag_how, BPF_ANY), 0);
	assert_int_equal(bpf_prog_test_run_opts(fragment_fd, &opts), 0);
	assert_int_equal(bpf_map_lookup_elem(case_map, &zero, &frag_how), 0);
	*len = opts.data_size_out;
	mark = is.mark;
	return opts.retval;
}

void piece_at(const struct step *s, int verdict, int line)
{
	uint8_t out[ROOM];
	size_t n;

	run(s, out, &n);
	if (frag_how.verdict != verdict)
		fail_msg("line %d: %u..%u: verdict %d (%s), not %d", line, s->off, s->end,
			 frag_how.verdict,
			 frag_how.verdict < 0 ? bpfct_drop_text(-frag_how.verdict) : "", verdict);
}

/* The next frame that has left by `twin` (another PACKET: come in). 0: none. */
size_t seen_on(int type, uint8_t *frame)
{
	struct sockaddr_ll from;
	socklen_t len = sizeof(from);
	ssize_t n;

	do
		n = recvfrom(wire, frame, ROOM, MSG_DONTWAIT, (void *)&from, &len);
	while (n > 0 && from.sll_pkttype != type);
	return n > 0 ? n : 0;
}

void same_frame(const uint8_t *got, size_t n, const struct step *s, int out)
{
	uint8_t want[ROOM];
	size_t len = frame_of(want, s, out);

	if (n == len && !memcmp(got, want, n))
		return;
	dump("out", got, n);
	dump("want", want, len);
	fail_msg("%u..%u: not the packet wanted", s->off, s->end);
}

struct frag_table *table(void)
{
	return core.pins.frag;
}

void frag_sweep(void)
{
	int fd = bpf_iter_create(bpf_link__fd(core.sweep[BPFCT_SWEEPS]));
	char buf[1024];

	assert_true(fd >= 0);
	while (read(fd, buf, sizeof(buf)) > 0)
		;
	close(fd);
}

/* Nothing is held, no limits, as at the start. */
int clean(void **state)
{
	uint8_t frame[ROOM];

	reset(state);
	frag_sweep();
	assert_int_equal(table()->use.datagrams, 0);
	assert_int_equal(table()->use.bytes, 0);
	memset(&table()->zone, 0, sizeof(table()->zone));
	memset(&table()->source, 0, sizeof(table()->source));
	memset(table()->min_size, 0, sizeof(table()->min_size));
	bpfct_frag_limits(table(), &core.sizes);
	memset(&frag_how, 0, sizeof(frag_how));
	frag_how.out = twin;
	mark = 0;
	for (int type = 0; type <= PACKET_OUTGOING; type++)
		while (seen_on(type, frame))
			;
	return 0;
}

/* New connections go out by E:PORT_OUT. */
void snat(int six)
{
	translate(CT_NAT_SRC, E[six], PORT_OUT);
	frag_how.nat = how.nat;
}

void counters(uint64_t *stats)
{
	assert_int_equal(bpfct_counters(core.pins.frag_stat_fd, stats, 2 * FRAG_STAT_MAX), 0);
}

unsigned int moved(int six, enum frag_stat stat)
{
	static uint64_t last[2 * FRAG_STAT_MAX];
	uint64_t now[2 * FRAG_STAT_MAX];
	unsigned int n;

	counters(now);
	n = now[2 * stat + six] - last[2 * stat + six];
	memcpy(last, now, sizeof(last));
	return n;
}

int frags_up(void **state)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	if (sched_setaffinity(0, sizeof(one), &one) || unshare(CLONE_NEWNET) ||
	    system("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 "
		   "net.ipv6.conf.default.disable_ipv6=1 && ip link add twin0 type veth peer name "
		   "twin1 && ip link set twin0 up && ip link set twin1 up") ||
	    core_up(state))
		return -1;
	obj = open_shared("frag_packets.bpf.o");
	fragment_fd = prog(obj, "fragment");
	case_map = bpf_object__find_map_fd_by_name(obj, "frag_case_v1");
	twin = at.sll_ifindex = if_nametoindex("twin0");
	wire = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	return bind(wire, (void *)&at, sizeof(at));
}

int frags_down(void **state)
{
	close(wire);
	bpf_object__close(obj);
	return core_down(state);
}
