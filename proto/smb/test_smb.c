/* SMB: commands of both generations with their responses, NTLMSSP, DCE/RPC, hostile input, the tables. */
#include <errno.h>

#include "proto/smb/smb.h"
#include "proto/test_rig.h"

extern const struct proto smb_proto;

enum { MESSAGE_MAX = 32 * 1024 };

static struct smb_state flow;
static struct smb_config config = { .body_limit = 64 };
static _Alignas(8) uint8_t seen[RECORD_LEN_MAX]; /* the last record that the rules saw */

static void
keep_seen(unsigned int flags)
{
	if ((flags & PROTO_MATCH) != 0)
		memcpy(seen, rig->builder.base, rig->builder.len);
}

static const struct rig_desc desc = { .proto = &smb_proto, .table = &smb_table, .state = &flow, .config = &config, .slab_len = 4 << 20,
	.json_flags = PROTO_EMIT, .seen = keep_seen };

static int
setup(void **state)
{
	(void)state;
	return rig_create(&desc);
}

/* Hex with spaces; text between quotes is itself, behind a u in 16 bits. */
static size_t
bytes_of(const char *text, uint8_t *out, size_t cap)
{
	size_t len = 0;
	bool quoted = false, wide = false;

	for (; *text != '\0'; text++) {
		unsigned int byte;

		assert_true(len + 2 < cap);
		if (!quoted && *text == 'u') {
			wide = true;
		} else if (*text == '\'') {
			wide = wide && !quoted;
			quoted = !quoted;
		} else if (quoted) {
			out[len++] = (uint8_t)*text;
			if (wide)
				out[len++] = 0;
		} else if (*text != ' ') {
			assert_int_equal(sscanf(text, "%2x", &byte), 1);
			out[len++] = (uint8_t)byte;
			text++;
		}
	}
	return len;
}

static void
put_length(uint8_t *message, size_t len)
{
	message[0] = 0;
	message[1] = (uint8_t)(len >> 16);
	message[2] = (uint8_t)(len >> 8);
	message[3] = (uint8_t)len;
}

/* One command with its NetBIOS length. @return bytes */
static size_t
smb2(uint8_t *out, uint8_t command, bool response, uint32_t status, const char *body)
{
	size_t len = 4 + bytes_of("fe 'SMB' 4000 0000", out + 4, 64);

	memset(out + len, 0, 64 - (len - 4));
	memcpy(out + 12, &status, 4);
	out[16] = command;
	out[20] = response;
	out[28] = command; /* message id */
	out[40] = 7;       /* tree */
	out[44] = 9;       /* session */
	len = 68 + bytes_of(body, out + 68, MESSAGE_MAX - 68);
	put_length(out, len - 4);
	return len;
}

static size_t
smb1(uint8_t *out, uint8_t command, bool response, const char *body)
{
	size_t len;

	(void)bytes_of("ff 'SMB' 00 00000000 00 01c0 0000 0000000000000000 0000 0300 0200 0500 0400", out + 4, 64);
	out[8] = command;
	out[13] = response ? 0x80 : 0;
	len = 4 + SMB1_HEADER_LEN + bytes_of(body, out + 4 + SMB1_HEADER_LEN, MESSAGE_MAX - 64);
	put_length(out, len - 4);
	return len;
}

/* The bytes end where their block ends, so that the sanitizer sees every read beyond them. */
static void
feed(const uint8_t *data, size_t len, bool to_server)
{
	uint8_t *copy = malloc(len == 0 ? 1 : len);

	assert_non_null(copy);
	memcpy(copy, data, len);
	rig->ctx.to_server = to_server;
	rig->ctx.events = 0;
	rig->ctx.skip_len = 0;
	smb_proto.parse(&rig->ctx, cursor_of(copy, len));
	rig->events |= rig->ctx.events;
	assert_int_equal(rig->ctx.to_server, to_server);
	free(copy);
}

#define NTLM "'NTLMSSP' 00 03000000 0000000000000000 0000000000000000 0800 0800 48000000 0a00 0a00 50000000 0600 0600 5a000000 " \
	"0000000000000000 01000002 0a00 6345 000000 0f u'SITE' u'admin' u'HMI'"
#define BIND "05 00 0b 03 10000000 4800 0000 02000000 b810 b810 00000000 01 000000 0000 01 00 " \
	"81bb7a364498f135ad3298f038001003 02000000 045d888aeb1cc9119fe808002b104860 02000000"
#define REQUEST "05 00 00 03 10000000 1c00 0000 03000000 04000000 0000 0c00 deadbeef"
#define RESPONSE "05 00 02 03 10000000 1c00 0000 03000000 04000000 0000 0000 cafe0000"

static const struct {
	const char *name;
	uint8_t version, command;
	uint32_t status;
	const char *request, *response, *has;
	uint64_t events;
} pairs[] = {
	{ "negotiate", 2, 0, 0, "2400 0200 0100 0000 00000000 00000000000000000000000000000000 0000000000000000 0202 1003",
		"4100 0100 1002 0000 2a00000008000000 0900000008000000 00000000 00001000 00001000 00008000 0000000000000000",
		"{\"id\":1,\"dialect\":\"2.10\",\"command\":\"SMB2_COMMAND_NEGOTIATE_PROTOCOL\",\"status\":\"STATUS_SUCCESS\","
		"\"status_code\":\"0x0\",\"session_id\":9,\"tree_id\":7,\"client_dialects\":[\"2.02\",\"3.10\"],\"client_guid\":\"00000000-0000-0000-0000-000000000000\","
		"\"server_guid\":\"0000002a-0008-0000-0009-000000000008\",\"max_read_size\":1048576,\"max_write_size\":8388608,\"response_time_us\":0}", 0 },
	{ "setup", 2, 1, 0xc000006d, "1900 00 01 00000000 00000000 5800 6000 0000000000000000 " NTLM, "0900 0000 0000 0000",
		"\"status\":\"STATUS_LOGON_FAILURE\",\"status_code\":\"0xc000006d\",\"session_id\":9,\"tree_id\":7,\"ntlmssp\":{\"domain\":\"SITE\","
		"\"user\":\"admin\",\"host\":\"HMI\",\"version\":\"10.0 build 17763 rev 15\"}", 0 },
	{ "tree", 2, 3, 0, "0900 0000 4800 1a00 u'\\\\plc\\recipes' 0000", "1000 01 00", "\"share\":\"\\\\\\\\plc\\\\recipes\",\"share_type\":\"FILE\"", 0 },
	{ "pipes", 2, 3, 0, "0900 0000 4800 1400 u'\\\\plc\\IPC$'", "1000 02 00", "\"named_pipe\":\"\\\\\\\\plc\\\\IPC$\",\"share_type\":\"PIPE\"", 0 },
	{ "create", 2, 5, 0xc0000034, "3900 00 00 00000000 0000000000000000 0000000000000000 89001200 00000000 07000000 01000000 00000000 "
		"7800 0c00 00000000 00000000 u'svcctl'", "0900 0000", "\"filename\":\"svcctl\",\"disposition\":\"FILE_OPEN\",\"access_mask\":1179785", 0 },
	{ "write", 2, 9, 0, "3100 7000 48000000 0000000000000000 0500000000000000 0000000000000000 00000000 00000000 0000 0000 00000000 " BIND,
		"1100 0000", "\"dcerpc\":{\"request\":\"BIND\",\"interfaces\":[{\"uuid\":\"367abb81-9844-35f1-ad32-98f038001003\",\"version\":\"2.0\"}],"
		"\"call_id\":2}", 0 },
	{ "read", 2, 8, 0, "3100 00 00 1c000000 0000000000000000 0500000000000000 0000000000000000 00000000 00000000 00000000 0000 0000 00", "1100 50 00 1c000000 00000000 00000000 " RESPONSE,
		"\"dcerpc\":{\"response\":\"RESPONSE\",\"res\":{\"frag_cnt\":1,\"stub_data_size\":4},\"call_id\":3}", 0 },
	{ "transceive", 2, 11, 0, "3900 0000 17c01100 0500000000000000 0000000000000000 78000000 1c000000 00000000 00000000 00000000 00000000 "
		"00000000 00000000 " REQUEST, "3100 0000 17c01100 0500000000000000 0000000000000000 70000000 00000000 70000000 1c000000 00000000 00000000 "
		RESPONSE, "\"function\":\"FSCTL_PIPE_TRANSCEIVE\",\"dcerpc\":{\"request\":\"REQUEST\",\"response\":\"RESPONSE\",\"opnum\":12,\"req\":{\"frag_cnt\":1,\"stub_data_size\":4},"
		"\"res\":{\"frag_cnt\":1,\"stub_data_size\":4},\"call_id\":3}", 0 },
	{ "create cut", 2, 5, 0, "3900 00 00 00000000", "0900 0000", "\"SMB2_COMMAND_CREATE\"", UINT64_C(1) << SMB_EVENT_MALFORMED_DATA },
	{ "negotiate 1", 1, 0x72, 0, "00 0c00 02 'NT LM 0.12' 00", "00 0000", "\"client_dialects\":[\"NT LM 0.12\"]", 0 },
	{ "setup 1", 1, 0x73, 0, "0c ff00 0000 0000 0000 0000 00000000 6000 00000000 00000000 6000 " NTLM, "00 0000", "\"user\":\"admin\"", 0 },
	{ "setup 1, plain", 1, 0x73, 0, "0d ff00 0000 0000 0000 0000 00000000 0100 0100 00000000 00000000 1800 aabb 00 u'admin' 0000 u'SITE' 0000",
		"00 0000", "\"user\":\"admin\",\"domain\":\"SITE\"", 0 },
	{ "tree 1", 1, 0x75, 0, "04 ff00 0000 0000 0100 1400 00 u'\\\\plc\\c$' 0000 'A:' 00", "00 0000", "\"share\":\"\\\\\\\\plc\\\\c$\"", 0 },
	{ "create 1", 1, 0xa2, 0, "18 ff000000 00 0c00 00000000 00000000 9f010200 0000000000000000 00000000 07000000 05000000 00000000 00000000 00 "
		"0d00 00 u'a.bat' 0000", "00 0000", "\"filename\":\"a.bat\",\"disposition\":\"FILE_OVERWRITE_IF\"", 0 },
	{ "trans 1", 1, 0x25, 0, "10 0000 1c00 0000 0000 00 00 0000 00000000 0000 0000 0000 1c00 5600 02 00 2600 0200 1300 00 u'\\PIPE\\' 0000 " REQUEST,
		"00 0000", "\"filename\":\"\\\\PIPE\\\\\"", 0 },
	{ "dialect 1", 1, 0x72, 0, "00 1800 02 'PC UNKNOWN' 00 02 'NT LM 0.12' 00", "01 0100 0000", "\"dialect\":\"NT LM 0.12\"", 0 },
	{ "dialect unknown 1", 1, 0x72, 0, "00 1800 02 'PC UNKNOWN' 00 02 'NT LM 0.12' 00", "01 0000 0000", "{\"id\":1,\"command\"", 0 },
	{ "core write 1", 1, 0x0b, 0, "05 0500 4800 00000000 0000 4b00 01 4800 " BIND, "01 4800 0000",
		"\"dcerpc\":{\"request\":\"BIND\",\"interfaces\":[{\"uuid\":\"367abb81-9844-35f1-ad32-98f038001003\",\"version\":\"2.0\"}]", 0 },
	{ "core read 1", 1, 0x0a, 0, "05 0500 1c00 00000000 0000 0000", "05 1c00 0000000000000000 1f00 01 1c00 " RESPONSE,
		"\"dcerpc\":{\"response\":\"RESPONSE\",\"res\":{\"frag_cnt\":1,\"stub_data_size\":4},\"call_id\":3}", 0 },
	{ "trans2 1", 1, 0x32, 0, "0f 1400 0000 0200 0000 00 00 0000 00000000 0000 1400 4400 0000 0000 01 00 0600 1700 00 0000 0401 00000000 "
		"u'\\a.bat' 0000", "0a 0200 0000 0000 0200 3800 0000 0000 0000 0000 00 00 0000", "\"subcmd\":\"SET_PATH_INFO\",", 0 },
	{ "trans2 1, a name", 1, 0x32, 0, "0f 1400 0000 0200 0000 00 00 0000 00000000 0000 1400 4400 0000 0000 01 00 0600 1700 00 0000 0401 00000000 "
		"u'\\a.bat' 0000", "00 0000", "\"filename\":\"\\\\a.bat\"", 0 },
	{ "trans2 1, of a file", 1, 0x32, 0, "0f 0400 0000 0200 0000 00 00 0000 00000000 0000 0400 4400 0000 0000 01 00 0700 0700 00 0000 0500 0401",
		"00 0000", "\"subcmd\":\"QUERY_FILE_INFO\",\"status\"", 0 },
	{ "delete 1", 1, 0x06, 0, "01 0600 0d00 04 u'a.cfg' 0000", "00 0000", "\"filename\":\"a.cfg\",\"response_time_us\"", 0 },
	{ "directory 1", 1, 0x01, 0, "00 0d00 04 u'a.cfg' 0000", "00 0000", "\"filename\":\"a.cfg\"", 0 },
	{ "rename 1", 1, 0x07, 0, "01 0600 1b00 04 u'a.cfg' 0000 04 00 u'a.bak' 0000", "00 0000",
		"\"filename\":\"a.cfg\",\"rename\":{\"from\":\"a.cfg\",\"to\":\"a.bak\"},", 0 },
	{ "rename cut 1", 1, 0x07, 0, "01 0600 0d00 04 u'a.cfg' 0000", "00 0000", "\"filename\":\"a.cfg\",\"response_time_us\"", 0 },
	{ "no name 1", 1, 0x06, 0, "01 0600 0300 05 4100", "00 0000", "\"tree_id\":3,\"response_time_us\"", 0 },
	{ "rename", 2, 17, 0, "2100 01 0a 1e000000 6000 0000 00000000 0500000000000000 0000000000000000 01 00000000000000 0000000000000000 "
		"0a000000 u'a.bak'", "0200", "\"rename\":{\"to\":\"a.bak\"},", 0 },
	{ "delete", 2, 17, 0, "2100 01 0d 01000000 6000 0000 00000000 0500000000000000 0000000000000000 01", "0200", "\"access\":\"delete on close\"", 0 },
	{ "bytes missing 1", 1, 0x72, 0, "00 ff00 02 'NT LM 0.12' 00", "00 0000", "\"NT LM 0.12\"", UINT64_C(1) << SMB_EVENT_MALFORMED_DATA },
	{ "kerberos", 2, 1, 0, "1900 00 01 00000000 00000000 5800 7b00 0000000000000000 607906062b0601050502a06f306da00d300b06092a864886f712010202a25c045a605806092a864886f7120102020100 'nI0G' a003020105a10302010ea20703050000000000a3 '2a00.' a003020105a10a1b08 'SITE.LAN' a2173015a003020102a10e300c1b04 'cifs' 1b04 'plc1' a3023000",
		"0900 0000 0000 0000",
		"\"kerberos\":{\"realm\":\"SITE.LAN\",\"snames\":[\"cifs\",\"plc1\"]},\"response_time_us\"", 0 },
	{ "directory", 2, 5, 0, "3900 00 00 00000000 0000000000000000 0000000000000000 89001200 00000000 07000000 02000000 01100000 7800 0800 00000000 00000000 u'logs'",
		"5900 00 00 02000000 00c08976453cda01 80562277453cda01 00edba77453cda01 80835378453cda01 0010000000000000 2a00000000000000 10000000 00000000 2a00000008000000 0900000008000000 00000000 00000000",
		"\"directory\":\"logs\",\"disposition\":\"FILE_CREATE\",\"access_mask\":1179785,\"access\":\"delete on close\",\"created\":1704067200,\"accessed\":1704067201,\"modified\":1704067202,\"changed\":1704067203,\"size\":42,\"fuid\":\"0000002a-0008-0000-0009-000000000008\",\"response_time_us\"", 0 },
	{ "root", 2, 5, 0, "3900 00 00 00000000 0000000000000000 0000000000000000 89001200 00000000 07000000 01000000 01000000 7800 0000 00000000 00000000",
		"5900 00 00 01000000 0000000000000000000000000000000000000000000000000000000000000000 0000000000000000 0000000000000000 10000000 00000000 2a00000008000000 0900000008000000 00000000 00000000",
		"\"filename\":\"<share_root>\",\"disposition\":\"FILE_OPEN\",\"access_mask\":1179785,\"access\":\"normal\",\"created\":0,", 0 },
	{ "opened 1", 1, 0xa2, 0, "18 ff000000 00 0c00 00000000 00000000 9f010200 0000000000000000 00000000 07000000 05000000 40000000 00000000 00 0d00 00 u'a.bat' 0000",
		"22 ff000000 00 0a40 02000000 00c08976453cda01 80562277453cda01 00edba77453cda01 80835378453cda01 20000000 0010000000000000 0900000000000000 0000 0000 00 0000",
		"\"access\":\"normal\",\"created\":1704067200,\"accessed\":1704067201,\"modified\":1704067202,\"changed\":1704067203,\"size\":9,\"fuid\":\"400a\",", 0 },
	{ "opened 1, extended", 1, 0xa2, 0, "18 ff000000 00 0c00 00000000 00000000 9f010200 0000000000000000 00000000 07000000 05000000 40000000 00000000 00 0d00 00 u'a.bat' 0000",
		"2a ff000000 00 0a40 02000000 00c08976453cda01 80562277453cda01 00edba77453cda01 80835378453cda01 20000000 0010000000000000 0900000000000000 0000 0000 00 "
		"000000000000000000000000000000000000000000000000 ff011f00 00000000 5c69",
		"\"access\":\"normal\",\"created\":1704067200,\"accessed\":1704067201,\"modified\":1704067202,\"changed\":1704067203,\"size\":9,\"fuid\":\"400a\",", 0 },
	{ "systems 1", 1, 0x73, 0, "0d ff00 0000 0000 0000 0000 00000000 0100 0100 00000000 00000000 2800 aabb 00 u'admin' 0000 u'SITE' 0000 u'OS5' 0000 u'LM' 0000 00",
		"04 ff00 0000 0000 0200 1700 aabb 00 u'NT' 0000 u'LM6' 0000 u'WG' 0000",
		"\"request\":{\"native_os\":\"OS5\",\"native_lm\":\"LM\"},\"response\":{\"native_os\":\"NT\",\"native_lm\":\"LM6\"},", 0 },
	{ "service 1", 1, 0x75, 0, "04 ff00 0000 0000 0100 1900 00 u'\\\\plc\\c$' 0000 'LPT1:' 00",
		"03 ff00 0000 0000 0d00 'A:' 00 u'NTFS' 0000",
		"\"share\":\"\\\\\\\\plc\\\\c$\",\"service\":{\"request\":\"LPT1:\",\"response\":\"A:\"},", 0 },
	{ "negotiate 1, extended", 1, 0x72, 0, "00 0c00 02 'NT LM 0.12' 00",
		"11 0000 03 3200 0100 04110000 00000100 00000000 00000080 0000000000000000 0000 00 1000 2a00000008000000 0900000008000000",
		"\"client_dialects\":[\"NT LM 0.12\"],\"server_guid\":\"0000002a-0008-0000-0009-000000000008\"", 0 },
	{ "transaction 1", 1, 0x25, 0, "10 0000 1c00 0000 0000 00 00 0000 00000000 0000 0000 0000 1c00 5600 02 00 2600 0200 1300 00 u'\\PIPE\\' 0000 " REQUEST,
		"00 0000",
		"\"command\":\"SMB1_COMMAND_TRANS\",\"subcmd\":\"TRANSACT_NMPIPE\",", 0 },
	{ "nt transaction 1", 1, 0xa0, 0, "13 01 0000 00000000 00000000 08000000 00000000 00000000 4c000000 00000000 4c000000 00 0600 0000",
		"00 0000",
		"\"subcmd\":\"NT_TRANSACT_QUERY_SECURITY_DESC\"", 0 },
	{ "disposition 1", 1, 0x32, 0, "0f 0600 0100 0200 0000 00 00 0000 00000000 0000 0600 4400 0100 4c00 01 00 0800 0c00 00 0000 0a40 f503 0000 0000 01",
		"0a 0200 0000 0000 0200 3800 0000 0000 0000 0000 00 00 0000",
		"\"subcmd\":\"SET_FILE_INFO\",\"status\":\"STATUS_SUCCESS\",\"status_code\":\"0x0\",\"session_id\":5,\"tree_id\":3,\"access\":\"delete on close\",\"level_of_interest\":\"Set Disposition Information\",\"fuid\":\"400a\",", 0 },
	{ "bind ack", 2, 11, 0, "3900 0000 17c01100 0500000000000000 0000000000000000 78000000 48000000 00000000 00000000 00000000 00000000 00000000 00000000 " BIND,
		"3100 0000 17c01100 0500000000000000 0000000000000000 70000000 00000000 70000000 44000000 00000000 00000000 05000c03100000004400000002000000b810b810341200000d005c 'PIPE' 5c 'svcctl' 000001000000020001000000000000000000000000000000000000000000",
		"\"function\":\"FSCTL_PIPE_TRANSCEIVE\",\"dcerpc\":{\"request\":\"BIND\",\"response\":\"BINDACK\",\"interfaces\":[{\"uuid\":\"367abb81-9844-35f1-ad32-98f038001003\",\"version\":\"2.0\",\"ack_result\":2,\"ack_reason\":1}],", 0 },
	{ "fragments", 2, 9, 0, "3100 7000 3e000000 0000000000000000 0500000000000000 0000000000000000 00000000 00000000 0000 0000 00000000 05000001100000001c000000030000000400000000000c00deadbeef050000021000000022000400030000000400000000000c00deadbeef000000000000",
		"1100 0000",
		"\"req\":{\"frag_cnt\":2,\"stub_data_size\":14},", 0 },
};

static size_t
message_of(size_t i, bool response, uint8_t *out)
{
	const char *body = response ? pairs[i].response : pairs[i].request;

	return pairs[i].version == 2 ? smb2(out, pairs[i].command, response, response ? pairs[i].status : 0, body)
				     : smb1(out, pairs[i].command, response, body);
}

static void
test_pairs(void **state)
{
	uint8_t data[MESSAGE_MAX];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(pairs); i++) {
		rig_renew();
		feed(data, message_of(i, false, data), true);
		feed(data, message_of(i, true, data), false);
		if (rig->events != pairs[i].events || rig->matched != 2 || rig->emitted != 1 || strstr(rig->json.data, pairs[i].has) == NULL)
			fail_msg("%s: events %llx, %u and %u, no %s in %s", pairs[i].name, (unsigned long long)rig->events, rig->matched,
				rig->emitted, pairs[i].has, rig->json.data);
	}
}

static void
test_cut(void **state)
{
	uint8_t data[MESSAGE_MAX];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(pairs); i++)
		for (int response = 0; response < 2; response++) {
			size_t len = message_of(i, response, data);

			for (size_t cut = 0; cut <= len; cut++) {
				uint8_t *copy = malloc(cut + 1);
				int framed;

				assert_non_null(copy);
				memcpy(copy, data, cut);
				framed = smb_proto.frame(cursor_of(copy, cut), true);
				assert_true(framed == (cut < 8 ? 0 : (int)len));
				(void)smb_proto.probe(cursor_of(copy, cut), true, true);
				(void)smb_proto.sender_is_server(cursor_of(copy, cut));
				free(copy);
				feed(data, cut, !response);
				if (cut > 4) { /* whole, and wrong inside */
					put_length(data, cut - 4);
					feed(data, cut, !response);
					put_length(data, len - 4);
				}
			}
		}
}

static void
test_keywords(void **state)
{
	static const struct {
		unsigned int keyword;
		const char *value;
		int setup;
		bool match;
	} rows[] = {
		{ 0, "367abb81-9844-35f1-ad32-98f038001003", 0, true }, { 1, "367abb81-9844-35f1-ad32-98f038001003,=2,any_frag", 0, true },
		{ 0, "367abb81-9844-35f1-ad32-98f038001003,>2", 0, false }, { 0, "367abb81-9844-35f1-ad32-98f038001003,<3", 0, true },
		{ 0, "367abb81-9844-35f1-ad32-98f038001003,!2", 0, false }, { 0, "367abb81-9844-35f1-ad32-98f038001004", 0, false },
		{ 0, "367abb81", -EINVAL, false }, { 0, "367abb81-9844-35f1-ad32-98f038001003,x", -EINVAL, false },
		{ 0, "367abb81-9844-35f1-ad32-98f038001003 x", -EINVAL, false }, { 2, "12", 0, true }, { 3, "1,10-13", 0, true }, { 2, "13", 0, false },
		{ 2, "", -EINVAL, false }, { 2, "1-", -EINVAL, false }, { 2, "9-1", -EINVAL, false }, { 2, "1;2", -EINVAL, false }, { 2, "70000", -EINVAL, false },
	};
	uint8_t data[MESSAGE_MAX];

	(void)state;
	feed(data, message_of(5, false, data), true); /* the bind */
	feed(data, message_of(7, false, data), true); /* the request */
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct rule_app_test test;
		char err[128] = "";

		assert_int_equal(smb_keywords[rows[i].keyword].setup(rows[i].value, &test, err, sizeof(err)), rows[i].setup);
		if (rows[i].setup == 0 && smb_keywords[rows[i].keyword].test(&test, seen) != rows[i].match)
			fail_msg("%s", rows[i].value);
	}
}

static void
test_limits(void **state)
{
	uint8_t data[MESSAGE_MAX];
	size_t len = smb2(data, 9, false, 0, "3100 7000 00000100 0000000000000000"), at;

	(void)state;
	/* A long write: its front is read, the rest comes raw. */
	put_length(data, 0x10000 + 112);
	assert_int_equal(smb_proto.frame(cursor_of(data, len), true), SMB_PDU_LEN_MAX);
	memset(data + len, 0, SMB_PDU_LEN_MAX - len);
	feed(data, SMB_PDU_LEN_MAX, true);
	assert_true(rig->ctx.raw);
	assert_int_equal(rig->ctx.skip_len, 0);
	assert_int_equal(flow.rests[1].left, 0x10000 + 112 + 4 - SMB_PDU_LEN_MAX);
	assert_int_equal(rig->events, 0);
	rig_renew();
	for (unsigned int i = 0; i <= SMB_OPEN_MAX; i++)
		feed(data, smb2(data, 13, false, 0, "0400 0000"), true);
	assert_int_equal(rig->events, UINT64_C(1) << SMB_EVENT_FLOODED);
	assert_int_equal(flow.pairs.count, SMB_OPEN_MAX);
	/* Commands that follow one another in a message. */
	rig_renew();
	for (at = 0; at < (SMB_COMPOUND_MAX + 1) * 72; at += 72) {
		uint8_t one[128];

		(void)smb2(one, 13, false, 0, "0400 0000 00000000");
		one[24] = 72;
		memcpy(data + 4 + at, one + 4, 72);
	}
	put_length(data, at);
	feed(data, 4 + at, true);
	assert_int_equal(rig->matched, SMB_COMPOUND_MAX);
	assert_int_equal(rig->events, UINT64_C(1) << SMB_EVENT_TOO_MANY_COMMANDS);
	/* Without memory each message is written at once; an answer alone is said when there were requests. */
	rig_renew();
	rig->ctx.slab = NULL;
	feed(data, smb2(data, 13, true, 0, "0400 0000"), false);
	assert_int_equal(rig->events, 0);
	feed(data, smb2(data, 13, false, 0, "0400 0000"), true);
	feed(data, smb2(data, 13, true, 0, "0400 0000"), false);
	assert_int_equal(rig->events, UINT64_C(1) << SMB_EVENT_RESPONSE_WITHOUT_REQUEST);
	assert_int_equal(rig->emitted, 3);
	rig->ctx.slab = rig->slab;
}

/* An answer that comes late has another number in the tree's place; what belongs to the command before it has all ones there. */
static void
test_trees(void **state)
{
	uint8_t data[MESSAGE_MAX], one[128];
	size_t len;

	(void)state;
	feed(data, smb2(data, 15, false, 0, "2000 0000 00000000"), true);
	len = smb2(data, 15, true, 0x103, "0900 0000");
	data[20] = 3; /* a response, not in order */
	data[40] = 0x33;
	feed(data, len, false);
	assert_int_equal(rig->emitted, 0);
	len = smb2(data, 15, true, 0, "0900 0000");
	data[20] = 3;
	data[40] = 0x33;
	feed(data, len, false);
	assert_non_null(strstr(rig->json.data, "\"tree_id\":7,"));
	assert_int_equal(((const struct smb_record *)(const void *)seen)->tree_id, 7);
	rig_renew();
	(void)smb2(data, 13, false, 0, "0400 0000 00000000");
	data[24] = 72;
	(void)smb2(one, 14, false, 0, "0400 0000 00000000");
	one[20] = 4;
	memset(one + 40, 0xff, 12); /* tree, session */
	memcpy(data + 76, one + 4, 72);
	put_length(data, 144);
	feed(data, 148, true);
	assert_int_equal(rig->matched, 2);
	assert_int_equal(((const struct smb_record *)(const void *)seen)->tree_id, 7);
	assert_int_equal(((const struct smb_record *)(const void *)seen)->session_id, 9);
}

/* Versions of both are offered in the form of version 1; what answers is of version 2 (MS-SMB2 3.3.5.3.1). */
static void
test_negotiate_both(void **state)
{
	uint8_t data[MESSAGE_MAX];

	(void)state;
	feed(data, smb1(data, 0x72, false, "00 1700 02 'NT LM 0.12' 00 02 'SMB 2.\?\?\?' 00"), true);
	feed(data, smb2(data, 0, true, 0, "4100 0100 ff02 0000"), false);
	assert_int_equal(rig->emitted, 1);
	assert_has(&rig->json, "\"dialect\":\"2.\?\?\",\"command\":\"SMB1_COMMAND_NEGOTIATE_PROTOCOL\",\"status\":\"STATUS_SUCCESS\"");
	assert_has(&rig->json, "\"client_dialects\":[\"NT LM 0.12\",\"SMB 2.\?\?\?\"]");
	feed(data, smb2(data, 0, true, 0, "4100 0100 ff02 0000"), false);
	assert_int_equal(rig->emitted, 2);
	assert_has(&rig->json, "\"command\":\"SMB2_COMMAND_NEGOTIATE_PROTOCOL\"");
}

/* A status that is none of NT is a class and a code (MS-CIFS 2.2.2.4), which NT_STATUS of the response's own flags says. */
static void
test_dos_errors(void **state)
{
	static const struct {
		uint8_t status[4];
		bool nt;
		const char *has;
	} rows[] = {
		{ { 1, 0, 2, 0 }, false, "\"status\":\"DOS_BAD_FILE\",\"status_code\":\"0x0002\",\"error_class\":\"ERRDOS\"," },
		{ { 1, 0xee, 0x12, 0 }, false, "\"status\":\"DOS_NOFILES\",\"status_code\":\"0x0012\",\"error_class\":\"ERRDOS\"," },
		{ { 2, 0, 0x5b, 0 }, false, "\"status\":\"SRV_BADUID\",\"status_code\":\"0x005b\",\"error_class\":\"ERRSRV\"," },
		{ { 2, 0, 0xc2, 8 }, false, "\"status\":\"SRV_PASSWORDEXPIRED\",\"status_code\":\"0x08c2\",\"error_class\":\"ERRSRV\"," },
		{ { 3, 0, 0x13, 0 }, false, "\"status\":\"HRD_NOWRITE\",\"status_code\":\"0x0013\",\"error_class\":\"ERRHRD\"," },
		{ { 9, 0, 1, 0x80 }, false, "\"status_code\":\"0x8001\",\"error_class\":\"UNKNOWN-9\"," },
		{ { 0, 0xee, 0, 0 }, false, "\"status\":\"STATUS_SUCCESS\",\"status_code\":\"0x0\",\"session_id\"" },
		{ { 0x22, 0, 0, 0xc0 }, true, "\"status\":\"STATUS_ACCESS_DENIED\",\"status_code\":\"0xc0000022\",\"session_id\"" },
		{ { 2, 0, 5, 0 }, true, "\"status\":\"STATUS_SMB_BAD_TID\",\"status_code\":\"0x50002\",\"session_id\"" },
	};
	uint8_t data[MESSAGE_MAX];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		size_t len;

		rig_renew();
		feed(data, smb1(data, 0x06, false, "01 0600 0900 04 u'a.cfg' 0000"), true);
		len = smb1(data, 0x06, true, "00 0000");
		memcpy(data + 9, rows[i].status, 4);
		data[15] = rows[i].nt ? 0xc0 : 0x80;
		feed(data, len, false);
		assert_has(&rig->json, rows[i].has);
	}
}

/* @return bytes of a message of the two */
static size_t
compound(uint8_t *out, const uint8_t *first, size_t first_len, const uint8_t *second, size_t second_len)
{
	size_t padded = (first_len - 4 + 7) & ~(size_t)7;

	memset(out, 0, 4 + padded);
	memcpy(out, first, first_len);
	out[24] = (uint8_t)padded;
	out[25] = (uint8_t)(padded >> 8);
	memcpy(out + 4 + padded, second + 4, second_len - 4);
	out[4 + padded + 16] |= 4; /* related */
	put_length(out, padded + second_len - 4);
	return 4 + padded + second_len - 4;
}

#define RELATED "ffffffffffffffff ffffffffffffffff"
#define WRITE_BIND(file) "3100 7000 48000000 0000000000000000 " file " 00000000 00000000 0000 0000 00000000 " BIND
#define TRANSCEIVE(file) "3900 0000 17c01100 " file " 78000000 1c000000 00000000 00000000 00000000 00000000 00000000 00000000 " REQUEST

static bool
seen_is_svcctl(void)
{
	struct rule_app_test test;
	char err[128];

	assert_int_equal(smb_keywords[0].setup("367abb81-9844-35f1-ad32-98f038001003", &test, err, sizeof(err)), 0);
	return smb_keywords[0].test(&test, seen);
}

/* A pipe that is bound in the message that opens it is known by all ones there (MS-SMB2 3.2.4.1.4), and by its number behind. */
static void
test_related_pipe(void **state)
{
	uint8_t data[1024], one[512], two[512];
	size_t one_len = smb2(one, 5, false, 0, "3900 00 00 00000000 0000000000000000 0000000000000000 89001200 00000000 07000000 01000000 00000000 "
		"7800 0c00 00000000 00000000 u'svcctl'");

	(void)state;
	feed(data, compound(data, one, one_len, two, smb2(two, 9, false, 0, WRITE_BIND(RELATED))), true);
	feed(data, smb2(data, 5, true, 0, "5900 00 00 01000000 0000000000000000 0000000000000000 0000000000000000 0000000000000000 0000000000000000 "
		"0000000000000000 80000000 00000000 0500000000000000 0600000000000000 00000000 00000000"), false);
	feed(data, smb2(data, 11, false, 0, TRANSCEIVE("0500000000000000 0700000000000000")), true);
	assert_false(seen_is_svcctl());
	feed(data, smb2(data, 11, false, 0, TRANSCEIVE("0500000000000000 0600000000000000")), true);
	assert_true(seen_is_svcctl());
	assert_int_equal(rig->events, 0);
	/* Of one message: bound and asked by the number of the command before. */
	rig_renew();
	one_len = smb2(one, 9, false, 0, WRITE_BIND("0900000000000000 0000000000000000"));
	feed(data, compound(data, one, one_len, two, smb2(two, 11, false, 0, TRANSCEIVE(RELATED))), true);
	assert_true(seen_is_svcctl());
	/* Opened, and asked what was bound to another. */
	rig_renew();
	feed(data, smb2(data, 9, false, 0, WRITE_BIND("0900000000000000 0000000000000000")), true);
	feed(data, smb2(data, 11, false, 0, TRANSCEIVE(RELATED)), true);
	assert_false(seen_is_svcctl());
}

/* What is renamed and deleted by its number has the name that it was opened under. */
static void
test_set_info(void **state)
{
	uint8_t data[1024], one[512], two[512];
	size_t one_len;

	(void)state;
	feed(data, smb2(data, 5, false, 0, "3900 00 00 00000000 0000000000000000 0000000000000000 89001200 00000000 07000000 01000000 00000000 "
		"7800 0a00 00000000 00000000 u'a.cfg'"), true);
	feed(data, smb2(data, 5, true, 0, "5900 00 00 01000000 0000000000000000 0000000000000000 0000000000000000 0000000000000000 0000000000000000 "
		"0000000000000000 80000000 00000000 0500000000000000 0600000000000000 00000000 00000000"), false);
	feed(data, smb2(data, 17, false, 0, "2100 01 0a 1e000000 6000 0000 00000000 0500000000000000 0600000000000000 01 00000000000000 "
		"0000000000000000 0a000000 u'a.bak'"), true);
	feed(data, smb2(data, 17, true, 0, "0200"), false);
	assert_has(&rig->json, "\"filename\":\"a.cfg\",\"fuid\":\"00000005-0000-0000-0006-000000000000\",\"rename\":{\"from\":\"a.cfg\",\"to\":\"a.bak\"},");
	feed(data, smb2(data, 17, false, 0, "2100 01 0d 01000000 6000 0000 00000000 0500000000000000 0600000000000000 00"), true);
	feed(data, smb2(data, 17, true, 0, "0200"), false);
	assert_has(&rig->json, "\"filename\":\"a.cfg\",\"access\":\"normal\",");
	feed(data, smb2(data, 17, false, 0, "2100 01 0d 01000000 6000 0000 00000000 0500000000000000 0700000000000000 01"), true);
	feed(data, smb2(data, 17, true, 0, "0200"), false);
	assert_has(&rig->json, "\"tree_id\":7,\"access\":\"delete on close\",");
	/* Opened for that in the same message. */
	one_len = smb2(one, 5, false, 0, "3900 00 00 00000000 0000000000000000 0000000000000000 89001200 00000000 07000000 01000000 00000000 "
		"7800 0a00 00000000 00000000 u'b.cfg'");
	feed(data, compound(data, one, one_len, two, smb2(two, 17, false, 0, "2100 01 0d 01000000 6000 0000 00000000 " RELATED " 01")), true);
	feed(data, smb2(data, 17, true, 0, "0200"), false);
	assert_has(&rig->json, "\"filename\":\"b.cfg\",\"access\":\"delete on close\",");
	assert_int_equal(rig->events, 0);
}

static void
test_probe(void **state)
{
	static const struct {
		const char *bytes;
		enum proto_probe verdict;
	} rows[] = {
		{ "00000054 ff 'SMB'", PROTO_PROBE_YES }, { "00000054 fe 'SMB'", PROTO_PROBE_YES }, { "00000054 fe 'SM'", PROTO_PROBE_MORE },
		{ "00000054 fe 'SMC'", PROTO_PROBE_NO }, { "00 00", PROTO_PROBE_MORE }, { "81000044 20", PROTO_PROBE_YES }, { "81000044 21", PROTO_PROBE_NO },
		{ "0001 0000 0006 01 03", PROTO_PROBE_NO }, { "0564 05c0", PROTO_PROBE_NO }, { "0300 0016", PROTO_PROBE_NO }, { "00000004 ff 'SMB'", PROTO_PROBE_NO },
	};

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		uint8_t data[64];
		size_t len = bytes_of(rows[i].bytes, data, sizeof(data));

		if (smb_proto.probe(cursor_of(data, len), true, true) != rows[i].verdict)
			fail_msg("%s", rows[i].bytes);
	}
}

static void
test_tables(void **state)
{
	struct record_path path;

	(void)state;
	assert_null(record_table_check(&smb_table));
	for (unsigned int i = 0; i < SMB_EVENT_COUNT; i++)
		assert_non_null(smb_events[i].name);
	for (unsigned int i = 0; i < SMB_COUNTER_COUNT; i++)
		assert_non_null(smb_counters[i].name);
	for (unsigned int i = 0; i < SMB_BUFFER_COUNT; i++)
		assert_int_equal(record_path_resolve(&smb_table, smb_buffers[i].path, &path), 0);
	assert_true(smb_proto.state_len <= SLAB_BLOCK_MAX);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, rig_destroy)
	const struct CMUnitTest tests[] = { CASE(test_pairs), CASE(test_cut), CASE(test_keywords), CASE(test_limits), CASE(test_trees),
		CASE(test_negotiate_both), CASE(test_dos_errors), CASE(test_related_pipe), CASE(test_set_info), CASE(test_probe), CASE(test_tables) };

	return cmocka_run_group_tests_name("smb", tests, NULL, NULL);
}
