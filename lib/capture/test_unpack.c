/* Compressed captures: whole, in pieces, cut, damaged, from a pipe. */
#include "test/test.h"

#include <errno.h>
#include <lz4frame.h>
#include <lzma.h>
#include <sys/wait.h>
#include <unistd.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>

#include "lib/capture/capture_private.h"

enum {
	FRAMES = 4000,
	FRAME_LEN = 200,
	PLAIN_LEN = 24 + FRAMES * (16 + FRAME_LEN), /* more than any buffer on the way */
	PACKED_MAX = 2 * PLAIN_LEN,
	MUTATIONS = 40,
};

static char path[] = "unpack_XXXXXX";
static uint8_t plain[PLAIN_LEN], packed[PACKED_MAX];

static uint64_t
next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void
put_u32(uint8_t *to, uint32_t value)
{
	memcpy(to, &value, sizeof(value));
}

/* Half of a frame can be compressed, so that no library stores the data as it is. */
static void
make_plain(void)
{
	uint64_t seed = 0x756e7061636b;
	uint8_t *to = plain + 24;

	put_u32(plain, 0xa1b2c3d4);
	put_u32(plain + 4, 2 | 4 << 16);
	put_u32(plain + 16, 65535);
	put_u32(plain + 20, 1);
	for (uint32_t i = 0; i < FRAMES; i++, to += 16 + FRAME_LEN) {
		put_u32(to, i + 1);
		put_u32(to + 8, FRAME_LEN);
		put_u32(to + 12, FRAME_LEN);
		memset(to + 16, (int)i & 0xff, FRAME_LEN);
		for (unsigned int at = 0; at < FRAME_LEN / 2; at++)
			to[16 + at] = (uint8_t)next_random(&seed);
	}
}

static size_t
pack_gzip(const uint8_t *from, size_t len, uint8_t *to, size_t room)
{
	z_stream stream = { .next_in = from, .avail_in = (uInt)len, .next_out = to, .avail_out = (uInt)room };

	assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	assert_int_equal(deflateEnd(&stream), Z_OK);
	return room - stream.avail_out;
}

static size_t
pack_zstd(const uint8_t *from, size_t len, uint8_t *to, size_t room)
{
	size_t got = ZSTD_compress(to, room, from, len, 3);

	assert_false(ZSTD_isError(got));
	return got;
}

/* As pzstd writes it: before each frame one to be skipped, which says how long it is. */
static size_t
pack_pzstd(const uint8_t *from, size_t len, uint8_t *to, size_t room)
{
	size_t got = pack_zstd(from, len, to + 12, room - 12);

	put_u32(to, 0x184d2a50);
	put_u32(to + 4, 4);
	put_u32(to + 8, (uint32_t)got);
	return got + 12;
}

static size_t
pack_xz(const uint8_t *from, size_t len, uint8_t *to, size_t room)
{
	size_t got = 0;

	assert_int_equal(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC32, NULL, from, len, to, &got, room), LZMA_OK);
	return got;
}

static size_t
pack_lz4(const uint8_t *from, size_t len, uint8_t *to, size_t room)
{
	size_t got = LZ4F_compressFrame(to, room, from, len, NULL);

	assert_false(LZ4F_isError(got));
	return got;
}

static const struct {
	const char *name;
	size_t (*pack)(const uint8_t *from, size_t len, uint8_t *to, size_t room);
} packers[] = { { "gzip", pack_gzip }, { "zstd", pack_zstd }, { "pzstd", pack_pzstd }, { "xz", pack_xz }, { "lz4", pack_lz4 } };

/* In so many pieces, one behind the other. */
static size_t
pack(unsigned int packer, unsigned int pieces)
{
	size_t done = 0, len = 0;

	for (unsigned int i = 0; i < pieces; i++) {
		size_t piece = i + 1 == pieces ? PLAIN_LEN - done : PLAIN_LEN / pieces;

		len += packers[packer].pack(plain + done, piece, packed + len, PACKED_MAX - len);
		done += piece;
	}
	return len;
}

static void
write_file(const uint8_t *data, size_t len)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

/* @return frames read, each as it was; *result: 0 or what ended the reading */
static unsigned int
read_frames(const char *from, int *result, struct config_error *err)
{
	struct capture_frame frame;
	unsigned int count = 0;
	struct capture *c;

	*result = capture_open(&c, from, err);
	if (*result < 0)
		return 0;
	while ((*result = capture_next(c, &frame)) == 1) {
		assert_int_equal(frame.len, FRAME_LEN);
		assert_memory_equal(frame.data, plain + 24 + count * (16 + FRAME_LEN) + 16, FRAME_LEN);
		count++;
	}
	snprintf(err->text, sizeof(err->text), "%s", capture_error(c));
	capture_close(c);
	return count;
}

static void
test_whole(void **state)
{
	struct config_error err;
	int result;

	for (unsigned int i = 0; i < TEST_COUNT(packers); i++)
		for (unsigned int pieces = 1; pieces <= 3; pieces++) {
			write_file(packed, pack(i, pieces));
			assert_int_equal(read_frames(path, &result, &err), FRAMES);
			assert_int_equal(result, 0);
		}
}

/* What came before the cut is read, and the cut is said, but where a piece ended there. */
static void
test_cut(void **state)
{
	struct config_error err;

	for (unsigned int i = 0; i < TEST_COUNT(packers); i++) {
		size_t whole = pack(i, 1);
		int result;

		for (size_t len = 6; len < whole; len += len < 64 || len + 64 > whole ? 1 : whole / 16) {
			unsigned int count;

			write_file(packed, len);
			count = read_frames(path, &result, &err);
			assert_true(count <= FRAMES);
			assert_int_equal(result, -EBADMSG);
			assert_true(len < whole / 2 || count > FRAMES / 4);
			if (strcmp(packers[i].name, "pzstd") != 0 || len != 12)
				assert_non_null(strstr(err.text, "compressed data is damaged or cut short"));
		}
	}
}

/* Whatever stands in the file: reading ends, and what is read before the damage is right where a checksum of the packer covers it. */
static void
test_damaged(void **state)
{
	uint64_t seed = 0x64616d616765;

	for (unsigned int i = 0; i < TEST_COUNT(packers); i++) {
		size_t len = pack(i, 2);

		for (unsigned int n = 0; n < MUTATIONS; n++) {
			size_t at = next_random(&seed) % len;
			uint8_t before = packed[at];
			struct config_error err;
			struct capture_frame frame;
			struct capture *c;

			packed[at] ^= (uint8_t)(1 + next_random(&seed) % 255);
			write_file(packed, len);
			packed[at] = before;
			if (capture_open(&c, path, &err) < 0)
				continue;
			for (unsigned int count = 0; capture_next(c, &frame) == 1; count++)
				assert_true(count < PACKED_MAX);
			capture_close(c);
		}
	}
}

/* Copiers fill up with zeros; that is no damage behind gzip, as gzip itself says. */
static void
test_filled(void **state)
{
	struct config_error err;
	size_t len = pack(0, 2);
	int result;

	memset(packed + len, 0, 1000);
	write_file(packed, len + 1000);
	assert_int_equal(read_frames(path, &result, &err), FRAMES);
	assert_int_equal(result, 0);
}

/* A frame whose window is larger than what is allowed is refused with that reason, before memory is taken for it. */
static void
test_window(void **state)
{
	ZSTD_CCtx *ctx = ZSTD_createCCtx();
	ZSTD_inBuffer in = { plain, PLAIN_LEN, 0 };
	ZSTD_outBuffer out = { packed, PACKED_MAX, 0 };
	struct config_error err;
	int result;

	assert_non_null(ctx);
	(void)ZSTD_CCtx_setParameter(ctx, ZSTD_c_windowLog, 28);
	/* A piece first: the length is not known when the frame begins, so that its window stands in its head. */
	in.size = PLAIN_LEN / 2;
	assert_false(ZSTD_isError(ZSTD_compressStream2(ctx, &out, &in, ZSTD_e_flush)));
	in.size = PLAIN_LEN;
	assert_int_equal(ZSTD_compressStream2(ctx, &out, &in, ZSTD_e_end), 0);
	(void)ZSTD_freeCCtx(ctx);
	write_file(packed, out.pos);
	assert_int_equal(read_frames(path, &result, &err), 0);
	assert_int_equal(result, -EBADMSG);
	assert_non_null(strstr(err.text, "unpacking the zstd data takes more than 128 MiB"));
}

/* A pipe cannot be looked at without taking; its bytes come in pieces of any length. */
static void
read_pipe(const uint8_t *data, size_t len)
{
	struct config_error err;
	int ends[2], result, status;
	int stdin_fd = dup(STDIN_FILENO);
	pid_t writer;

	assert_int_equal(pipe(ends), 0);
	writer = fork();
	assert_true(writer >= 0);
	if (writer == 0) {
		uint64_t seed = 0x70697065;

		close(ends[0]);
		for (size_t at = 0, piece; at < len; at += piece) {
			piece = at < 64 ? 1 : 1 + next_random(&seed) % 5000;
			piece = piece < len - at ? piece : len - at;
			if (write(ends[1], data + at, piece) != (ssize_t)piece)
				_exit(1);
		}
		_exit(0);
	}
	close(ends[1]);
	assert_true(dup2(ends[0], STDIN_FILENO) >= 0);
	close(ends[0]);
	assert_int_equal(read_frames("-", &result, &err), FRAMES);
	assert_int_equal(result, 0);
	assert_int_equal(waitpid(writer, &status, 0), writer);
	assert_int_equal(status, 0);
	if (stdin_fd >= 0) {
		assert_true(dup2(stdin_fd, STDIN_FILENO) >= 0);
		close(stdin_fd);
	}
}

static void
test_pipe(void **state)
{
	read_pipe(plain, PLAIN_LEN);
	for (unsigned int i = 0; i < TEST_COUNT(packers); i++)
		read_pipe(packed, pack(i, 2));
}

static void
test_allocation(void **state)
{
	struct config_error err;
	struct capture *c;

	for (unsigned int i = 0; i < TEST_COUNT(packers); i++) {
		write_file(packed, pack(i, 1));
		TEST_FAIL_EACH_ALLOC(capture_open(&c, path, &err), == 0, capture_close(c));
	}
}

static int
make_file(void **state)
{
	int fd = mkstemp(path);

	make_plain();
	return fd < 0 ? fd : close(fd);
}

static int
remove_file(void **state)
{
	return unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_filled),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_pipe),
		cmocka_unit_test(test_allocation),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
