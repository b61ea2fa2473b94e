/*
 * What the rule engine must know of a protocol: its name, its record table (each field is
 * a keyword by its JSON path), its named events, and the keywords of its own.
 * The program passes an array of these in; lib/ knows no protocol.
 */
#ifndef MR_RULE_RULE_APP_H
#define MR_RULE_RULE_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/record/record.h"

/** A compiled argument of a protocol's own keyword; the keyword's owner defines what is in it. */
struct rule_app_test {
	uint64_t words[12];
};

enum rule_direction { RULE_EITHER, RULE_TO_SERVER, RULE_TO_CLIENT };

/** A keyword that is more than a field comparison ("modbus: unit 1, access write coils"). */
struct rule_app_keyword {
	const char *name;
	enum rule_direction direction; /* records of the other direction are not asked */
	/** Compiles the text after the colon (trimmed; "" without one). @return 0, or -EINVAL with a reason in err. */
	int (*setup)(const char *value, struct rule_app_test *out, char *err, size_t err_len);
	/** @param record the blob of the message */
	bool (*test)(const struct rule_app_test *test, const void *record);
	const char *help;
};

/** Another name for a byte field used as a sticky buffer ("dnp3_data"), as other sensors spell it. */
struct rule_app_buffer {
	const char *name;
	const char *path; /* in the record table, or several with blanks between; may be FIELD_HIDDEN fields */
};

/** A name under which rules know a part of the protocol's records: those of which a field has that value. Its keywords and
 *  buffers are the protocol's, behind that name. */
struct rule_app_alias {
	const char *name;  /* "mdns" */
	const char *path;  /* "service" */
	const char *value; /* "mdns" */
};

/** What holds of a number of the root whenever a keyword's test does: the bits of mask are those of value. */
struct rule_app_index {
	const char *path; /* "request.function_code" */
	uint64_t value, mask; /* mask UINT64_MAX: an equality */
};

/** A named event of the protocol: anomaly records and `app-layer-event:proto.name` use the same names. */
struct rule_app_event {
	const char *name; /* "invalid_length" */
	const char *help;
};

enum {
	RULE_APP_EVENT_MAX = 64,
	RULE_TAGS_MAX = 16,
};

struct rule_app {
	const char *name;                   /* "modbus": the rule header's protocol */
	const struct record_table *record;
	const struct rule_app_event *events; /* at most RULE_APP_EVENT_MAX; the index is the bit */
	uint8_t event_count;
	uint64_t rule_events;               /* bits of events that are no anomaly record of their own: another one tells them */
	const struct rule_app_keyword *keywords;
	uint8_t keyword_count;
	const struct rule_app_buffer *buffers;
	uint8_t buffer_count;
	const struct rule_app_alias *aliases;
	uint8_t alias_count;
	/** Whose messages a buffer is of, where records of the other direction may show it as well: a rule without a direction
	 *  takes that of its buffers, to the client where it has both kinds. NULL: RULE_EITHER for all. */
	enum rule_direction (*buffer_direction)(const struct rule_app_buffer *buffer);
	/** Where the record of a response, which has its request as well, has a buffer of the one or the other, for rules with
	 *  =>; NULL: nowhere. NULL itself: records are of one message. */
	const char *(*buffer_of)(const struct rule_app_buffer *buffer, bool to_server);
	/** An event names the sender of its message first; else the flow's originator, whoever sent it. */
	bool from_sender;
	/** In alerts the record stands below this key of the protocol's object ("request"), by direction (to_server is
	 *  index 1); NULL: it is the object itself. */
	const char *alert_key[2];
	/** So that the rules asked for a record are found by one look at a field of the root. false: nothing is known. NULL: never. */
	bool (*keyword_index)(const struct rule_app_keyword *keyword, const struct rule_app_test *test, struct rule_app_index *out);
	/** As keyword_index, where what is asked lies at several places of a record: numbers the protocol makes up
	 *  ("service 5 is asked for"). record_tags writes those of a record and returns how many; more than RULE_TAGS_MAX:
	 *  they are not all there, and every rule is asked. keyword_tag names one that a record has whenever the keyword's
	 *  test holds; false: there is none. NULL, both: never. Thread: record_tags a worker's. */
	unsigned int (*record_tags)(const void *record, uint32_t tags[RULE_TAGS_MAX]);
	bool (*keyword_tag)(const struct rule_app_keyword *keyword, const struct rule_app_test *test, uint32_t *tag);
};

#endif
