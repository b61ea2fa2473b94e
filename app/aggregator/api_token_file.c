/* Tokens in a file, read again when it changes. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "app/aggregator/api_token.h"
#include "lib/base/clock.h"
#include "lib/base/folder.h"
#include "lib/base/hold.h"
#include "lib/base/log.h"
#include "lib/link/batch.h"

enum { LINE_LEN_MAX = 512, PATH_LEN_MAX = 4096, AGAIN_MS = 1000 };

struct file {
	char *path;
	struct api_token *list; /* [API_TOKENS_MAX] */
	unsigned int count;
	struct timespec changed;
	off_t size;
	ino_t inode;
	uint64_t again_ms; /* not read before: it could not be */
	int err;           /* of the last reading: what is in the file is not known */
};

static bool
read_hex(const char *text, uint8_t out[API_TOKEN_DIGEST_LEN])
{
	for (unsigned int i = 0; i < API_TOKEN_DIGEST_LEN; i++) {
		char byte[3] = { text[2 * i], text[2 * i] == '\0' ? '\0' : text[2 * i + 1], '\0' };

		if (!isxdigit((unsigned char)byte[0]) || !isxdigit((unsigned char)byte[1]))
			return false;
		out[i] = (uint8_t)strtoul(byte, NULL, 16);
	}
	return true;
}

static bool
read_line(struct api_token *out, char *line)
{
	char *at = line + strspn(line, " \t");
	size_t len = strcspn(at, " \t\r\n");

	if (len != 2 * API_TOKEN_DIGEST_LEN || !read_hex(at, out->digest))
		return false;
	at += len;
	at += strspn(at, " \t");
	len = strcspn(at, " \t\r\n");
	if (!api_scopes_read(at, len, &out->scopes))
		return false;
	at += len;
	at += strspn(at, " \t");
	at[strcspn(at, " \t\r\n")] = '\0';
	snprintf(out->name, sizeof(out->name), "%.*s", API_TOKEN_NAME_MAX, at);
	return batch_sensor_valid(out->name);
}

/* A comment may be longer than a line of a token can be. */
static void
skip_rest(const char *line, FILE *file)
{
	int byte = strchr(line, '\n') != NULL ? '\n' : getc(file);

	while (byte != '\n' && byte != EOF)
		byte = getc(file);
}

/* A file with a fault in it lets nobody in by it, which is said, rather than some: a token that was taken out must not live
 * on. One that is not there is one without tokens: the first makes it. */
static int
read_file(struct file *tokens)
{
	FILE *file = fopen(tokens->path, "re");
	char line[LINE_LEN_MAX];
	unsigned int number = 0;
	int err = 0;

	tokens->count = 0;
	if (file == NULL && errno == ENOENT)
		return 0;
	if (file == NULL) {
		log_error("api", "api.tokens: %s: %s", tokens->path, strerror(errno));
		return -errno;
	}
	while (fgets(line, sizeof(line), file) != NULL) {
		number++;
		if (line[0] == '#')
			skip_rest(line, file);
		if (line[strspn(line, " \t\r\n")] == '\0' || line[0] == '#')
			continue;
		if (tokens->count == API_TOKENS_MAX || !read_line(&tokens->list[tokens->count], line)) {
			log_error("api", "api.tokens: %s:%u: not DIGEST SCOPES NAME, or more than %d tokens", tokens->path, number,
				API_TOKENS_MAX);
			tokens->count = 0;
			fclose(file);
			return -EINVAL;
		}
		tokens->count++;
	}
	if (ferror(file)) {
		err = -errno;
		log_error("api", "api.tokens: %s: %s", tokens->path, strerror(errno));
		tokens->count = 0;
	}
	fclose(file);
	return err;
}

/* It may be read later without another change: there was no descriptor left, perhaps. */
static void
look_later(struct file *tokens, int err)
{
	tokens->count = 0;
	tokens->size = -1;
	tokens->err = err;
	tokens->again_ms = clock_ms() + AGAIN_MS;
}

/* A file that was there a moment ago is being replaced, perhaps. */
static void
miss_file(struct file *tokens, int err)
{
	if (err == -ENOENT && tokens->size < 0) {
		tokens->count = 0;
		tokens->err = 0;
		return;
	}
	log_error("api", "api.tokens: %s: %s", tokens->path, strerror(-err));
	look_later(tokens, err);
}

static void
read_again(struct file *tokens)
{
	struct stat status;

	if (clock_ms() < tokens->again_ms)
		return;
	if (stat(tokens->path, &status) != 0) {
		miss_file(tokens, -errno);
		return;
	}
	if (status.st_ino == tokens->inode && status.st_size == tokens->size && memcmp(&status.st_mtim, &tokens->changed, sizeof(tokens->changed)) == 0)
		return;
	tokens->inode = status.st_ino;
	tokens->size = status.st_size;
	tokens->changed = status.st_mtim;
	tokens->err = read_file(tokens);
	if (tokens->err != 0 && tokens->err != -EINVAL)
		look_later(tokens, tokens->err);
}

/* Digests are compared, all of them, so that neither a token's bytes nor its place tell by time. */
static int
file_find(void *kept, const uint8_t digest[API_TOKEN_DIGEST_LEN], struct api_token *out)
{
	struct file *tokens = kept;
	int found = 0;

	read_again(tokens);
	for (unsigned int i = 0; i < tokens->count; i++)
		if (CRYPTO_memcmp(digest, tokens->list[i].digest, API_TOKEN_DIGEST_LEN) == 0 && found == 0) {
			*out = tokens->list[i];
			found = 1;
		}
	return found == 1 ? found : tokens->err;
}

static const struct api_token *
find_name(const struct file *tokens, const char *name)
{
	for (unsigned int i = 0; i < tokens->count; i++)
		if (strcmp(tokens->list[i].name, name) == 0)
			return &tokens->list[i];
	return NULL;
}

static int
fail(const struct file *tokens, int err)
{
	log_error("api", "api.tokens: %s: %s", tokens->path, strerror(-err));
	return err;
}

/* An editor may have left the last line without its end. */
static int
copy_lines(const struct file *tokens, FILE *to)
{
	FILE *from = fopen(tokens->path, "re");
	int byte, last = '\n';

	if (from == NULL)
		return errno == ENOENT ? 0 : -errno;
	while ((byte = getc(from)) != EOF) {
		putc(byte, to);
		last = byte;
	}
	if (last != '\n')
		putc('\n', to);
	byte = ferror(from) ? -EIO : 0;
	fclose(from);
	return byte;
}

/* Owner and mode stay. Without a name, comments do, too. */
static int
write_changed(const struct file *tokens, FILE *file, const char *without, const struct api_token *added)
{
	struct stat status;
	int err = 0;

	if (stat(tokens->path, &status) == 0) {
		if (fchown(fileno(file), status.st_uid, status.st_gid) != 0 || fchmod(fileno(file), status.st_mode) != 0)
			return -errno;
	} else if (errno != ENOENT) {
		return -errno;
	}
	if (without == NULL)
		err = copy_lines(tokens, file);
	for (unsigned int i = 0; without != NULL && i < tokens->count; i++)
		if (strcmp(tokens->list[i].name, without) != 0)
			api_token_print(&tokens->list[i], file);
	if (added != NULL)
		api_token_print(added, file);
	if (err == 0 && (fflush(file) != 0 || fsync(fileno(file)) != 0))
		err = -errno;
	return err;
}

/* In one piece: of a line that a full disk took in half nobody would be let in any more. */
static int
replace(const struct file *tokens, const char *without, const struct api_token *added)
{
	char path[PATH_LEN_MAX];
	FILE *file;
	int fd, err;

	if (snprintf(path, sizeof(path), "%s.new", tokens->path) >= (int)sizeof(path))
		return fail(tokens, -ENAMETOOLONG);
	(void)unlink(path); /* of one that was broken off */
	fd = folder_make_file(path, tokens->path, 0600);
	file = fd < 0 ? NULL : fdopen(fd, "w");
	if (file == NULL)
		return fail(tokens, fd < 0 ? fd : -errno);
	err = write_changed(tokens, file, without, added);
	if (fclose(file) != 0 && err == 0)
		err = -errno;
	if (err == 0 && rename(path, tokens->path) != 0)
		err = -errno;
	if (err != 0)
		(void)unlink(path);
	return err == 0 ? 0 : fail(tokens, err);
}

/* What is decided by the file's content is done before another process changes it: a token that one takes out must not come
 * back with the list that another one read before. */
static int
begin_change(struct file *tokens)
{
	int made = folder_make_above(tokens->path);
	int held = made < 0 ? made : hold_folder_of(tokens->path);
	int err = held < 0 ? fail(tokens, held) : read_file(tokens);

	if (err == 0)
		return held;
	hold_let_go(held);
	return err;
}

static int
file_add(void *kept, const struct api_token *token)
{
	struct file *tokens = kept;
	int held = begin_change(tokens);
	int err = held < 0 ? held : find_name(tokens, token->name) != NULL ? -EEXIST : tokens->count == API_TOKENS_MAX ? -ENOSPC
		: replace(tokens, NULL, token);

	hold_let_go(held);
	return err;
}

static int
file_remove(void *kept, const char *name)
{
	struct file *tokens = kept;
	int held = begin_change(tokens);
	int err = held < 0 ? held : find_name(tokens, name) == NULL ? -ENOENT : replace(tokens, name, NULL);

	hold_let_go(held);
	return err;
}

static int
file_list(void *kept, FILE *out)
{
	const struct file *tokens = kept;
	char scopes[API_TOKEN_SCOPES_MAX];

	for (unsigned int i = 0; i < tokens->count; i++) {
		api_scopes_write(tokens->list[i].scopes, scopes);
		fprintf(out, "%s %s\n", tokens->list[i].name, scopes);
	}
	return 0;
}

static void
file_close(void *kept)
{
	struct file *tokens = kept;

	free(tokens->path);
	free(tokens->list);
	free(tokens);
}

static int
file_open(void **kept, const char *where)
{
	struct file *tokens = calloc(1, sizeof(*tokens));
	int err;

	if (tokens == NULL)
		return -ENOMEM;
	tokens->path = strdup(where);
	tokens->size = -1;
	tokens->list = calloc(API_TOKENS_MAX, sizeof(*tokens->list));
	err = tokens->path == NULL || tokens->list == NULL ? -ENOMEM : read_file(tokens);
	if (err != 0) {
		file_close(tokens);
		return err;
	}
	*kept = tokens;
	return 0;
}

const struct api_token_keep api_token_file = {
	.open = file_open,
	.close = file_close,
	.find = file_find,
	.add = file_add,
	.remove = file_remove,
	.list = file_list,
};
