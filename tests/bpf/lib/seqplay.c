// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sched.h>
#include <string.h>

#include "seqplay.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

struct ct_alg seq_alg;
const char *seq_shape = "";
int seq_prog, seq_map;
const struct seq_options seq_none;

static struct bpf_object *obj;

int seq_up(void **state)
{
	if (unshare(CLONE_NEWNET) || core_up(state))
		return -1;
	obj = open_shared("alg_seq.bpf.o");
	seq_prog = prog(obj, "segment");
	seq_map = bpf_object__find_map_fd_by_name(obj, "seq_case_v1");
	return 0;
}

int seq_down(void **state)
{
	bpf_object__close(obj);
	return core_down(state);
}

int seq_clean(void **state)
{
	(void)state;
	memset(&seq_alg, 0, sizeof(seq_alg));
	seq_alg.helper = 1;
	seq_alg.off = 1;
	return 0;
}

void seq_edited(int dir, uint32_t pos, int32_t before, int32_t after)
{
	seq_alg.fix[dir][seq_alg.fixes[dir]++] = (struct ct_alg_fix){pos, before, after};
}

struct ct_label_key seq_conn(int six)
{
	return (struct ct_label_key){.key.pad = six ? 6 : 4, .gen = SEQ_GEN};
}

size_t seq_frame(uint8_t *f, const struct packet *p, const uint8_t *opt, size_t n)
{
	size_t len = build(f, p), l3 = 14 + 4 * p->vlans, l4, total;
	uint8_t *ip = f + l3, *tcp;
	uint32_t s;

	l4 = l3 + (is6(p) ? 40 + (p->ext & EXT_HOP ? 8 : 0) : 20 + p->options);
	tcp = f + l4;
	memmove(tcp + 20 + n, tcp + 20, len - l4 - 20);
	if (opt)
		memcpy(tcp + 20, opt, n);
	len += n;
	total = len - l4;
	tcp[12] = (20 + n) / 4 << 4;
	if (is6(p)) {
		put2(ip + 4, len - l3 - 40);
		s = sum(ip + 8, 32, total + IPPROTO_TCP);
	} else {
		put2(ip + 2, len - l3);
		put2(ip + 10, 0);
		put2(ip + 10, ~sum(ip, l4 - l3, 0));
		s = sum(ip + 12, 8, total + IPPROTO_TCP);
	}
	put2(tcp + 16, 0);
	put2(tcp + 16, ~sum(tcp, total, s));
	return len;
}

struct packet seq_segment(int six, uint32_t seq, uint32_t ack)
{
	return (struct packet){.src = C[six],
			       .dst = S[six],
			       .proto = IPPROTO_TCP,
			       .sport = 5000,
			       .dport = 21,
			       .tcp = CT_TH_ACK,
			       .seq = seq,
			       .ack = ack};
}

void seq_run(int six, int dir, const uint8_t *in, size_t len, uint8_t *out, size_t *outlen,
	     struct seq_case *c)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = len, .data_out = out,
		    .data_size_out = 600, .repeat = 1);
	struct ct_label_key key = seq_conn(six);
	uint32_t zero = 0;

	*c = (struct seq_case){.dir = dir, .gen = SEQ_GEN};
	assert_int_equal(bpf_map_update_elem(core.pins.alg_fd, &key, &seq_alg, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(seq_map, &zero, c, BPF_ANY), 0);
	assert_int_equal(run_summed(seq_prog, &opts, true), 0);
	assert_int_equal(bpf_map_lookup_elem(seq_map, &zero, c), 0);
	*outlen = opts.data_size_out;
}

void seq_becomes(int dir, const struct packet *in, const struct packet *want,
		 const struct seq_options *o, int line)
{
	uint8_t a[600], b[600], out[600];
	size_t alen = seq_frame(a, in, o->in, o->len), blen, n;
	struct seq_case c;

	seq_run(is6(in), dir, a, alen, out, &n, &c);
	if (c.verdict)
		fail_msg("line %d: verdict %d", line, c.verdict);
	if (c.ack != want->ack)
		fail_msg("line %d: the tracker sees ack %u, not %u", line, c.ack, want->ack);
	blen = seq_frame(b, want, o->out, o->len);
	if (n == blen && !memcmp(out, b, n))
		return;
	dump("in", a, alen);
	dump("out", out, n);
	dump("want", b, blen);
	fail_msg("line %d: not the segment wanted: %s", line, seq_shape);
}

void seq_numbers(int dir, uint32_t seq, uint32_t ack, uint32_t want_seq, uint32_t want_ack,
		 const struct seq_options *o, int line)
{
	seq_alg.until[dir] = seq;
	for (int i = 0; i < 8; i++) {
		struct packet in = seq_segment(i & 1, seq, ack), want;

		in.payload = i & 2 ? 31 : 0;
		in.vlans = i & 4 ? 1 : 0;
		in.options = i & 4 ? 8 : 0;
		in.ext = i & 4 ? EXT_HOP : 0;
		want = in;
		want.seq = want_seq;
		want.ack = want_ack;
		seq_becomes(dir, &in, &want, o, line);
	}
}
