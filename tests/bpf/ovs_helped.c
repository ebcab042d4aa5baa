// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * ct(alg=) of the OVS datapath: who has a helper, what of a connection's payload goes to its reader
 * and in which form, and where what the reader sends goes on (OVS_CT_RESUME). Also packets that
 * come back from vswitchd translated. Port 1 is the client's side, 2 the server's.
 */
#include <bpf/libbpf.h>

#include "bpf/abi/alg_abi.h"
#include "tests/bpf/lib/ovscase.h"

#define ZONE  5
#define SLOT  4	       /* of EXECUTE */
#define TOKEN 0x5eed01 /* the mark of what the reader sends */
#define FIRST 50       /* actions of what is executed */

static struct ring_buffer *ring;
static struct {
	struct alg_packet p;
	uint8_t frame[2048];
} sample;
static unsigned int samples;
static bool from_the_start; /* the way leads nowhere any more */

static int on_sample(void *arg, void *data, size_t size)
{
	(void)arg;
	assert_true(size <= sizeof(sample));
	memcpy(&sample, data, size);
	samples++;
	return 0;
}

static unsigned int taken(void)
{
	unsigned int n;

	ring_buffer__consume(ring);
	n = samples;
	samples = 0;
	return n;
}

/* A reader is there. */
static int listened(void **state)
{
	struct ct_control clock = {.op = CT_CONTROL_CLOCK};
	struct ovs_alg_key key;
	uint32_t mark;

	if (ovs_reset(state))
		return -1;
	memset(&ovs_actions[FIRST], 0, OVS_FLOW_ACTIONS * sizeof(*ovs_actions));
	while (!bpf_map_get_next_key(ovs_alg_fd, NULL, &key))
		bpf_map_delete_elem(ovs_alg_fd, &key);
	while (!bpf_map_get_next_key(core.pins.algexec_fd, NULL, &mark))
		bpf_map_delete_elem(core.pins.algexec_fd, &mark);
	assert_int_equal(bpfct_control(&core.pins, &clock), 0);
	core.pins.settings->heartbeat = clock.jiffies;
	taken();
	from_the_start = false;
	return 0;
}

static int up(void **state)
{
	if (ovs_up(state))
		return -1;
	ring = ring_buffer__new(core.pins.algring_fd, on_sample, NULL, NULL);
	return ring ? 0 : -1;
}

static int down(void **state)
{
	ring_buffer__free(ring);
	return ovs_down(state);
}

static struct packet answer(const struct packet *p)
{
	struct packet r = *p;

	r.src = p->dst;
	r.dst = p->src;
	r.sport = p->dport;
	r.dport = p->sport;
	return r;
}

/* Connections of port 1 have this helper and leave as E; what follows their ct(). */
static void helped(int six, uint8_t alg, struct ovs_action then)
{
	struct ovs_action ct =
		CT(.zone = ZONE, .alg = alg,
		   .flags = OVS_CT_COMMIT | OVS_CT_NAT | OVS_CT_NAT_SRC | OVS_CT_MARK, .mark = 7,
		   .mark_mask = ~0u, .family = six ? 6 : 4);

	set_addr(ct.ct.addr_min, E[six]);
	set_addr(ct.ct.addr_max, E[six]);
	OVS_ALL(1, 0, ct, then);
	OVS_ALL(2, 0, CT(.zone = ZONE, .flags = OVS_CT_NAT), OUT(1));
}

/* As dpif-bpf-alg.c enters what it sends: the way of the packet that was taken last. */
static void enter(uint32_t gen)
{
	struct alg_exec e = {.conn = sample.p.conn,
			     .ifindex = ovs_config->exec_ifindex,
			     .mark = 0x77,
			     .dir = sample.p.dir};
	uint32_t mark = TOKEN;

	e.conn.gen += gen;
	assert_int_equal(bpf_map_update_elem(core.pins.algexec_fd, &mark, &e, BPF_ANY), 0);
}

/* Sends a frame on that way. */
static void resumes(const uint8_t *frame, size_t len)
{
	struct ovs_alg_key key = {.conn = sample.p.conn, .dir = sample.p.dir};
	struct ovs_flow *f = &ovs_flows[SLOT];
	struct ovs_alg way;

	assert_int_equal(bpf_map_lookup_elem(ovs_alg_fd, &key, &way), 0);
	assert_int_equal(way.action[0].type, OVS_ACT_CT);
	assert_true(way.first);
	if (from_the_start) {
		way.action[0] = (struct ovs_action)AGAIN(0);
		way.n_actions = 1;
	} else {
		way.action[0].ct.flags = (way.action[0].ct.flags & OVS_CT_NAT) | OVS_CT_RESUME;
	}
	f->key = way.key;
	f->key.skb_mark = TOKEN;
	for (unsigned int i = 0; i < way.n_actions; i++) {
		ovs_actions[FIRST + i] = way.action[i];
		f->action[i] = FIRST + i;
	}
	f->n_actions = way.n_actions;
	f->live = 0xabcd00 | SLOT;
	/* Refused by the datapath: the sender hears ENOBUFS. */
	ovs_send_token(f->live, frame, len);
}

static void payload_is_taken_as_it_came(void **state)
{
	for (int six = 0; six < 2; six++) {
		struct packet p = plain(six, IPPROTO_UDP);
		uint8_t frame[600];
		struct ovs_run r;
		size_t len = build(frame, &p);

		listened(state);
		helped(six, OVS_ALG_TFTP, (struct ovs_action)OUT(2));
		r = ovs_packet(1, &p);
		assert_int_equal(r.action, TC_ACT_REDIRECT);
		assert_int_equal(r.ifindex, 0);
		assert_int_equal(taken(), 1);
		assert_int_equal(sample.p.helper, OVS_ALG_TFTP);
		assert_int_equal(sample.p.len, len);
		assert_memory_equal(sample.frame, frame, len);
		assert_int_equal(flow_of(six ? 6 : 4).c.count[0].packets, 1);
	}
}

/* Behind the ct() that took it, translated, with state, zone, mark and original tuple of the
 * connection, which is not counted again. */
static void what_is_sent_goes_on_behind_its_ct(void **state)
{
	for (int six = 0; six < 2; six++) {
		struct packet p = plain(six, IPPROTO_UDP), out = p;
		const struct ovs_upcall *u;
		uint8_t frame[600], want[600];
		size_t len;

		listened(state);
		helped(six, OVS_ALG_TFTP, (struct ovs_action)AGAIN(9));
		ovs_packet(1, &p);
		assert_int_equal(taken(), 1);
		enter(0);
		p.payload = out.payload = 60; /* the reader has edited it */
		out.src = E[six];
		resumes(frame, build(frame, &p));
		u = ovs_upcall_next();
		assert_non_null(u);
		assert_int_equal(u->key.recirc_id, 9);
		assert_int_equal(u->key.in_port, 1);
		assert_int_equal(u->key.ct_state & (S_TRK | S_INV | S_RPL), S_TRK);
		assert_int_equal(u->key.ct_zone, ZONE);
		assert_int_equal(u->key.ct_mark, 7);
		assert_int_equal(u->key.skb_mark, 0x77);
		assert_int_equal(u->key.ct_sport, htons(p.sport));
		len = build(want, &out);
		assert_int_equal(u->len, len);
		assert_memory_equal(u->data, want, len);
		assert_int_equal(flow_of(six ? 6 : 4).c.count[0].packets, 1);
		assert_int_equal(taken(), 0);
	}
}

static void what_is_sent_goes_out_by_its_flow(void **state)
{
	for (int six = 0; six < 2; six++) {
		struct packet p = plain(six, IPPROTO_UDP), r, out = p;
		uint8_t frame[600];

		listened(state);
		helped(six, OVS_ALG_TFTP, (struct ovs_action)OUT(2));
		ovs_packet(1, &p);
		assert_int_equal(taken(), 1);
		enter(0);
		resumes(frame, build(frame, &p));
		out.src = E[six];
		PEER_WANTS(2, &out);
		r = answer(&out);
		ovs_packet(2, &r);
		assert_int_equal(taken(), 1);
		assert_int_equal(sample.p.dir, CT_REPLY);
		enter(0);
		resumes(frame, build(frame, &r));
		r = answer(&p);
		PEER_WANTS(1, &r);
	}
}

/* By other flows, whose first ct() is of another zone, where it is a packet as any: past its helper
 * and counted no more in its own. Without a flow it goes up, and on from there. */
static void what_has_lost_its_way_goes_from_the_start(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP), out = p;
	struct ovs_flow *f = &ovs_flows[SLOT];
	const struct ovs_upcall *u;
	uint8_t frame[600];
	size_t len = build(frame, &p);

	(void)state;
	out.src = E[0];
	helped(0, OVS_ALG_TFTP, (struct ovs_action)OUT(2));
	ovs_packet(1, &p);
	assert_int_equal(taken(), 1);
	ovs_flush();
	OVS_ALL(1, 0, CT(.zone = ZONE + 1), AGAIN(3));
	OVS_ALL(1, 3, CT(.zone = ZONE, .flags = OVS_CT_NAT), OUT(2));
	from_the_start = true;
	enter(0);
	resumes(frame, len);
	PEER_WANTS(2, &out);
	assert_int_equal(taken(), 0);
	assert_int_equal(flow_of(4).c.count[0].packets, 1);
	ovs_flush();
	enter(0);
	resumes(frame, len);
	u = ovs_upcall_next();
	assert_non_null(u);
	assert_int_equal(u->key.recirc_id, 0);
	assert_int_equal(u->key.in_port, 1);
	assert_int_equal(u->key.skb_mark, TOKEN);
	f->key = u->key;
	ovs_actions[FIRST] = (struct ovs_action)CT(.zone = ZONE, .flags = OVS_CT_NAT);
	ovs_actions[FIRST + 1] = (struct ovs_action)OUT(2);
	f->action[0] = FIRST;
	f->action[1] = FIRST + 1;
	f->n_actions = 2;
	f->live = 0xabcd00 | SLOT;
	assert_int_equal(ovs_send_token(f->live, frame, len), 0);
	PEER_WANTS(2, &out);
	assert_int_equal(taken(), 0);
	assert_int_equal(flow_of(4).c.count[0].packets, 1);
}

/* A mark that is used up, or of a connection that is another by now. */
static void what_nobody_has_entered_is_dropped(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);
	uint64_t lost = drops(CT_DROP_ALG_LOST);
	uint8_t frame[600], f[2][200];
	size_t len[2];

	(void)state;
	helped(0, OVS_ALG_TFTP, (struct ovs_action)OUT(2));
	ovs_packet(1, &p);
	assert_int_equal(taken(), 1);
	resumes(frame, build(frame, &p));
	assert_int_equal(drops(CT_DROP_ALG_LOST), lost + 1);
	enter(1);
	resumes(frame, build(frame, &p));
	assert_int_equal(drops(CT_DROP_ALG_LOST), lost + 2);
	enter(0);
	resumes(frame, build(frame, &p));
	resumes(frame, build(frame, &p));
	assert_int_equal(drops(CT_DROP_ALG_LOST), lost + 3);
	cut_in_two(&p, 24, f, len);
	resumes(f[0], len[0]);
	assert_int_equal(drops(CT_DROP_ALG_LOST), lost + 4);
	assert_int_equal(core.pins.frag->use.datagrams, 0);
}

/* The whole of it, whichever came last. */
static void payload_in_fragments_is_taken_whole(void **state)
{
	for (int last = 0; last < 2; last++) {
		struct packet p = plain(0, IPPROTO_UDP);
		uint8_t f[2][200], frame[600];
		size_t len[2], whole;

		listened(state);
		whole = build(frame, &p);
		helped(0, OVS_ALG_TFTP, (struct ovs_action)OUT(2));
		cut_in_two(&p, 24, f, len);
		ovs_run(1, f[!last], len[!last], NULL);
		assert_int_equal(taken(), 0);
		ovs_run(1, f[last], len[last], NULL);
		assert_int_equal(taken(), 1);
		assert_int_equal(sample.p.flags & ALG_P_FRAGS, ALG_P_FRAGS);
		assert_int_equal(sample.p.len, whole);
		assert_memory_equal(sample.frame + 34, frame + 34, whole - 34);
		assert_int_equal(core.pins.frag->use.datagrams, 0);
	}
}

/* In fragments under one mark, after a stranger's that has their addresses and id: they are put
 * together, translated, and leave in fragments, in order. */
static void what_is_sent_in_fragments_leaves_in_fragments(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP), out = p, evil = p;
	uint8_t f[2][200], want[2][200], bad[2][200], got[200];
	size_t len[2];

	(void)state;
	helped(0, OVS_ALG_TFTP, (struct ovs_action)OUT(2));
	cut_in_two(&p, 24, f, len);
	for (int i = 0; i < 2; i++)
		ovs_run(1, f[i], len[i], NULL);
	assert_int_equal(taken(), 1);
	evil.payload -= 5;
	cut_in_two(&evil, 24, bad, len);
	ovs_run(1, bad[1], len[1], NULL);
	enter(0);
	out.src = E[0];
	cut_in_two(&out, 24, want, len);
	cut_in_two(&p, 24, f, len);
	for (int i = 1; i >= 0; i--)
		resumes(f[i], len[i]);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ovs_peer(2, got, sizeof(got), 2000), len[i]);
		assert_memory_equal(got, want[i], len[i]);
	}
	assert_int_equal(core.pins.frag->use.datagrams, 1);
	assert_int_equal(flow_of(4).c.count[0].packets, 1);
}

/* With the state of the whole, at their recirc_id. */
static void fragments_that_are_sent_recirculate_with_their_state(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);
	const struct ovs_upcall *u;
	uint8_t f[2][200];
	size_t len[2];

	(void)state;
	helped(0, OVS_ALG_TFTP, (struct ovs_action)AGAIN(9));
	ovs_packet(1, &p);
	assert_int_equal(taken(), 1);
	enter(0);
	cut_in_two(&p, 24, f, len);
	for (int i = 0; i < 2; i++)
		resumes(f[i], len[i]);
	for (int i = 0; i < 2; i++) {
		u = ovs_upcall_next();
		assert_non_null(u);
		assert_int_equal(u->key.recirc_id, 9);
		assert_int_equal(u->key.in_port, 1);
		assert_int_equal(u->key.ct_zone, ZONE);
		assert_int_equal(u->key.ct_mark, 7);
		assert_int_equal(u->key.frag, i ? OVS_FRAG_LATER : OVS_FRAG_FIRST);
		assert_int_equal(u->key.src[0], inet_addr(E[0]));
	}
}

/* As the kernel's datapath: with the ct() that enters the connection, tracked before or not; one
 * that exists gets none, and keeps what it has. */
static void helper_comes_with_the_entry(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);

	(void)state;
	OVS_ALL(1, 0, CT(.zone = ZONE), AGAIN(3));
	OVS_ALL(1, 3, CT(.zone = ZONE, .flags = OVS_CT_COMMIT, .alg = OVS_ALG_TFTP), OUT(2));
	ovs_packet(1, &p);
	assert_int_equal(taken(), 1);
	/* Other flows now: no helper, another one. */
	ovs_flush();
	OVS_ALL(1, 0, CT(.zone = ZONE, .flags = OVS_CT_COMMIT, .alg = OVS_ALG_SIP), OUT(2));
	ovs_packet(1, &p);
	assert_int_equal(taken(), 1);
	assert_int_equal(sample.p.helper, OVS_ALG_TFTP);
	p.sport++;
	ovs_flush();
	OVS_ALL(1, 0, CT(.zone = ZONE, .flags = OVS_CT_COMMIT), OUT(2));
	WANTS(1, &p, 2, &p);
	ovs_flush();
	OVS_ALL(1, 0, CT(.zone = ZONE, .flags = OVS_CT_COMMIT, .alg = OVS_ALG_TFTP), OUT(2));
	WANTS(1, &p, 2, &p);
	assert_int_equal(taken(), 0);
}

/* What alg= means on this port; NONE: no helper. */
static uint8_t helper_of(uint8_t proto, uint16_t port, uint8_t alg)
{
	struct packet p = plain(0, proto);

	p.dport = port;
	if (proto == IPPROTO_TCP) {
		p.payload = 0;
		p.tcp = 0x02;
	}
	ovs_flush();
	OVS_ALL(1, 0, CT(.zone = ZONE, .flags = OVS_CT_COMMIT, .alg = alg), OUT(2));
	ovs_config->sip_port[0] = htons(5060);
	ovs_config->sip_port[OVS_SIP_PORTS - 1] = htons(5080);
	ovs_packet(1, &p);
	if (proto == IPPROTO_TCP) {
		struct ct_label_key key;
		struct ct_alg a;

		if (bpf_map_get_next_key(core.pins.alg_fd, NULL, &key))
			return OVS_ALG_NONE;
		assert_int_equal(bpf_map_lookup_elem(core.pins.alg_fd, &key, &a), 0);
		return a.helper;
	}
	return taken() ? sample.p.helper : OVS_ALG_NONE;
}

static void any_helper_of_a_sip_port_is_sip(void **state)
{
	static const struct {
		uint8_t proto, alg, helper;
		uint16_t port;
	} row[] = {{IPPROTO_UDP, OVS_ALG_TFTP, OVS_ALG_SIP, 5060},
		   {IPPROTO_UDP, OVS_ALG_FTP, OVS_ALG_SIP, 5060},
		   {IPPROTO_UDP, OVS_ALG_FTP, OVS_ALG_SIP, 5080},
		   {IPPROTO_TCP, OVS_ALG_FTP, OVS_ALG_SIP, 5060},
		   {IPPROTO_TCP, OVS_ALG_TFTP, OVS_ALG_SIP, 5080},
		   {IPPROTO_UDP, OVS_ALG_NONE, OVS_ALG_NONE, 5060},
		   {IPPROTO_UDP, OVS_ALG_TFTP, OVS_ALG_TFTP, 69},
		   {IPPROTO_UDP, OVS_ALG_FTP, OVS_ALG_NONE, 69},
		   {IPPROTO_TCP, OVS_ALG_FTP, OVS_ALG_FTP, 21},
		   {IPPROTO_TCP, OVS_ALG_TFTP, OVS_ALG_NONE, 21},
		   {IPPROTO_UDP, OVS_ALG_SIP, OVS_ALG_SIP, 5090}};

	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
		listened(state);
		assert_int_equal(helper_of(row[i].proto, row[i].port, row[i].alg), row[i].helper);
	}
}

/* Whose flow cannot name a helper, as OpenFlow sees no ports of fragments: where the user says so,
 * and of SIP's ports alone. */
static void first_message_in_fragments_may_be_sips(void **state)
{
	static const struct {
		bool said, whole;
		uint16_t port;
		uint8_t alg, helper;
	} row[] = {{true, false, 5060, OVS_ALG_NONE, OVS_ALG_SIP},
		   {true, true, 5060, OVS_ALG_NONE, OVS_ALG_NONE},
		   {true, false, 5061, OVS_ALG_NONE, OVS_ALG_NONE},
		   {false, false, 5060, OVS_ALG_NONE, OVS_ALG_NONE},
		   {false, false, 5060, OVS_ALG_TFTP, OVS_ALG_SIP},
		   {true, false, 69, OVS_ALG_TFTP, OVS_ALG_TFTP}};

	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
		struct packet p = plain(0, IPPROTO_UDP);
		uint8_t f[2][200];
		size_t len[2];

		listened(state);
		p.dport = row[i].port;
		OVS_ALL(1, 0, CT(.zone = ZONE, .flags = OVS_CT_COMMIT, .alg = row[i].alg), OUT(2));
		ovs_config->sip_port[0] = htons(5060);
		ovs_config->sip_fragments = row[i].said;
		cut_in_two(&p, 24, f, len);
		if (row[i].whole)
			ovs_packet(1, &p);
		for (int n = 0; n < 2 && !row[i].whole; n++)
			ovs_run(1, f[n], len[n], NULL);
		assert_int_equal(taken() ? sample.p.helper : OVS_ALG_NONE, row[i].helper);
	}
	ovs_config->sip_fragments = 0;
}

/* A packet that went up translated, as the other one's, too, begins: committed without nat(), that
 * one's answers come to another port. What vswitchd has executed is the first one's. */
static void a_translated_packet_is_nobody_elses(void **state)
{
	struct ovs_action snat =
		CT(.zone = ZONE, .family = 4, .flags = OVS_CT_COMMIT | OVS_CT_NAT | OVS_CT_NAT_SRC);
	struct packet a = plain(0, IPPROTO_UDP), b = a;
	const struct ovs_upcall *u;
	struct ovs_flow *f = &ovs_flows[SLOT];
	struct ovs_key k;
	uint8_t frame[600];

	(void)state;
	set_addr(snat.ct.addr_min, E[0]);
	set_addr(snat.ct.addr_max, E[0]);
	b.src = E[0];
	OVS_ALL(1, 0, snat, AGAIN(9));
	OVS_ALL(3, 0,
		CT(.zone = ZONE, .flags = OVS_CT_COMMIT | OVS_CT_MARK, .mark = 2, .mark_mask = ~0u),
		AGAIN(9));
	ovs_packet(1, &a);
	u = ovs_upcall_next();
	assert_non_null(u);
	k = u->key;
	assert_int_equal(k.src[0], inet_addr(E[0]));
	ovs_packet(3, &b);
	u = ovs_upcall_next();
	assert_non_null(u);
	assert_int_equal(u->key.ct_state, S_TRK | S_NEW | S_SNAT);
	assert_int_equal(u->key.ct_mark, 2);
	assert_int_equal(core.pins.table[0].nodes, 2);
	ovs_actions[FIRST] = (struct ovs_action)CT(.zone = ZONE, .mark = 1, .mark_mask = ~0u,
						   .flags = OVS_CT_COMMIT | OVS_CT_MARK);
	ovs_actions[FIRST + 1] = (struct ovs_action)AGAIN(9);
	f->key = k;
	f->action[0] = FIRST;
	f->action[1] = FIRST + 1;
	f->n_actions = 2;
	f->live = 0xabcd00 | SLOT;
	assert_int_equal(ovs_send_token(f->live, frame, build(frame, &b)), 0);
	u = ovs_upcall_next();
	assert_non_null(u);
	assert_int_equal(u->key.ct_mark, 1);
	assert_int_equal(u->key.ct_src[0], inet_addr(C[0]));
	/* Of the other: still its own mark. */
	ovs_packet(3, &b);
	u = ovs_upcall_next();
	assert_non_null(u);
	assert_int_equal(u->key.ct_mark, 2);
	/* Its connection has gone: it is no other's, and none by itself. */
	reset(state);
	ovs_packet(3, &b);
	assert_non_null(ovs_upcall_next());
	f->live = 0xabcd00 | SLOT;
	assert_int_equal(ovs_send_token(f->live, frame, build(frame, &b)), 0);
	u = ovs_upcall_next();
	assert_non_null(u);
	assert_int_equal(u->key.ct_state, S_TRK | S_INV);
}

#define HELPED(f) cmocka_unit_test_setup(f, listened)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		HELPED(payload_is_taken_as_it_came),
		HELPED(what_is_sent_goes_on_behind_its_ct),
		HELPED(what_is_sent_goes_out_by_its_flow),
		HELPED(what_has_lost_its_way_goes_from_the_start),
		HELPED(what_nobody_has_entered_is_dropped),
		HELPED(payload_in_fragments_is_taken_whole),
		HELPED(what_is_sent_in_fragments_leaves_in_fragments),
		HELPED(fragments_that_are_sent_recirculate_with_their_state),
		HELPED(helper_comes_with_the_entry),
		HELPED(any_helper_of_a_sip_port_is_sip),
		HELPED(first_message_in_fragments_may_be_sips),
		HELPED(a_translated_packet_is_nobody_elses),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("ovs_helped", tests, up, down) ? 1 : 0;
}
