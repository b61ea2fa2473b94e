/*
 * Transforms of buffers, and base64: bytes in, bytes out, in a worker's own scratch. No allocation after
 * rule_scratch_create(); each costs at most a few times the bytes it is given.
 *
 * Thread: the matcher's owner.
 */
#ifndef MR_RULE_TRANSFORM_H
#define MR_RULE_TRANSFORM_H

#include "lib/base/inflate.h"
#include "lib/rule/rule_internal.h"

enum { RULE_DIGEST_COUNT = 3 };

/** Names of the digests ("md5"), by rule_transform.digest. */
extern const char *const rule_digests[RULE_DIGEST_COUNT];

/** Two areas that transforms write to in turn, and one for base64_data. */
struct rule_scratch {
	uint8_t *turns[2];          /* [RULE_SCRATCH_LEN] */
	uint8_t *decoded;           /* [RULE_SCRATCH_LEN] */
	struct inflate_area *inflate;
	void *digests[RULE_DIGEST_COUNT]; /* EVP_MD_CTX, one each: a context that changes its digest allocates */
	/* the last result, good while the bytes it came from are: rules of one protocol often ask for the same */
	const struct rule_transforms *last;
	const uint8_t *last_data, *last_out;
	uint32_t last_len, last_out_len;
};

/** @return 0 or -ENOMEM */
int rule_scratch_create(struct rule_scratch **out);
void rule_scratch_destroy(struct rule_scratch *scratch);
/** Forgets the last result: the bytes it came from are gone. */
static inline void
rule_scratch_forget(struct rule_scratch *scratch)
{
	if (scratch != NULL)
		scratch->last = NULL;
}

/** Replaces *data and *len by the transformed bytes, which are good until the next call. */
void rule_transform(struct rule_matcher *matcher, const struct rule_transforms *transforms, const uint8_t **data,
	uint32_t *len);
/** Decodes base64 text into out [RULE_SCRATCH_LEN]. @return bytes written; 0: none, or (strict) not base64 */
uint32_t rule_base64_decode(const uint8_t *data, uint32_t len, enum rule_base64_mode mode, uint8_t *out);

#endif
