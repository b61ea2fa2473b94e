/*
 * Records encrypted on the disk: AES-256-GCM (NIST SP 800-38D), each record by itself.
 *
 * Each segment has a key of its own: HKDF-SHA256 (RFC 5869) of the key file, with the 128 random bits of the segment's header
 * as salt and lane and first sequence as info. The nonce is the record's sequence. A sequence is written once in a segment,
 * since a start never goes on in a segment that it finds; so no nonce comes twice under one key.
 *
 * Thread: a seal belongs to one.
 */
#ifndef MR_SPOOL_SEAL_H
#define MR_SPOOL_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct segment_header;

enum {
	SEAL_KEY_LEN = 32,
	SEAL_TAG_LEN = 16, /* behind each record's bytes */
};

struct seal_key {
	uint8_t bytes[SEAL_KEY_LEN];
	uint32_t id; /* tells which key a segment was written with; says nothing of the key */
};

struct seal;

/** What a key is made of. */
struct seal_secret {
	uint8_t bytes[72]; /* P-521 has 66 */
	size_t len;
};

/**
 * @param path  file of 64 hexadecimal digits, which others than owner and group cannot read
 * @return 0, -EINVAL (another content), -EPERM (others can read it), or -errno
 */
int seal_key_load(struct seal_key *key, const char *path);
/**
 * The key that an EC key in this machine's TPM2 and a public key agree on.
 *
 * @param uri   "handle:0x81000001", or a file with a TSS2 PRIVATE KEY
 * @param path  file of the public key, PEM, of the same curve; no secret
 * @return 0, -ENODEV (no TPM, provider or such key) or -EINVAL; said in the log
 */
int seal_key_load_tpm(struct seal_key *key, const char *uri, const char *path);
/** The secret of that. @return as above */
int seal_tpm_agree(struct seal_secret *out, const char *uri, const char *path);
/** @return 0, -ENOMEM, or -EIO where the library has no such cipher. */
int seal_create(struct seal **out, const struct seal_key *key);
void seal_destroy(struct seal *seal);
/** From here on for the segment of this header. @return whether the library did it */
bool seal_begin(struct seal *seal, const struct segment_header *header);
/** @param to  out [len + SEAL_TAG_LEN]. @return whether the library did it */
bool seal_write(struct seal *seal, uint64_t seq, void *to, const void *line, uint32_t len);
/** @param from  [len + SEAL_TAG_LEN]. @param line  out [len]. @return whether it is what was written under this sequence */
bool seal_read(struct seal *seal, uint64_t seq, void *line, const void *from, uint32_t len);

#endif
