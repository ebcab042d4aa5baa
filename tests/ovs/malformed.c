// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Malformed flows from user space: netlink attributes of good actions and keys, each cut at every
 * length and with every byte changed, must be refused or mean something, and never end vswitchd.
 * Built with AddressSanitizer against Open vSwitch's own library (tests/netns/ovs_flows.sh).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "consumers/ovs/dpif-bpf-xlate.h"
#include "netlink.h"
#include "odp-util.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/vlog.h"
#include "packets.h"

static const char *const actions[] = {
	"1,2,3",
	"userspace(pid=0,userdata(0102030405060708),tunnel_out_port=3)",
	"set(eth(src=02:00:00:00:00:00/ff:ff:ff:00:00:00)),set(ipv4(src=1.2.3.4,tos=0x10/"
	"0xfc,ttl=63)),2",
	"set(ipv6(dst=fd00::/"
	"ffff::,label=0x12345,tclass=0x3)),set(udp(dst=53)),set(icmp(type=3,code=4))",
	"set(nd(target=fd00::1,sll=02:00:00:00:00:09)),set(arp(sip=1.2.3.4,op=2)),set(skb_mark(0x7/"
	"0xff))",
	"set(tunnel(tun_id=0x7,src=10.9.9.1,dst=10.9.9.9,tos=0x4,ttl=64,flags(df|csum|key))),2",
	"set(tunnel(tun_id=0x7,ipv6_dst=fd09::9,ttl=64,flags(key))),2",
	"push_vlan(tpid=0x88a8,vid=7,pcp=3),pop_vlan,recirc(1)",
	"ct(commit,zone=7,mark=0x1/0xff,label=0x102/0xffff,timeout=3)",
	"ct(commit,helper=ftp),ct(commit,zone=3,helper=sip,nat)",
	"ct(force_commit,nat(src=1.2.3.4-1.2.3.9:100-200,persistent,hash)),ct_clear",
	"ct(commit,nat(dst=[fd00::1]:80,random)),ct(zone=3,nat)",
	"sample(sample=12.5%,actions(set(skb_mark(0x1)),2,sample(sample=25.0%,actions(3)))),3",
	"clone(clone(push_vlan(vid=7,pcp=0),2)),check_pkt_len(size=200,gt(2),le(3)),trunc(100),"
	"meter(5)",
	"ct(commit),trunc(100),clone(add_mpls(label=2,tc=0,ttl=64,bos=1,eth_type=0x8847),2),3",
	"push_nsh(flags=0,ttl=63,mdtype=1,np=3,spi=0x1234,si=255,c1=0x1,c2=0x0,c3=0x0,c4=0x0),2",
};

static const char *const keys[] = {
	"recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(src=10.0.0.0/"
	"255.0.0.0,proto=6,tos=0x10/0xfc,ttl=64,frag=no),tcp(src=80,dst=32768/"
	"0x8000),tcp_flags(+syn-ack)",
	"recirc_id(0),in_port(1),eth(),eth_type(0x86dd),ipv6(src=fd00::/"
	"ffff:ffff::,label=0x12345,proto=58,frag=no),icmpv6(type=135,code=0),nd(target=fd00::1,sll="
	"02:00:00:00:00:01)",
	"ct_state(+trk),ct_zone(0x7),ct_mark(0x1/0xff),ct_label(0x2/"
	"0xffff),ct_tuple4(src=10.0.0.1,dst=10.0.0.2,proto=6,tp_src=1,tp_dst=2),recirc_id(0x1),in_"
	"port(1),eth(),eth_type(0x0800),ipv4(frag=no)",
	"tunnel(tun_id=0x7,src=10.9.9.1,dst=10.9.9.2,ttl=64,flags(-df-csum+key)),recirc_id(0),in_"
	"port(1),eth(),eth_type(0x8100),vlan(vid=7,pcp=3),encap(eth_type(0x0806),arp(sip=10.0.0.1,"
	"op=1))",
};

static const uint8_t changed[] = {0x00, 0x01, 0x04, 0x05, 0x08, 0x7f, 0x80, 0xff};
static unsigned long tried, taken;

static struct ovs_cookie kept[OVS_FLOW_ACTIONS];

static int cookie_ref(void *arg, const struct ovs_cookie *c, uint32_t *index)
{
	uint32_t *n = arg;

	kept[*n % OVS_FLOW_ACTIONS] = *c;
	*index = (*n)++ % OVS_FLOW_ACTIONS + 1;
	return 0;
}

static const struct ovs_cookie *cookie_get(void *arg OVS_UNUSED, uint32_t index)
{
	return &kept[index - 1];
}

/* In memory that ends where the attributes do. What is taken is written back, too. */
static void try_actions(const void *data, size_t len)
{
	uint32_t n_cookies = 0;
	const struct dp_cookies cookies = {cookie_ref, cookie_get, &n_cookies};
	struct ovs_action a[OVS_FLOW_ACTIONS];
	const struct ovs_action *of[OVS_FLOW_ACTIONS];
	unsigned int n;
	struct ofpbuf out;
	void *copy = malloc(len ? len : 1);

	memcpy(copy, data, len);
	tried++;
	if (!dp_actions_from_nlattrs(copy, len, &cookies, a, &n)) {
		taken++;
		for (unsigned int i = 0; i < n; i++)
			of[i] = &a[i];
		ofpbuf_init(&out, 0);
		dp_actions_to_nlattrs(of, n, &cookies, &out);
		ofpbuf_uninit(&out);
	}
	free(copy);
}

static struct ofpbuf other; /* the key to a mask, and the other way round */

static void try_key(const void *data, size_t len)
{
	struct ovs_key k, m;
	struct ofpbuf key, mask;
	void *copy = malloc(len ? len : 1);

	memcpy(copy, data, len);
	tried++;
	if (!dp_key_from_nlattrs(copy, len, other.data, other.size, &k, &m)) {
		taken++;
		ofpbuf_init(&key, 0);
		ofpbuf_init(&mask, 0);
		dp_key_to_nlattrs(&k, &m, &key, &mask);
		ofpbuf_uninit(&key);
		ofpbuf_uninit(&mask);
	}
	free(copy);
}

static void try_mask(const void *data, size_t len)
{
	struct ovs_key k, m;
	void *copy = malloc(len ? len : 1);

	memcpy(copy, data, len);
	tried++;
	taken += !dp_key_from_nlattrs(other.data, other.size, copy, len, &k, &m);
	free(copy);
}

static void spoil(const struct ofpbuf *good, void (*try)(const void *, size_t))
{
	uint8_t *bytes = good->data, was;

	for (size_t len = 0; len <= good->size; len++)
		try(bytes, len);
	for (size_t at = 0; at < good->size; at++) {
		was = bytes[at];
		for (size_t i = 0; i < sizeof(changed); i++) {
			bytes[at] = changed[i];
			try(bytes, good->size);
		}
		bytes[at] = was;
	}
}

static void expect(int error, char *text, const char *what)
{
	if (!error)
		return;
	printf("FAIL malformed: cannot read '%s': %s\n", what, text ? text : "");
	exit(1);
}

static void spoil_key(const char *text)
{
	struct ofpbuf key, mask;
	char *error = NULL;

	ofpbuf_init(&key, 0);
	ofpbuf_init(&mask, 0);
	expect(odp_flow_from_string(text, NULL, &key, &mask, &error), error, text);
	other = mask;
	spoil(&key, try_key);
	other = key;
	spoil(&mask, try_mask);
	ofpbuf_uninit(&key);
	ofpbuf_uninit(&mask);
}

static void is_taken(const struct ofpbuf *actions, bool yes)
{
	unsigned long before = taken;

	try_actions(actions->data, actions->size);
	if ((taken > before) == yes)
		return;
	printf("FAIL malformed: a list of %u bytes was %s\n", actions->size,
	       yes ? "refused" : "taken");
	exit(1);
}

/* These it writes but does not read. A packet without an Ethernet header can lose none. */
static void spoil_headers(void)
{
	const struct ovs_action_push_eth eth = {.addresses.eth_dst = ETH_ADDR_C(02, 0, 0, 0, 0, 8)};
	const struct ovs_action_push_mpls push = {.mpls_ethertype = htons(ETH_TYPE_MPLS)};
	const ovs_be32 lse[2] = {htonl(0x2140), htonl(0xfffff000)};
	struct ofpbuf buf;
	size_t at;

	ofpbuf_init(&buf, 0);
	nl_msg_put_unspec(&buf, OVS_ACTION_ATTR_PUSH_MPLS, &push, sizeof(push));
	at = nl_msg_start_nested(&buf, OVS_ACTION_ATTR_SET_MASKED);
	nl_msg_put_unspec(&buf, OVS_KEY_ATTR_MPLS, lse, sizeof(lse));
	nl_msg_end_nested(&buf, at);
	nl_msg_put_be16(&buf, OVS_ACTION_ATTR_POP_MPLS, htons(ETH_TYPE_IP));
	nl_msg_put_flag(&buf, OVS_ACTION_ATTR_POP_ETH);
	nl_msg_put_unspec(&buf, OVS_ACTION_ATTR_PUSH_ETH, &eth, sizeof(eth));
	nl_msg_put_u32(&buf, OVS_ACTION_ATTR_OUTPUT, 2);
	spoil(&buf, try_actions);
	is_taken(&buf, true);
	nl_msg_put_unspec(&buf, OVS_ACTION_ATTR_PUSH_ETH, &eth, sizeof(eth));
	is_taken(&buf, false);
	ofpbuf_clear(&buf);
	nl_msg_put_flag(&buf, OVS_ACTION_ATTR_POP_ETH);
	is_taken(&buf, true);
	nl_msg_put_flag(&buf, OVS_ACTION_ATTR_POP_ETH);
	is_taken(&buf, false);
	ofpbuf_uninit(&buf);
}

int main(void)
{
	const struct ovs_action_hash hash = {.hash_alg = OVS_HASH_ALG_L4};

	vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++) {
		struct ofpbuf buf;

		ofpbuf_init(&buf, 0);
		expect(odp_actions_from_string(actions[i], NULL, &buf), NULL, actions[i]);
		/* One that it writes but does not read. */
		nl_msg_put_unspec(&buf, OVS_ACTION_ATTR_HASH, &hash, sizeof(hash));
		spoil(&buf, try_actions);
		ofpbuf_uninit(&buf);
	}
	spoil_headers();
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		spoil_key(keys[i]);
	printf("%lu tried, %lu taken\n", tried, taken);
	return taken && taken < tried ? 0 : 1;
}
