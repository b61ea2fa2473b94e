/*
 * Buffers of protocols by their older names. A modifier ("content:x; http_uri;") moves the content before it; any other
 * name is the sticky buffer's. Whether the protocol and its buffer exist is asked when a rule names them.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/near.h"
#include "lib/rule/keyword.h"

enum buffer_use { USE_STICKY, USE_MODIFIER };

static const struct {
	const char *name, *buffer;
	uint8_t use; /* enum buffer_use */
} buffer_rows[] = {
	{ "http_uri", "http.uri", USE_MODIFIER },
	{ "http_raw_uri", "http.uri.raw", USE_MODIFIER },
	{ "http_header", "http.header", USE_MODIFIER },
	{ "http_raw_header", "http.header.raw", USE_MODIFIER },
	{ "http_client_body", "http.request_body", USE_MODIFIER },
	{ "http_server_body", "http.response_body", USE_MODIFIER },
	{ "http_method", "http.method", USE_MODIFIER },
	{ "http_cookie", "http.cookie", USE_MODIFIER },
	{ "http_user_agent", "http.user_agent", USE_MODIFIER },
	{ "http_host", "http.host", USE_MODIFIER },
	{ "http_raw_host", "http.host.raw", USE_MODIFIER },
	{ "http_stat_code", "http.stat_code", USE_MODIFIER },
	{ "http_stat_msg", "http.stat_msg", USE_MODIFIER },
	{ "http_accept", "http.accept", USE_STICKY },
	{ "http_accept_enc", "http.accept_enc", USE_STICKY },
	{ "http_accept_lang", "http.accept_lang", USE_STICKY },
	{ "http_connection", "http.connection", USE_STICKY },
	{ "http_content_len", "http.content_len", USE_STICKY },
	{ "http_content_type", "http.content_type", USE_STICKY },
	{ "http_header_names", "http.header_names", USE_STICKY },
	{ "http_protocol", "http.protocol", USE_STICKY },
	{ "http_referer", "http.referer", USE_STICKY },
	{ "http_request_line", "http.request_line", USE_STICKY },
	{ "http_response_line", "http.response_line", USE_STICKY },
	{ "http_start", "http.start", USE_STICKY },
	{ "dns_query", "dns.query", USE_STICKY },
	{ "tls_sni", "tls.sni", USE_STICKY },
	{ "tls_cert_subject", "tls.cert_subject", USE_STICKY },
	{ "tls_cert_issuer", "tls.cert_issuer", USE_STICKY },
	{ "tls_cert_serial", "tls.cert_serial", USE_STICKY },
	{ "tls_cert_fingerprint", "tls.cert_fingerprint", USE_STICKY },
	{ "ja3_hash", "ja3.hash", USE_STICKY },
	{ "ja3_string", "ja3.string", USE_STICKY },
	{ "ja3s_hash", "ja3s.hash", USE_STICKY },
	{ "ja3s_string", "ja3s.string", USE_STICKY },
	{ "ja4_hash", "ja4.hash", USE_STICKY },
	{ "ssh_proto", "ssh.proto", USE_STICKY },
	{ "ssh_software", "ssh.software", USE_STICKY },
	{ "smb_named_pipe", "smb.named_pipe", USE_STICKY },
	{ "smb_share", "smb.share", USE_STICKY },
	{ "dce_iface", "dcerpc.iface", USE_STICKY },
	{ "dce_opnum", "dcerpc.opnum", USE_STICKY },
	{ "dce_stub_data", "dcerpc.stub_data", USE_STICKY },
};

static int
find_row(const char *name)
{
	for (unsigned int i = 0; i < sizeof(buffer_rows) / sizeof(buffer_rows[0]); i++)
		if (strcasecmp(buffer_rows[i].name, name) == 0)
			return (int)i;
	return -1;
}

void
rule_buffer_offer(struct near *near)
{
	for (unsigned int i = 0; i < sizeof(buffer_rows) / sizeof(buffer_rows[0]); i++)
		near_offer(near, buffer_rows[i].name);
}

int
rule_use_named(struct rule_parser *parser, const char *name)
{
	int ret = rule_field_keyword(parser, name, NULL);

	return ret == 1 ? rule_refuse_missing(parser, name) : ret;
}

int
rule_buffer_keyword(struct rule_parser *parser, const char *name, char *value)
{
	int at = find_row(name);

	if (at < 0)
		return 1;
	if (buffer_rows[at].use == USE_STICKY) {
		int ret = rule_field_keyword(parser, buffer_rows[at].buffer, value);

		return ret == 1 ? rule_refuse_missing(parser, buffer_rows[at].buffer) : ret;
	}
	if (value != NULL && *value != '\0')
		return rule_refuse(parser, "takes no value");
	if (parser->last_content == NULL)
		return rule_refuse(parser, "there is no content before it");
	return rule_move_node(parser, parser->last_content, buffer_rows[at].buffer);
}

/* ---- file_data and file.data ---- */

enum { BODIES_MAX = RULE_APPS_MAX + 2, BODY_NAME_MAX = 48 };

struct body {
	char name[BODY_NAME_MAX];
	enum rule_direction direction;
};

static bool
has_file_data(const struct rule_app *app, char name[BODY_NAME_MAX])
{
	snprintf(name, BODY_NAME_MAX, "%s.file_data", app->name);
	for (unsigned int i = 0; i < app->buffer_count; i++)
		if (strcmp(app->buffers[i].name, name) == 0)
			return true;
	return false;
}

/* Where messages of the rule's protocol, or of any where it names none, carry files. */
static unsigned int
bodies_of(const struct rule_parser *parser, struct body bodies[BODIES_MAX])
{
	static const struct body web[] = { { "http.request_body", RULE_TO_SERVER }, { "http.response_body", RULE_TO_CLIENT } };
	const struct rule_world *world = &parser->set->world;
	unsigned int asked = parser->draft.app, count = 0;

	for (unsigned int app = 0; app < world->app_count; app++)
		if ((asked == RULE_APP_NONE || asked == app) && has_file_data(world->apps[app], bodies[count].name))
			bodies[count++].direction = RULE_EITHER;
	if (asked == RULE_APP_NONE || (int)asked == rule_app_find(parser, "http", 4))
		for (unsigned int i = 0; i < 2; i++)
			bodies[count++] = web[i];
	return count;
}

/* The rule is read once for each body. */
int
rule_setup_file_data(struct rule_parser *parser, char *value)
{
	struct body bodies[BODIES_MAX];
	unsigned int count = bodies_of(parser, bodies);
	bool given = value != NULL && *value != '\0';

	if (count == 0)
		return rule_refuse(parser, "messages of this protocol carry no files");
	if ((parser->draft.flags & RULE_TRANSACTION) != 0) {
		bool to_server = given && strcmp(value, "to_server") == 0;

		if (!to_server && (!given || strcmp(value, "to_client") != 0))
			return rule_refuse(parser, "both directions have one: say to_server or to_client");
		return rule_use_named(parser, bodies[count > 1 && to_server ? count - 2 : count - 1].name);
	}
	if (given)
		return rule_refuse(parser, "takes no value: a direction is for rules with =>");
	parser->readings = count;
	parser->body_direction = bodies[parser->reading].direction;
	return rule_use_named(parser, bodies[parser->reading].name);
}

/* uricontent:"x" is content:"x"; http_uri; */
int
rule_setup_uricontent(struct rule_parser *parser, char *value)
{
	int ret = rule_setup_content(parser, value);

	return ret != 0 ? ret : rule_move_node(parser, parser->last_content, "http.uri");
}

/* urilen:numbers[,norm|raw] */
int
rule_setup_urilen(struct rule_parser *parser, char *value)
{
	int before = parser->buffer;
	char *how = strrchr(value, ',');
	bool raw = how != NULL && strcmp(rule_trim(how + 1), "raw") == 0;

	if (how != NULL && !raw && strcmp(rule_trim(how + 1), "norm") != 0)
		return rule_refuse(parser, "\"%.20s\" is neither norm nor raw", how + 1);
	if (how != NULL)
		*how = '\0';
	int ret = rule_use_named(parser, raw ? "http.uri.raw" : "http.uri");
	struct rule_node *node = ret != 0 ? NULL : rule_add_node(parser, NODE_BSIZE);

	parser->buffer = before;
	if (node == NULL)
		return ret != 0 ? ret : -EINVAL;
	ret = rule_numbers_parse(parser, rule_trim(value), NULL, false, &node->size);
	return ret != 0 ? ret : rule_numbers_check(parser, &node->size, 0, INT64_MAX);
}

void
rule_buffer_reference(struct buf *out)
{
	buf_puts(out, "\n## Older names of buffers\n\n| name | buffer | how |\n|---|---|---|\n");
	for (unsigned int i = 0; i < sizeof(buffer_rows) / sizeof(buffer_rows[0]); i++)
		buf_printf(out, "| `%s` | `%s` | %s |\n", buffer_rows[i].name, buffer_rows[i].buffer,
			buffer_rows[i].use == USE_MODIFIER ? "behind the content it moves" : "sticky");
}
