/*
 * Suricata's rule keywords of EtherNet/IP: enip_command, cip_service, enip.*. Numbers take
 * its integer forms; a name of the field's table may stand for a number. The two text keywords
 * are buffers.
 */
#include "proto/enip/enip.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "proto/compare.h"

/* ---- reading the text ---- */

static int
number_setup(const char *value, const struct field_names *names, uint64_t max, struct rule_app_test *out, char *err,
	size_t err_len)
{
	uint32_t code;

	memset(out, 0, sizeof(*out));
	value = compare_skip_space(value);
	if (names != NULL && field_value_of(names, value[0] == '!' ? compare_skip_space(value + 1) : value, &code)) {
		out->words[0] = value[0] == '!' ? COMPARE_NEGATED : COMPARE_EQUAL;
		out->words[1] = code;
		return 0;
	}
	memset(out, 0, sizeof(*out));
	if (compare_parse(value, max, out))
		return 0;
	snprintf(err, err_len, "\"%s\": expected a number up to %llu, a range or a name", value, (unsigned long long)max);
	return -EINVAL;
}

#define SETUP(name, names, max) \
	static int name(const char *value, struct rule_app_test *out, char *err, size_t err_len) \
	{ \
		return number_setup(value, names, max, out, err, err_len); \
	}

SETUP(setup_u8, NULL, UINT8_MAX)
SETUP(setup_u16, NULL, UINT16_MAX)
SETUP(setup_u32, NULL, UINT32_MAX)
SETUP(setup_command, &enip_commands, UINT16_MAX)
SETUP(setup_status, &enip_statuses, UINT32_MAX)

/* "service[, class[, [!]attribute]]". A negated attribute says nothing, as in Suricata. */
static int
setup_service(const char *value, struct rule_app_test *out, char *err, size_t err_len)
{
	static const uint64_t maxima[] = { 0x7f, UINT32_MAX, UINT32_MAX };
	const char *at = value;
	unsigned int count = 0;

	memset(out, 0, sizeof(*out));
	for (;;) {
		bool negated;

		at = compare_skip_space(at);
		negated = count == 2 && *at == '!';
		if (negated)
			at++;
		if (!compare_number(&at, maxima[count], &out->words[count]))
			break;
		if (!negated)
			out->words[3] |= UINT64_C(1) << count;
		if (*at == '\0')
			return 0;
		if (*at != ',' || ++count == sizeof(maxima) / sizeof(maxima[0]))
			break;
		at++;
	}
	snprintf(err, err_len, "\"%s\": expected a service below 128, then perhaps a class and an attribute", value);
	return -EINVAL;
}

/* ---- asking a record ---- */

/* The half that came last: the one the rule is asked for. */
static const struct enip_half *
half_of(const struct enip_record *record, uint8_t *bit)
{
	*bit = record_is_present(&record->head, ENIP_RESPONSE + ENIP_HAS_HEADER) ? ENIP_RESPONSE : ENIP_REQUEST;
	return *bit == ENIP_RESPONSE ? &record->response : record_is_present(&record->head, ENIP_HAS_HEADER) ? &record->request : NULL;
}

struct view {
	const struct enip_record *record;
	const struct record_head *head;
	const struct enip_cip *cip;
	uint8_t bit;
};

static bool
view_is(const struct view *view, enum enip_bit bit)
{
	return record_is_present(view->head, (uint8_t)(view->bit + bit));
}

typedef bool (*view_test)(const struct view *view, const struct rule_app_test *test);

/* Asks the half's message, and those of a multiple service packet or in an unconnected send. */
static bool
any_list(const struct view *outer, const struct record_list *list, view_test ask, const struct rule_app_test *test)
{
	const uint8_t *base = (const uint8_t *)outer->record;
	uint32_t at = list->first;

	for (uint32_t i = 0; i < list->count && at != 0; i++) {
		const struct enip_message *message = (const void *)(base + at);
		const struct view inner = { .record = outer->record, .head = &message->head, .cip = &message->cip };

		if (ask(&inner, test))
			return true;
		at = message->head.next;
	}
	return false;
}

static bool
any_view(const struct view *view, view_test ask, const struct rule_app_test *test)
{
	const struct enip_message *embedded;
	struct view inner;

	if (!view_is(view, ENIP_HAS_CIP))
		return false;
	if (ask(view, test) || any_list(view, &view->cip->multiple, ask, test))
		return true;
	if (view->cip->embedded.first == 0)
		return false;
	embedded = (const void *)((const uint8_t *)view->record + view->cip->embedded.first);
	inner = (struct view){ .record = view->record, .head = &embedded->head, .cip = &embedded->cip };
	return ask(&inner, test) || any_list(&inner, &embedded->cip.multiple, ask, test);
}

static struct view
view_of(const struct enip_record *record, uint8_t bit)
{
	return (struct view){ .record = record, .head = &record->head, .bit = bit,
		.cip = bit == ENIP_RESPONSE ? &record->response.cip : &record->request.cip };
}

static bool
test_command(const struct rule_app_test *test, const void *blob)
{
	uint8_t bit;
	const struct enip_half *half = half_of(blob, &bit);

	return half != NULL && compare_holds(test, half->command);
}

static bool
test_status(const struct rule_app_test *test, const void *blob)
{
	uint8_t bit;
	const struct enip_half *half = half_of(blob, &bit);

	return half != NULL && compare_holds(test, half->status);
}

static bool
has_attribute(const struct view *view, uint64_t attribute)
{
	const uint16_t *ids = (const void *)((const uint8_t *)view->record + view->cip->attribute_list.off);

	if (view_is(view, ENIP_HAS_ATTRIBUTE) && view->cip->attribute_id == attribute)
		return true;
	for (uint32_t i = 0; i < view->cip->attribute_list.count; i++)
		if (ids[i] == attribute)
			return true;
	return false;
}

static bool
view_service(const struct view *view, const struct rule_app_test *test)
{
	if (!view_is(view, ENIP_HAS_CIP) || view->cip->service != test->words[0])
		return false;
	if ((test->words[3] & 2) != 0 && (!view_is(view, ENIP_HAS_CLASS) || view->cip->class_id != test->words[1]))
		return false;
	return (test->words[3] & 4) == 0 || has_attribute(view, test->words[2]);
}

static bool
test_service(const struct rule_app_test *test, const void *blob)
{
	uint8_t bit;
	struct view view;

	if (half_of(blob, &bit) == NULL)
		return false;
	view = view_of(blob, bit);
	return any_view(&view, view_service, test);
}

static bool
view_class(const struct view *view, const struct rule_app_test *test)
{
	return view_is(view, ENIP_HAS_CLASS) && compare_holds(test, view->cip->class_id);
}

static bool
view_instance(const struct view *view, const struct rule_app_test *test)
{
	return view_is(view, ENIP_HAS_INSTANCE) && compare_holds(test, view->cip->instance_id);
}

static bool
view_attribute(const struct view *view, const struct rule_app_test *test)
{
	const uint16_t *ids = (const void *)((const uint8_t *)view->record + view->cip->attribute_list.off);

	if (view_is(view, ENIP_HAS_ATTRIBUTE) && compare_holds(test, view->cip->attribute_id))
		return true;
	for (uint32_t i = 0; i < view->cip->attribute_list.count; i++)
		if (compare_holds(test, ids[i]))
			return true;
	return false;
}

static bool
view_status(const struct view *view, const struct rule_app_test *test)
{
	return view_is(view, ENIP_HAS_STATUS) && compare_holds(test, view->cip->status);
}

static bool
view_extended(const struct view *view, const struct rule_app_test *test)
{
	return view_is(view, ENIP_HAS_STATUS_EXTENDED) && view->cip->status_extended.count == 2 &&
		compare_holds(test, view->cip->status_extended_code);
}

#define TEST_CIP(name, ask, half) \
	static bool name(const struct rule_app_test *test, const void *blob) \
	{ \
		const struct view view = view_of(blob, half); \
		return any_view(&view, ask, test); \
	}

TEST_CIP(test_class, view_class, ENIP_REQUEST)
TEST_CIP(test_instance, view_instance, ENIP_REQUEST)
TEST_CIP(test_attribute, view_attribute, ENIP_REQUEST)
TEST_CIP(test_cip_status, view_status, ENIP_RESPONSE)
TEST_CIP(test_extended, view_extended, ENIP_RESPONSE)

#define TEST_MEMBER(name, bit, member) \
	static bool name(const struct rule_app_test *test, const void *blob) \
	{ \
		const struct enip_record *record = blob; \
		return record_is_present(&record->head, ENIP_RESPONSE + (bit)) && compare_holds(test, record->member); \
	}

TEST_MEMBER(test_vendor, ENIP_HAS_IDENTITY, identity.vendor_id)
TEST_MEMBER(test_device_type, ENIP_HAS_IDENTITY, identity.device_type)
TEST_MEMBER(test_product_code, ENIP_HAS_IDENTITY, identity.product_code)
TEST_MEMBER(test_revision, ENIP_HAS_IDENTITY, identity.revision)
TEST_MEMBER(test_identity_status, ENIP_HAS_IDENTITY, identity.status)
TEST_MEMBER(test_serial, ENIP_HAS_IDENTITY, identity.serial)
TEST_MEMBER(test_state, ENIP_HAS_IDENTITY, identity.state)
TEST_MEMBER(test_capabilities, ENIP_HAS_SERVICES, services.capabilities)

static bool
test_version(const struct rule_app_test *test, const void *blob)
{
	const struct enip_record *record = blob;
	uint8_t bit;
	const struct enip_half *half = half_of(record, &bit);

	if (half == NULL)
		return false;
	if (record_is_present(&record->head, (uint8_t)(bit + ENIP_HAS_REGISTER)))
		return compare_holds(test, half->protocol_version);
	return bit == ENIP_RESPONSE &&
		((record_is_present(&record->head, ENIP_RESPONSE + ENIP_HAS_IDENTITY) &&
			 compare_holds(test, record->identity.protocol_version)) ||
			(record_is_present(&record->head, ENIP_RESPONSE + ENIP_HAS_SERVICES) &&
				compare_holds(test, record->services.protocol_version)));
}

/* ---- tags: what a record carries at any of its places, for rules to be found by ---- */

enum tag { TAG_COMMAND = 0x10000, TAG_SERVICE = 0x20000, TAG_STATUS = 0x30000, TAG_STATUS_BAD = 0x40000, TAG_EXTENDED = 0x50000,
	TAG_CLASS = 0x80000000 };

struct tags {
	uint32_t *tags; /* [RULE_TAGS_MAX] */
	unsigned int count;
};

static void
tag_add(struct tags *tags, uint32_t tag)
{
	for (unsigned int i = 0; i < tags->count && i < RULE_TAGS_MAX; i++)
		if (tags->tags[i] == tag)
			return;
	if (tags->count < RULE_TAGS_MAX)
		tags->tags[tags->count] = tag;
	tags->count++;
}

/* Notes one message; never "found", so that all are seen. */
static bool
view_tags(const struct view *view, const struct rule_app_test *test)
{
	struct tags *tags = (void *)(uintptr_t)test->words[0];

	if (view_is(view, ENIP_HAS_CIP))
		tag_add(tags, TAG_SERVICE | view->cip->service);
	if (view_is(view, ENIP_HAS_CLASS))
		tag_add(tags, TAG_CLASS | view->cip->class_id);
	if (view_is(view, ENIP_HAS_STATUS)) {
		tag_add(tags, TAG_STATUS | view->cip->status);
		if (view->cip->status != 0)
			tag_add(tags, TAG_STATUS_BAD);
	}
	if (view_is(view, ENIP_HAS_STATUS_EXTENDED))
		tag_add(tags, TAG_EXTENDED);
	return false;
}

unsigned int
enip_record_tags(const void *blob, uint32_t out[RULE_TAGS_MAX])
{
	struct tags tags = { .tags = out };
	const struct rule_app_test test = { .words = { (uintptr_t)&tags } };
	uint8_t bit;
	const struct enip_half *half = half_of(blob, &bit);

	if (half == NULL)
		return 0;
	tag_add(&tags, TAG_COMMAND | half->command);
	const struct view view = view_of(blob, bit);

	(void)any_view(&view, view_tags, &test);
	return tags.count;
}

bool
enip_keyword_tag(const struct rule_app_keyword *keyword, const struct rule_app_test *test, uint32_t *tag)
{
	bool equal = test->words[0] == COMPARE_EQUAL;

	if (keyword->test == test_service) {
		*tag = TAG_SERVICE | (uint32_t)test->words[0];
		return true;
	}
	if (keyword->test == test_command) {
		*tag = TAG_COMMAND | (uint32_t)test->words[1];
		return equal;
	}
	if (keyword->test == test_extended) {
		*tag = TAG_EXTENDED;
		return true;
	}
	if (keyword->test == test_class) {
		*tag = TAG_CLASS | (uint32_t)test->words[1];
		return equal;
	}
	bool bad = test->words[0] == COMPARE_NEGATED && test->words[1] == 0;

	*tag = bad ? TAG_STATUS_BAD : TAG_STATUS | (uint32_t)test->words[1];
	return keyword->test == test_cip_status && (bad || equal);
}

#define CLIENT RULE_TO_CLIENT
#define SERVER RULE_TO_SERVER

const struct rule_app_keyword enip_keywords[] = {
	{ "enip_command", RULE_EITHER, setup_command, test_command, "encapsulation command" },
	{ "cip_service", RULE_EITHER, setup_service, test_service, "service, of a class, with an attribute" },
	{ "enip.status", RULE_EITHER, setup_status, test_status, "encapsulation status" },
	{ "enip.protocol_version", RULE_EITHER, setup_u16, test_version, "version of a session, identity or service" },
	{ "enip.cip_class", SERVER, setup_u32, test_class, "class of a request's path" },
	{ "enip.cip_instance", SERVER, setup_u32, test_instance, "instance of a request's path" },
	{ "enip.cip_attribute", SERVER, setup_u32, test_attribute, "attribute of a request's path or list" },
	{ "enip.cip_status", CLIENT, setup_u8, test_cip_status, "general status of a response" },
	{ "enip.cip_extendedstatus", CLIENT, setup_u16, test_extended, "extended status of a response" },
	{ "enip.vendor_id", CLIENT, setup_u16, test_vendor, "vendor in a list identity response" },
	{ "enip.device_type", CLIENT, setup_u16, test_device_type, "device type in a list identity response" },
	{ "enip.product_code", CLIENT, setup_u16, test_product_code, "product code in a list identity response" },
	{ "enip.revision", CLIENT, setup_u16, test_revision, "revision in a list identity response: 0x403 is 4.3" },
	{ "enip.identity_status", CLIENT, setup_u16, test_identity_status, "status in a list identity response" },
	{ "enip.serial", CLIENT, setup_u32, test_serial, "serial number in a list identity response" },
	{ "enip.state", CLIENT, setup_u8, test_state, "state in a list identity response" },
	{ "enip.capabilities", CLIENT, setup_u16, test_capabilities, "capabilities in a list services response" },
};
static_assert(sizeof(enip_keywords) / sizeof(enip_keywords[0]) == ENIP_KEYWORD_COUNT, "the protocol's row counts them");

const struct rule_app_buffer enip_buffers[] = {
	{ "enip.product_name", "response.identity.product_name" },
	{ "enip.service_name", "response.list_services.service_name" },
};
static_assert(sizeof(enip_buffers) / sizeof(enip_buffers[0]) == ENIP_BUFFER_COUNT, "the protocol's row counts them");
