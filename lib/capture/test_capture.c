#include "test/test.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <unistd.h>

#include "lib/capture/test_image.h"

enum {
	FRAMES_MAX = 16,
	MUTATIONS = 300, /* of each sample */
};

struct expected {
	const char *text;
	uint32_t wire_len;
	uint64_t ts_ns;
	uint32_t interface;
	uint16_t link_type;
};

struct sample {
	const char *name;
	void (*build)(struct image *image);
	struct expected frames[FRAMES_MAX]; /* ends with text NULL */
};

static void
build_micro(struct image *image)
{
	put_pcap_header(image, 0xa1b2c3d4, 4, 1);
	put_pcap_frame(image, 1, 999999, "first", 5);
	put_pcap_frame(image, 4000000000u, 0, "", 60);
	put_pcap_frame(image, 3, 1, "third frame", 1500);
}

static void
build_micro_big_endian(struct image *image)
{
	image->big_endian = true;
	build_micro(image);
}

static void
build_nano(struct image *image)
{
	put_pcap_header(image, 0xa1b23c4d, 4, 0xf4000071);
	put_pcap_frame(image, 1, 999999999, "nano", 2);
}

static void
build_kuznetzov(struct image *image)
{
	image->big_endian = true;
	put_pcap_header(image, 0xa1b2cd34, 4, 1);
	put_u32(image, 5);
	put_u32(image, 6);
	put_u32(image, 2);
	put_u32(image, 2);
	put(image, "12345678ab", 10);
}

static void
build_ancient(struct image *image)
{
	put_pcap_header(image, 0xa1b2c3d4, 2, 1);
	put_u32(image, 5);
	put_u32(image, 6);
	put_u32(image, 9); /* wire length first */
	put_u32(image, 2);
	put(image, "ab", 2);
}

static void
build_sections(struct image *image)
{
	size_t start;

	put_section(image);
	put_interface(image, 1, 0, -1, 0);
	put_interface(image, 113, 0, 9, -1);
	put_enhanced(image, 1, 5000000007, "nano, a second less", 100);
	put_enhanced(image, 0, 1000001, "micro", 5);
	start = put_block(image, 0xbad);
	put(image, "whatever this is", 16);
	put_block_end(image, start);
	put_simple(image, "simple", 6);
	put_obsolete(image, 1, 9000000000, "obsolete");
	image->big_endian = true;
	put_section(image);
	put_interface(image, 101, 4, 0x80 | 10, 2);
	put_interface(image, 276, 0, 12, 0);
	put_interface(image, 228, 0, 0x80 | 127, 0);
	put_enhanced(image, 0, 1536, "half", 4);
	put_simple(image, "long", 40);
	put_enhanced(image, 1, 3000, "pico", 4);
	put_enhanced(image, 2, UINT64_MAX, "no time left", 12);
}

static const struct sample samples[] = {
	{ "micro", build_micro, { { "first", 5, 1999999000, 0, 1 }, { "", 60, 4000000000000000000, 0, 1 },
		{ "third frame", 1500, 3000001000, 0, 1 } } },
	{ "micro, big-endian", build_micro_big_endian, { { "first", 5, 1999999000, 0, 1 },
		{ "", 60, 4000000000000000000, 0, 1 }, { "third frame", 1500, 3000001000, 0, 1 } } },
	{ "nano, frame check sequence", build_nano, { { "nano", 4, 1999999999, 0, 113 } } },
	{ "kuznetzov", build_kuznetzov, { { "ab", 2, 5000006000, 0, 1 } } },
	{ "version 2.2", build_ancient, { { "ab", 9, 5000006000, 0, 1 } } },
	{ "sections", build_sections, {
		{ "nano, a second less", 100, 4000000007, 1, 113 },
		{ "micro", 5, 1000001000, 0, 1 },
		{ "simple", 6, 1000001000, 0, 1 },
		{ "obsolete", 8, 8000000000, 1, 113 },
		{ "half", 4, 3500000000, 0, 101 },
		{ "long", 40, 3500000000, 0, 101 },
		{ "pico", 4, 3, 1, 276 },
		{ "no time left", 12, 0, 2, 228 },
	} },
};

static char path[] = "capture_XXXXXX";

static void
write_file(const void *data, size_t len)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void
build(struct image *image, const struct sample *sample)
{
	memset(image, 0, sizeof(*image));
	sample->build(image);
}

/* Reads all; each frame must be the sample's. @return frames read; *result is the last capture_next()'s */
static unsigned int
read_and_compare(const struct sample *sample, int *result)
{
	struct config_error err;
	struct capture_frame frame;
	struct capture *c;
	unsigned int count = 0;

	*result = capture_open(&c, path, &err);
	if (*result < 0) {
		assert_null(c);
		assert_non_null(strstr(err.text, path));
		return 0;
	}
	while ((*result = capture_next(c, &frame)) == 1) {
		const struct expected *want = &sample->frames[count++];

		assert_non_null(want->text);
		assert_int_equal(frame.len, strlen(want->text));
		assert_memory_equal(frame.data, want->text, frame.len);
		assert_int_equal(frame.wire_len, want->wire_len);
		assert_int_equal(frame.ts_ns, want->ts_ns);
		assert_int_equal(frame.interface, want->interface);
		assert_int_equal(frame.link_type, want->link_type);
		assert_int_equal(frame.number, count);
	}
	assert_int_equal(capture_next(c, &frame), *result);
	assert_int_equal(capture_error(c)[0] == '\0', *result == 0);
	capture_close(c);
	return count;
}

static unsigned int
sample_frame_count(const struct sample *sample)
{
	unsigned int count = 0;

	while (sample->frames[count].text != NULL)
		count++;
	return count;
}

static void
test_samples(void **state)
{
	static struct image image;

	for (unsigned int i = 0; i < TEST_COUNT(samples); i++) {
		int result;

		build(&image, &samples[i]);
		write_file(image.data, image.len);
		assert_int_equal(read_and_compare(&samples[i], &result), sample_frame_count(&samples[i]));
		assert_int_equal(result, 0);
	}
}

/* Cut at every byte: the frames before the cut come, and the end is either clean or said. */
static void
test_truncated(void **state)
{
	static struct image image;

	for (unsigned int i = 0; i < TEST_COUNT(samples); i++) {
		unsigned int clean_ends = 0;

		build(&image, &samples[i]);
		for (size_t len = 0; len < image.len; len++) {
			int result;

			write_file(image.data, len);
			assert_true(read_and_compare(&samples[i], &result) <= sample_frame_count(&samples[i]));
			assert_true(result == 0 || result == -EBADMSG);
			clean_ends += result == 0;
		}
		assert_true(clean_ends <= sample_frame_count(&samples[i]) + 8);
		assert_true(clean_ends >= sample_frame_count(&samples[i]));
	}
}

static uint64_t
next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Whatever stands in the file: reading ends, and what is lent can be read. */
static void
test_mutated(void **state)
{
	static struct image image, mutant;
	uint64_t seed = 0x6d696c6c72616365;

	for (unsigned int i = 0; i < TEST_COUNT(samples); i++) {
		build(&image, &samples[i]);
		for (unsigned int turn = 0; turn < MUTATIONS; turn++) {
			struct config_error err;
			struct capture_frame frame;
			struct capture *c;
			uint32_t sum = 0;

			mutant = image;
			for (uint64_t edits = 1 + next_random(&seed) % 4; edits > 0; edits--)
				mutant.data[next_random(&seed) % image.len] = (uint8_t)next_random(&seed);
			write_file(mutant.data, mutant.len);
			if (capture_open(&c, path, &err) < 0)
				continue;
			while (capture_next(c, &frame) == 1)
				for (uint32_t at = 0; at < frame.len; at++)
					sum += frame.data[at];
			assert_true(sum < UINT32_MAX);
			capture_close(c);
		}
	}
}

static void
build_nothing(struct image *image)
{
}

static void
build_text(struct image *image)
{
	put(image, "not a capture", 13);
}

static void
build_version(struct image *image)
{
	put_pcap_header(image, 0xa1b2c3d4, 4, 1);
	image->data[4] = 3;
}

static void
build_long_frame(struct image *image)
{
	build_micro(image);
	put_u32(image, 0);
	put_u32(image, 0);
	put_u32(image, CAPTURE_FRAME_LEN_MAX + 1);
	put_u32(image, 60);
}

static void
build_short_frame(struct image *image)
{
	build_micro(image);
	image->len--;
}

static void
build_long_block(struct image *image)
{
	put_section(image);
	put_u32(image, 6);
	put_u32(image, CAPTURE_BLOCK_LEN_MAX + 4);
}

static void
build_unequal_block(struct image *image)
{
	put_section(image);
	put_interface(image, 1, 0, -1, 0);
	image->data[image->len - 4]++;
}

static void
build_no_interface(struct image *image)
{
	put_section(image);
	put_enhanced(image, 3, 0, "x", 1);
}

static void
build_misfit(struct image *image)
{
	put_section(image);
	put_interface(image, 1, 0, -1, 0);
	put_enhanced(image, 0, 0, "four", 4);
	image->data[image->len - 16] = 9;
}

static void
build_byte_order(struct image *image)
{
	put_section(image);
	image->data[8] = 0;
}

static void
test_damage(void **state)
{
	static const struct {
		void (*build)(struct image *image);
		const char *reason;
	} rows[] = {
		{ build_nothing, ": the file is empty" },
		{ build_text, ": neither pcap nor pcapng (starts with 0x6e6f7420): Wireshark's editcap turns other formats into pcapng" },
		{ build_version, ": pcap version 3.4 is not known" },
		{ build_long_frame, ": byte 88, frame 4: a frame of 262145 bytes, above 262144" },
		{ build_short_frame, ": byte 61, frame 3: the file is cut short in a frame" },
		{ build_long_block, ": byte 28, frame 1: a block of 16777220 bytes" },
		{ build_unequal_block, ": byte 28, frame 1: the lengths at both ends of a block differ" },
		{ build_no_interface, ": byte 28, frame 1: interface 3 of 0" },
		{ build_misfit, ": byte 48, frame 1: a frame of 9 bytes does not fit its block" },
		{ build_byte_order, ": a section of unknown byte order 0x1a2b3c00" },
	};
	static struct image image;

	for (unsigned int i = 0; i < TEST_COUNT(rows); i++) {
		struct config_error err;
		struct capture_frame frame;
		struct capture *c;
		const char *text;
		int result;

		memset(&image, 0, sizeof(image));
		rows[i].build(&image);
		write_file(image.data, image.len);
		result = capture_open(&c, path, &err);
		while (result >= 0 && (result = capture_next(c, &frame)) == 1)
			;
		assert_int_equal(result, -EBADMSG);
		text = c == NULL ? err.text : capture_error(c);
		assert_int_equal(strncmp(text, path, strlen(path)), 0);
		assert_string_equal(text + strlen(path), rows[i].reason);
		capture_close(c);
	}
}

static void
test_absent(void **state)
{
	struct config_error err;
	struct capture *c;

	assert_int_equal(capture_open(&c, "no/such/file", &err), -ENOENT);
	assert_string_equal(err.text, "no/such/file: No such file or directory");
	assert_int_equal(capture_open(&c, ".", &err), -EISDIR);
	capture_close(NULL);
}

static int
open_sections(struct capture **c, struct capture_frame *frame)
{
	struct config_error err;
	int result = capture_open(c, path, &err);

	return result < 0 ? result : capture_next(*c, frame);
}

static void
test_allocation(void **state)
{
	static struct image image;
	struct capture_frame frame;
	struct capture *c;

	build(&image, &samples[5]);
	write_file(image.data, image.len);
	for (unsigned int nth = 1;; nth++) {
		int result;

		test_fail_alloc(nth);
		result = open_sections(&c, &frame);
		test_fail_alloc(0);
		if (result == 1)
			break;
		assert_int_equal(result, -ENOMEM);
		capture_close(c);
		assert_true(nth < 10);
	}
	capture_close(c);
}

/* A block larger than the window: the window grows, and what stands behind it is still found. */
static void
test_large_block(void **state)
{
	static struct image image;
	size_t len = 3 * CAPTURE_AREA_LEN;
	uint8_t *data = calloc(1, len + FILE_MAX);
	struct capture_frame frame;
	struct capture *c;

	assert_non_null(data);
	memset(&image, 0, sizeof(image));
	put_section(&image);
	memcpy(data, image.data, image.len);
	for (unsigned int i = 0; i < 4; i++) {
		data[image.len + i] = (uint8_t)(i == 0 ? 0x7f : 0);
		data[image.len + 4 + i] = data[image.len + len - 4 + i] = (uint8_t)(len >> 8 * i);
	}
	len += image.len;
	memset(&image, 0, sizeof(image));
	put_interface(&image, 1, 0, -1, 0);
	put_enhanced(&image, 0, 7, "behind", 6);
	memcpy(data + len, image.data, image.len);
	write_file(data, len + image.len);
	free(data);
	assert_int_equal(open_sections(&c, &frame), 1);
	assert_memory_equal(frame.data, "behind", 6);
	assert_int_equal(frame.ts_ns, 7000);
	capture_close(c);
	test_fail_alloc(4);
	assert_int_equal(open_sections(&c, &frame), -ENOMEM);
	test_fail_alloc(0);
	capture_close(c);
}

static uint64_t
count_frames(const char *file)
{
	struct config_error err;
	struct capture_frame frame;
	struct capture *c;
	uint64_t count = 0;

	if (capture_open(&c, file, &err) < 0)
		return 0;
	while (capture_next(c, &frame) == 1)
		count = frame.number;
	capture_close(c);
	return count;
}

/* Each capture of the shared corpus has as many frames as tshark counted, or, where it stopped at damage, as the
 * corpus's own reader did. */
static void
test_corpus(void **state)
{
	const char *shared = getenv("MILLRACE_SHARED");
	char folder[512], file[1024], truth[1024];
	struct dirent *entry;
	unsigned int files = 0, wrong = 0;
	DIR *dir;

	snprintf(folder, sizeof(folder), "%s/corpus", shared != NULL ? shared : MR_SOURCE_ROOT "/../shared");
	snprintf(file, sizeof(file), "%s/captures", folder);
	dir = opendir(file);
	if (dir == NULL) {
		print_message("no shared corpus at %s\n", folder);
		skip();
	}
	while ((entry = readdir(dir)) != NULL) {
		json_t *root, *reader;
		uint64_t count;

		snprintf(file, sizeof(file), "%s/captures/%s", folder, entry->d_name);
		snprintf(truth, sizeof(truth), "%s/truth/%s.json", folder, entry->d_name);
		root = json_load_file(truth, 0, NULL);
		if (root == NULL)
			continue;
		reader = json_object_get(root, "reader");
		count = count_frames(file);
		files++;
		if (count != (uint64_t)json_integer_value(json_object_get(root, "packets")) &&
			!(json_is_string(json_object_get(reader, "error")) &&
				count == (uint64_t)json_integer_value(json_object_get(reader, "packets")))) {
			print_error("%s: %llu frames\n", entry->d_name, (unsigned long long)count);
			wrong++;
		}
		json_decref(root);
	}
	closedir(dir);
	print_message("%u captures\n", files);
	assert_int_equal(wrong, 0);
}

static int
make_file(void **state)
{
	int fd = mkstemp(path);

	return fd < 0 ? -1 : close(fd);
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
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_mutated),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_allocation),
		cmocka_unit_test(test_large_block),
		cmocka_unit_test(test_corpus),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
