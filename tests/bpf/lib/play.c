// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/ct/ct_tcp_table.h"
#include "play.h"

/* linux/bpf.h of Debian 12 lacks it */
#define TEST_SKB_CHECKSUM_COMPLETE (1U << 2)

struct bpfct_core core;
struct bpf_object *packets_obj;
int packet_fd, mispaired_fd, dumped_fd, pair_fd, pkt_case_fd;

const char *const C[] = {"10.0.0.2", "2001:db8:10::2"};
const char *const S[] = {"198.51.100.80", "2001:db8:51::80"};
const char *const E[] = {"203.0.113.1", "2001:db8:113::1"};
const char *const I[] = {"10.0.0.5", "2001:db8:10::5"};
const char *const M[] = {"192.0.2.9", "2001:db8:2::9"};

struct pkt_case how; /* for the packets to come; reset() clears it */

uint64_t drops(enum ct_drop reason)
{
	uint64_t s[CT_DROP_SLOTS] = {0};

	assert_int_equal(bpfct_counters(core.pins.drop_fd, s, CT_DROP_MAX), 0);
	return s[reason];
}

int run_summed(int fd, struct bpf_test_run_opts *opts, bool l2)
{
	static bool refused;
	int ret;

	opts->flags = l2 && !refused ? TEST_SKB_CHECKSUM_COMPLETE : 0;
	ret = bpf_prog_test_run_opts(fd, opts);
	if (ret != -EINVAL || !opts->flags)
		return ret;
	print_message("# this kernel cannot check skb->csum (Linux 6.11 can)\n");
	refused = true;
	opts->flags = 0;
	return bpf_prog_test_run_opts(fd, opts);
}

struct pkt_case play_frame(const uint8_t *in, size_t len, uint8_t *out, size_t *outlen)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = len, .data_out = out,
		    .data_size_out = 600, .repeat = 1);
	struct pkt_case c = how;
	uint32_t zero = 0;

	assert_int_equal(bpf_map_update_elem(pkt_case_fd, &zero, &c, BPF_ANY), 0);
	assert_int_equal(run_summed(packet_fd, &opts, how.l2), 0);
	assert_int_equal(bpf_map_lookup_elem(pkt_case_fd, &zero, &c), 0);
	*outlen = opts.data_size_out;
	return c;
}

void dump(const char *what, const uint8_t *b, size_t n)
{
	print_error("%s:", what);
	for (size_t i = 0; i < n; i++)
		print_error("%s%02x", i % 16 ? " " : "\n  ", b[i]);
	print_error("\n");
}

uint8_t last_out[600];

/* Source port of the packet that came out last; plain shape. */
unsigned int last_sport(int six)
{
	const uint8_t *l4 = last_out + 14 + (six ? 40 : 20);

	return l4[0] << 8 | l4[1];
}

/* Plays one packet and wants the verdict, and the other packet out of it. */
struct pkt_case through(const struct packet *in, int verdict, const struct packet *want, int line)
{
	uint8_t a[600], b[600], out[600];
	size_t alen = build(a, in), blen, n;
	struct pkt_case c;

	how.l2 = !in->bare;
	c = play_frame(a, alen, out, &n);
	memcpy(last_out, out, sizeof(out));
	if (c.verdict != verdict)
		fail_msg("line %d: verdict %d (%s), not %d", line, c.verdict,
			 c.verdict < 0 ? bpfct_drop_text(-c.verdict) : "", verdict);
	if (!want)
		return c;
	blen = build(b, want);
	if (n != blen || memcmp(out, b, n)) {
		dump("in", a, alen);
		dump("out", out, n);
		dump("want", b, blen);
		fail_msg("line %d: not the packet wanted", line);
	}
	return c;
}

void sweep(void)
{
	char buf[256];

	for (int i = 0; i < BPFCT_SWEEPS; i++) {
		int fd = bpf_iter_create(bpf_link__fd(core.sweep[i]));

		assert_true(fd >= 0);
		while (read(fd, buf, sizeof(buf)) > 0)
			;
		close(fd);
	}
}

void age(int64_t secs)
{
	core.pins.settings->clock_offset += secs * core.pins.settings->hz;
}

static struct ct_settings defaults;

/* An empty table, default settings. */
int reset(void **state)
{
	int64_t clock;

	(void)state;
	age(500000);
	sweep();
	age(5);
	sweep();
	clock = core.pins.settings->clock_offset;
	*core.pins.settings = defaults;
	core.pins.settings->clock_offset = clock;
	bpfct_table_limits(core.pins.table, &core.sizes);
	memset(&how, 0, sizeof(how));
	how.commit = 1;
	how.which = 3;
	how.inside = 1;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(core.pins.table[i].nodes, 0);
		assert_int_equal(core.pins.table[i].half_open, 0);
		assert_int_equal(core.pins.table[i].confirmed, 0);
		assert_int_equal(core.pins.table[i].stubs, 0);
	}
	return 0;
}

void set_addr(__be32 *a, const char *text)
{
	memset(a, 0, 16);
	assert_int_equal(inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, a), 1);
}

void translate(uint32_t flags, const char *addr, uint16_t port)
{
	struct ct_nat_range *to = flags & CT_NAT_SRC ? &how.nat.src : &how.nat.dst;

	memset(&how.nat, 0, sizeof(how.nat));
	how.nat.flags = flags;
	set_addr(to->addr_min, addr);
	set_addr(to->addr_max, addr);
	to->port_min = to->port_max = port;
}

/* Opens a translated exchange and gives both forms of its first packet. */
void open_flow(int six, uint8_t proto, struct packet *inside, struct packet *outside)
{
	reset(NULL);
	translate(CT_NAT_SRC, E[six], proto == IPPROTO_GRE ? 0 : 40000);
	*inside = (struct packet){.src = C[six],
				  .dst = S[six],
				  .proto = proto,
				  .sport = 5000,
				  .dport = 80,
				  .tcp = CT_TH_SYN,
				  .seq = 1000,
				  .id = 77,
				  .type = six ? 128 : 8,
				  .payload = proto == IPPROTO_TCP ? 0 : 30};
	*outside = *inside;
	outside->src = E[six];
	outside->sport = 40000;
	outside->id = 40000;
	THROUGH(inside, NEW, outside);
	memset(&how.nat, 0, sizeof(how.nat));
}

struct packet numbered(int six, unsigned int n)
{
	return (struct packet){
		.src = C[six], .dst = S[six], .proto = IPPROTO_UDP, .sport = 1000 + n, .dport = 53};
}

void play_numbered_at(int six, unsigned int n, int verdict, int line)
{
	struct packet p = numbered(six, n);

	through(&p, verdict, NULL, line);
}

struct ct_flow flow_of(int family)
{
	struct ct_flow f = {0};
	int fd = bpf_iter_create(bpf_link__fd(core.dump[family == 6]));

	assert_true(fd >= 0);
	assert_int_equal(read(fd, &f, sizeof(f)), sizeof(f));
	close(fd);
	return f;
}

struct bpf_object *open_shared(const char *name)
{
	char self[PATH_MAX], path[PATH_MAX * 2], err[256] = "";
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	struct bpf_object *o;

	assert_true(n > 0);
	self[n] = 0;
	snprintf(path, sizeof(path), "%s/%s", dirname(self), name);
	o = bpf_object__open_file(path, NULL);
	if (!o || bpfct_core_share(&core, o, err, sizeof(err)) || bpf_object__load(o)) {
		print_error("%s: %s\n", path, err);
		exit(1);
	}
	return o;
}

int prog(const struct bpf_object *o, const char *name)
{
	return bpf_program__fd(bpf_object__find_program_by_name(o, name));
}

static int core_up_with(const struct bpfct_limits *limits)
{
	char err[256] = "";

	if (bpfct_core_load(&core, NULL, limits, err, sizeof(err))) {
		print_error("%s\n", err);
		return -1;
	}
	defaults = *core.pins.settings;
	return 0;
}

static const struct bpfct_limits small = {.confirmed = 1024, .half = {1024, 1024, 256}};

int core_up(void **state)
{
	(void)state;
	return core_up_with(&small);
}

int core_down(void **state)
{
	(void)state;
	bpfct_core_close(&core);
	return 0;
}

int set_up(void **state)
{
	return set_up_with(state, &small);
}

int set_up_with(void **state, const struct bpfct_limits *limits)
{
	(void)state;
	if (core_up_with(limits))
		return -1;
	packets_obj = open_shared("ct_packets.bpf.o");
	packet_fd = prog(packets_obj, "packet");
	mispaired_fd = prog(packets_obj, "mispaired");
	dumped_fd = prog(packets_obj, "dumped");
	pair_fd = bpf_object__find_map_fd_by_name(packets_obj, "pkt_pair_v1");
	pkt_case_fd = bpf_object__find_map_fd_by_name(packets_obj, "pkt_case_v1");
	return 0;
}

int tear_down(void **state)
{
	bpf_object__close(packets_obj);
	return core_down(state);
}
