#include "app/bench/plant/script.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MILLISECOND_NS = 1000000,
	DEFAULT_CLIENT_IP = 0x0a0a020a, /* 10.10.2.10 */
	DEFAULT_SERVER_IP = 0x0a0a010a, /* 10.10.1.10 */
	HOST_TTL = 64,
	DNP3_DEFAULT_MASTER = 1,
	DNP3_DEFAULT_OUTSTATION = 10,
};

int
script_fail(struct script *script, const char *format, ...)
{
	va_list args;
	int len = snprintf(script->err, sizeof(script->err), "line %u: ", script->line);

	va_start(args, format);
	(void)vsnprintf(script->err + len, sizeof(script->err) - (size_t)len, format, args);
	va_end(args);
	return -EINVAL;
}

int
script_create(struct script **out, struct plant_net *net, const char *text)
{
	struct script *script = calloc(1, sizeof(*script));

	if (script == NULL)
		return -ENOMEM;
	script->net = net;
	script->text = text;
	script->talks = calloc(SCRIPT_TALKS_MAX, sizeof(*script->talks));
	if (script->talks == NULL) {
		script_destroy(script);
		return -ENOMEM;
	}
	*out = script;
	return 0;
}

void
script_destroy(struct script *script)
{
	if (script == NULL)
		return;
	free(script->talks);
	free(script);
}

int
script_number(struct script *script, const char *text, uint32_t *value)
{
	char *end;
	unsigned long number;

	*value = 0;
	if (strcmp(text, "$i") == 0 && script->loop_depth > 0) {
		*value = script->loops[script->loop_depth - 1].counter;
		return 0;
	}
	if (strcmp(text, "$r") == 0) {
		*value = plant_random_below(&script->net->random, 0x10000);
		return 0;
	}
	errno = 0;
	number = strtoul(text, &end, 0);
	if (end == text || *end != '\0' || errno != 0 || number > UINT32_MAX)
		return script_fail(script, "\"%s\" is not a number", text);
	*value = (uint32_t)number;
	return 0;
}

static struct plant_host *
script_host(struct script *script, const char *word, uint32_t fallback_ip)
{
	struct in_addr address = { .s_addr = htonl(fallback_ip) };
	struct plant_host *host;
	uint32_t ip;

	if (word != NULL && script->find_host != NULL) {
		host = script->find_host(script->owner, word);
		if (host != NULL)
			return host;
	}
	if (word != NULL && inet_pton(AF_INET, word, &address) != 1) {
		(void)script_fail(script, "\"%s\" is not a host", word);
		return NULL;
	}
	ip = ntohl(address.s_addr);
	for (unsigned int i = 0; i < script->host_count; i++)
		if (script->hosts[i].ip == ip)
			return &script->hosts[i];
	if (script->host_count == SCRIPT_HOSTS_MAX) {
		(void)script_fail(script, "more than %d hosts", SCRIPT_HOSTS_MAX);
		return NULL;
	}
	host = &script->hosts[script->host_count++];
	/* A locally administered MAC made of the address: the same host has the same one in every capture. */
	*host = (struct plant_host){ .ip = ip,
		.ttl = HOST_TTL,
		.mac = { 0x02, 0x00, (uint8_t)(ip >> 24), (uint8_t)(ip >> 16), (uint8_t)(ip >> 8), (uint8_t)ip } };
	return host;
}

static int
script_set_port(struct script *script, char *word, uint16_t *port)
{
	char *colon = strchr(word, ':');
	uint32_t value;

	if (colon == NULL)
		return 0;
	*colon = '\0';
	if (script_number(script, colon + 1, &value) != 0)
		return -EINVAL;
	*port = (uint16_t)value;
	return 0;
}

/* Words of a talk statement that are no address. */
static bool
talk_option(struct script_talk *next, const char *word, bool *midstream)
{
	const struct script_protocol *protocol = script_protocol_find(word);

	if (protocol != NULL) {
		next->protocol = protocol;
		return true;
	}
	if (strcmp(word, "tcp") == 0 || strcmp(word, "udp") == 0) {
		next->talk.tcp = word[0] == 't';
		return true;
	}
	if (strcmp(word, "midstream") == 0) {
		*midstream = true;
		return true;
	}
	return false;
}

static void
talk_begin(struct script *script, struct script_talk *next, struct plant_host *hosts[2], const uint16_t ports[2])
{
	bool tcp = next->talk.tcp;

	plant_talk_init(&next->talk, script->net, hosts[PLANT_CLIENT], hosts[PLANT_SERVER]);
	next->talk.tcp = tcp;
	next->talk.ports[PLANT_SERVER] = ports[PLANT_SERVER] != 0 ? ports[PLANT_SERVER] : next->protocol->port;
	if (ports[PLANT_CLIENT] != 0) /* opening takes the port that follows */
		next->talk.ports[PLANT_CLIENT] = (uint16_t)(tcp ? ports[PLANT_CLIENT] - 1 : ports[PLANT_CLIENT]);
	next->unit_id = 1;
	next->ends[PLANT_CLIENT] = (struct plant_dnp3_end){
		.address = DNP3_DEFAULT_MASTER, .peer = DNP3_DEFAULT_OUTSTATION, .master = true
	};
	next->ends[PLANT_SERVER] =
		(struct plant_dnp3_end){ .address = DNP3_DEFAULT_OUTSTATION, .peer = DNP3_DEFAULT_MASTER };
	script->talk = next;
}

static int
do_talk(struct script *script, char *words[], unsigned int count, uint64_t *now_ns)
{
	struct script_talk *next = &script->talks[script->talk_count];
	struct plant_host *hosts[2];
	char *names[2] = { NULL, NULL };
	uint16_t ports[2] = { 0, 0 };
	unsigned int name_count = 0;
	bool midstream = false;

	if (script->talk_count == SCRIPT_TALKS_MAX)
		return script_fail(script, "more than %d talks", SCRIPT_TALKS_MAX);
	*next = (struct script_talk){ .protocol = script_protocol_find("modbus"), .talk = { .tcp = true } };
	for (unsigned int i = 1; i < count; i++) {
		if (talk_option(next, words[i], &midstream))
			continue;
		if (name_count == 2)
			return script_fail(script, "talk: \"%s\" is one word too many", words[i]);
		if (script_set_port(script, words[i], &ports[name_count]) != 0)
			return -EINVAL;
		names[name_count++] = words[i];
	}
	hosts[PLANT_CLIENT] = script_host(script, names[PLANT_CLIENT], DEFAULT_CLIENT_IP);
	hosts[PLANT_SERVER] = script_host(script, names[PLANT_SERVER], DEFAULT_SERVER_IP);
	if (hosts[PLANT_CLIENT] == NULL || hosts[PLANT_SERVER] == NULL)
		return -EINVAL;
	script->talk_count++;
	talk_begin(script, next, hosts, ports);
	if (!midstream) {
		*now_ns = plant_talk_open(&next->talk, *now_ns);
		return 0;
	}
	next->talk.open = true;
	next->talk.seq[PLANT_CLIENT] = (uint32_t)plant_random_next(&script->net->random);
	next->talk.seq[PLANT_SERVER] = (uint32_t)plant_random_next(&script->net->random);
	return 0;
}

static uint64_t
script_flush(struct script *script, uint64_t now_ns)
{
	size_t len = script->held_len;

	script->held_len = 0;
	if (len == 0)
		return now_ns;
	return plant_talk_send(&script->talk->talk, script->held_from, script->held, len, now_ns);
}

static int
do_message(struct script *script, char *words[], unsigned int count, uint64_t *now_ns)
{
	enum plant_end from = words[0][0] == '>' ? PLANT_CLIENT : PLANT_SERVER;
	uint8_t bytes[SCRIPT_MESSAGE_LEN_MAX];
	struct buf wire = buf_over(bytes, sizeof(bytes));
	struct buf held = buf_over(script->held, sizeof(script->held));
	struct script_words message = { .count = count - 1 };

	if (count > 1 && strcmp(words[1], "answer") == 0) {
		if (script->talk->protocol->answer == NULL)
			return script_fail(script, "protocol %s has no answers", script->talk->protocol->name);
		*now_ns = script->talk->protocol->answer(script, script->talk, *now_ns);
		return 0;
	}
	for (unsigned int i = 1; i < count; i++)
		message.word[i - 1] = words[i];
	if (script_message(script, from, &message, &wire) != 0)
		return -EINVAL;
	if (!script->holding) {
		*now_ns = plant_talk_send(&script->talk->talk, from, bytes, wire.len, *now_ns);
		return 0;
	}
	held.len = script->held_len;
	buf_put(&held, bytes, wire.len);
	if (held.full)
		return script_fail(script, "more than %d bytes held", SCRIPT_MESSAGE_LEN_MAX);
	script->held_len = held.len;
	script->held_from = from;
	return 0;
}

static int
do_loop(struct script *script, char *words[], unsigned int count, uint64_t *now_ns)
{
	uint32_t times;

	if (count != 2 || script_number(script, words[1], &times) != 0 || times == 0)
		return script_fail(script, "loop wants how often, from 1");
	if (script->loop_depth == SCRIPT_LOOPS_MAX)
		return script_fail(script, "loops deeper than %d", SCRIPT_LOOPS_MAX);
	script->loops[script->loop_depth++] =
		(struct script_loop){ .start = script->at, .left = times - 1, .line = script->line };
	return 0;
}

static int
do_end(struct script *script, char *words[], unsigned int count, uint64_t *now_ns)
{
	struct script_loop *loop;

	if (script->loop_depth == 0)
		return script_fail(script, "end without a loop");
	loop = &script->loops[script->loop_depth - 1];
	if (loop->left == 0) {
		script->loop_depth--;
		return 0;
	}
	loop->left--;
	loop->counter++;
	script->at = loop->start;
	script->line = loop->line;
	return 0;
}

static int
do_wait(struct script *script, char *words[], unsigned int count, uint64_t *now_ns)
{
	uint32_t ms;

	if (count != 2 || script_number(script, words[1], &ms) != 0)
		return script_fail(script, "wait wants milliseconds");
	*now_ns += (uint64_t)ms * MILLISECOND_NS;
	return 0;
}

static int
do_use(struct script *script, char *words[], unsigned int count, uint64_t *now_ns)
{
	uint32_t idx;

	if (count != 2 || script_number(script, words[1], &idx) != 0 || idx >= script->talk_count)
		return script_fail(script, "use wants the number of a talk, from 0");
	script->talk = &script->talks[idx];
	return 0;
}

static int
do_segment(struct script *script, char *words[], unsigned int count, uint64_t *now_ns)
{
	uint32_t len;

	if (count != 2 || script_number(script, words[1], &len) != 0 || len > PLANT_TCP_MSS)
		return script_fail(script, "segment wants 0 to %d bytes", PLANT_TCP_MSS);
	script->net->segment_len_max = (uint16_t)len;
	return 0;
}

static int
do_hold(struct script *script, char *words[], unsigned int count, uint64_t *now_ns)
{
	script->holding = true;
	return 0;
}

static int
do_flush(struct script *script, char *words[], unsigned int count, uint64_t *now_ns)
{
	*now_ns = script_flush(script, *now_ns);
	script->holding = false;
	return 0;
}

static int
do_close(struct script *script, char *words[], unsigned int count, uint64_t *now_ns)
{
	*now_ns = plant_talk_close(&script->talk->talk, *now_ns);
	return 0;
}

static int
do_reset(struct script *script, char *words[], unsigned int count, uint64_t *now_ns)
{
	*now_ns = plant_talk_reset(&script->talk->talk, count > 1 ? PLANT_SERVER : PLANT_CLIENT, *now_ns);
	return 0;
}

static const struct statement {
	const char *name;
	int (*run)(struct script *script, char *words[], unsigned int count, uint64_t *now_ns);
	bool needs_talk;
} statements[] = {
	{ "talk", do_talk, false },
	{ "use", do_use, true },
	{ ">", do_message, true },
	{ "<", do_message, true },
	{ "loop", do_loop, false },
	{ "end", do_end, false },
	{ "goose", script_goose, false },
	{ "sv", script_sv, false },
	{ "ether", script_ether, false },
	{ "wait", do_wait, false },
	{ "segment", do_segment, false },
	{ "hold", do_hold, true },
	{ "flush", do_flush, true },
	{ "close", do_close, true },
	{ "reset", do_reset, true },
};

static int
script_run_words(struct script *script, char *words[], unsigned int count, uint64_t *now_ns)
{
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		if (strcmp(statements[i].name, words[0]) != 0)
			continue;
		if (statements[i].needs_talk && script->talk == NULL)
			return script_fail(script, "\"%s\" before any talk", words[0]);
		return statements[i].run(script, words, count, now_ns);
	}
	return script_fail(script, "unknown statement \"%s\"", words[0]);
}

/* Copies the next statement and moves behind it; comments are left out. @return false at the end */
static bool
script_take_line(struct script *script, char *line, bool *too_long)
{
	const char *start = script->text + script->at;
	size_t len = strcspn(start, ";\n#");
	size_t end = len;

	*too_long = len >= SCRIPT_LINE_LEN_MAX;
	if (*start == '\0')
		return false;
	if (start[end] == '#')
		end += strcspn(start + end, "\n");
	/* A statement behind a semicolon is on the line of the one before it. */
	script->line += script->at == 0 || start[-1] == '\n';
	script->at += end + (start[end] != '\0');
	if (!*too_long) {
		memcpy(line, start, len);
		line[len] = '\0';
	}
	return true;
}

int
script_step(struct script *script, uint64_t *now_ns)
{
	char line[SCRIPT_LINE_LEN_MAX];
	bool too_long;

	while (script_take_line(script, line, &too_long)) {
		char *words[SCRIPT_WORDS_MAX];
		unsigned int count = 0;
		char *rest = line;
		char *word;
		int err;

		if (too_long)
			return script_fail(script, "longer than %d bytes", SCRIPT_LINE_LEN_MAX);
		while ((word = strsep(&rest, " \t\r")) != NULL) {
			if (*word == '\0')
				continue;
			if (count == SCRIPT_WORDS_MAX)
				return script_fail(script, "more than %d words", SCRIPT_WORDS_MAX);
			words[count++] = word;
		}
		if (count == 0)
			continue;
		err = script_run_words(script, words, count, now_ns);
		return err == 0 ? 1 : err;
	}
	return script->loop_depth == 0 ? 0 : script_fail(script, "loop without an end");
}
