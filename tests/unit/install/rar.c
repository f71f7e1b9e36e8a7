/*
 * RAR archives of which no program here can make one: solid ones, PPMd filters, encrypted headers,
 * volumes. They are put together byte by byte, as the RAR program's technote.txt describes them;
 * what libarchive refuses goes to unar, where that is installed.
 */
#include "world.h"

#include "base/text.h"
#include "install/archive.h"
#include "install/rar.h"
#include "task/registry.h"

#include <fcntl.h>
#include <string.h>

static struct lsp_cancel *root_token;
static struct lsp_tasks *tasks;
static struct lsp_unpacker builtin;

static int begin_group(void **state)
{
	(void)state;
	assert_non_null(getenv("LANSPREAD_UNPACK"));
	assert_int_equal(lsp_cancel_new(NULL, &root_token, NULL), 0);
	assert_int_equal(lsp_tasks_new(root_token, NULL, &tasks, NULL), 0);
	lsp_unpacker_init_builtin(&builtin, tasks, getenv("LANSPREAD_UNPACK"));
	return 0;
}

static int end_group(void **state)
{
	(void)state;
	struct lsp_error err = {0};
	lsp_time deadline = lsp_now(lsp_clock_system) + 60 * LSP_SECOND;
	lsp_cancel_request(root_token, LSP_CANCEL_RUN_COMPLETED, NULL);
	assert_int_equal(lsp_tasks_join_all(tasks, deadline, NULL, &err), 0);
	lsp_tasks_free(tasks);
	lsp_cancel_unref(root_token);
	return 0;
}

/* All archives of the game's folder, into "out". tools: where to look for unrar and unar. */
static int unpack(struct world *world, const char *tools, struct lsp_error *err)
{
	_cleanup_install_source_ struct lsp_install_source source = {0};
	_cleanup_archives_ struct lsp_archives archives = {0};
	_cleanup_close_ int target = -1;
	struct lsp_unpacker unpacker = builtin;
	struct lsp_unpack_stats stats;
	unpacker.fallback_path = tools;
	*err = (struct lsp_error){0};
	drop(world->root_fd, "out");
	assert_int_equal(lsp_fs_make_dirs_below(world->root_fd, "out", NULL), 0);
	assert_int_equal(lsp_fs_open_dir_below(world->root_fd, "out", &target, NULL), 0);
	assert_int_equal(lsp_install_source_read(world->game_fd, NULL, &source, NULL), 0);
	int r = lsp_archives_find(&source, &archives, err);
	for (size_t i = 0; r == 0 && i < archives.count; i++) {
		struct lsp_unpack_request request = {.archive = &archives.list[i],
			.game_fd = world->game_fd,
			.target_fd = target};
		r = unpacker.unpack(&unpacker, &request, &stats, err);
	}
	return r;
}

/* ---- RAR 4 in bytes ---- */

enum {
	MAIN_VOLUME = 0x01,
	MAIN_SOLID = 0x08,
	MAIN_FIRST = 0x100,
	FILE_ENCRYPTED = 0x04,
	FILE_SOLID = 0x10,
	END_MORE = 0x01,
	STORED = 0x30,
	NORMAL = 0x33,
};

static void add_bytes(struct lsp_buffer *out, const void *data, size_t size)
{
	assert_int_equal(lsp_buffer_append(out, data, size, NULL), 0);
}

static void add_number(struct lsp_buffer *out, uint32_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		add_bytes(out, &(uint8_t){(uint8_t)((uint64_t)value >> (8 * i))}, 1);
}

static void add_head(
	struct lsp_buffer *out, unsigned type, unsigned flags, const struct lsp_buffer *body)
{
	_cleanup_buffer_ struct lsp_buffer head = {0};
	add_number(&head, type, 1);
	add_number(&head, flags, 2);
	add_number(&head, 7 + (uint32_t)body->size, 2);
	add_bytes(&head, body->data, body->size);
	add_number(out, crc32_of(head.data, head.size), 2);
	add_bytes(out, head.data, head.size);
}

static void begin_rar4(struct lsp_buffer *out, unsigned flags)
{
	_cleanup_buffer_ struct lsp_buffer body = {0};
	lsp_buffer_reset(out);
	add_bytes(out, "Rar!\x1a\x07\x00", 7);
	add_number(&body, 0, 6);
	add_head(out, 0x73, flags, &body);
}

struct packed {
	const char *name;
	const void *data;
	size_t size, unpacked;
	unsigned flags, method;
};

static void add_file(struct lsp_buffer *out, const struct packed *file)
{
	_cleanup_buffer_ struct lsp_buffer body = {0};
	add_number(&body, (uint32_t)file->size, 4);
	add_number(&body, (uint32_t)file->unpacked, 4);
	add_number(&body, 3, 1); /* made on Unix */
	add_number(&body, crc32_of(file->data, file->size), 4);
	add_number(&body, 0x5a210000, 4); /* the first of January 2025 */
	add_number(&body, 29, 1);         /* the version that can unpack it */
	add_number(&body, file->method, 1);
	add_number(&body, (uint32_t)strlen(file->name), 2);
	add_number(&body, 0100644, 4);
	add_bytes(&body, file->name, strlen(file->name));
	add_head(out, 0x74, 0x8000 | file->flags, &body);
	add_bytes(out, file->data, file->size);
}

static void end_rar4(struct world *world, struct lsp_buffer *out, unsigned flags, const char *name)
{
	static const struct lsp_buffer nothing = {0};
	add_head(out, 0x7b, 0x4000 | flags, &nothing);
	assert_int_equal(
		lsp_fs_write_file_below(world->game_fd, name, out->data, out->size, 0644, NULL), 0);
}

/* One file, whole and stored. */
static void write_rar4(struct world *world, const char *name, unsigned main_flags,
	unsigned file_flags, unsigned end)
{
	_cleanup_buffer_ struct lsp_buffer out = {0};
	begin_rar4(&out, main_flags);
	add_file(&out, &(struct packed){"a.txt", "first", 5, 5, file_flags, STORED});
	end_rar4(world, &out, end, name);
}

static void write_solid(struct world *world)
{
	_cleanup_buffer_ struct lsp_buffer out = {0};
	begin_rar4(&out, MAIN_SOLID);
	add_file(&out, &(struct packed){"a.txt", "first", 5, 5, 0, STORED});
	add_file(&out, &(struct packed){"b.txt", "second", 6, 6, FILE_SOLID, STORED});
	end_rar4(world, &out, 0, "g.eti");
}

/* ---- What libarchive cannot do ---- */

static const char *unar_or_null(void)
{
	if (access("/usr/bin/unar", X_OK) == 0)
		return "/usr/bin";
	print_message("unar is not installed: it is not tried\n");
	return NULL;
}

static void expect_a_named_package(struct world *world, const char *feature)
{
	struct lsp_error err;
	assert_int_equal(unpack(world, "/nonexistent", &err), -LSP_E_UNSUPPORTED);
	if (!strcasestr(err.message, feature) || !strstr(err.message, "g.eti") ||
		!strstr(err.message, "unrar or unar"))
		fail_msg("%s", err.message);
}

static void a_solid_archive_names_the_package_or_goes_to_it(void **state)
{
	struct world *world = *state;
	struct lsp_error err;
	write_solid(world);
	expect_a_named_package(world, "solid");
	const char *tools = unar_or_null();
	if (!tools)
		return;
	if (unpack(world, tools, &err) < 0)
		fail_msg("%s", err.message);
	assert_true(holds(world->root_fd, "out/a.txt", "first"));
	assert_true(holds(world->root_fd, "out/b.txt", "second"));
}

static void what_is_called_unrar_and_fails_gives_way_to_unar(void **state)
{
	struct world *world = *state;
	struct lsp_error err;
	const char *tools = unar_or_null();
	assert_int_equal(lsp_fs_make_dirs_below(world->root_fd, "tools", NULL), 0);
	assert_int_equal(
		lsp_fs_symlink_below(world->root_fd, "tools/unrar", "/bin/false", NULL), 0);
	_cleanup_free_ char *own = lsp_text_format("%s/tools", world->path);
	write_solid(world);
	assert_true(unpack(world, own, &err) < 0);
	assert_non_null(strstr(err.message, "tools/unrar"));
	if (!tools)
		return;
	_cleanup_free_ char *both = lsp_text_format("%s:%s", own, tools);
	if (unpack(world, both, &err) < 0)
		fail_msg("%s", err.message);
	assert_true(holds(world->root_fd, "out/b.txt", "second"));
}

/*
 * A PPMd block of order 5 and 1 MiB, and bytes that its model decodes, in its first state, to the
 * escape and the code of a filter.
 */
static const uint8_t ppmd_filter[] = {
	0xa4, 0x00, 0x2c, 0x92, 0x27, 0x56, 0x9a, 0x09, 0x72, 0x63, 0x4f, 0x22, 0xc6, 0x74};

static void a_ppmd_filter_names_the_package(void **state)
{
	struct world *world = *state;
	_cleanup_buffer_ struct lsp_buffer out = {0};
	begin_rar4(&out, 0);
	add_file(&out, &(struct packed){"a.txt", ppmd_filter, sizeof ppmd_filter, 1000, 0, NORMAL});
	end_rar4(world, &out, 0, "g.eti");
	expect_a_named_package(world, "filter");
	/* The rest of it means nothing: a tool that can do filters says so, and nothing is left
	 * half done without a word. */
	struct lsp_error err;
	const char *tools = unar_or_null();
	if (!tools)
		return;
	assert_true(unpack(world, tools, &err) < 0);
	assert_non_null(strstr(err.message, "g.eti"));
}

static void a_large_dictionary_names_the_package_or_goes_to_it(void **state)
{
	struct world *world = *state;
	static const struct item items[] = {{.path = "a.txt", .text = "first"}};
	struct lsp_error err;
	write_rar5(world->game_fd, "g.eti", 11, items, 1, false); /* 256 MiB */
	expect_a_named_package(world, "dictionary");
	const char *tools = unar_or_null();
	if (!tools)
		return;
	if (unpack(world, tools, &err) < 0)
		fail_msg("%s", err.message);
	assert_true(holds(world->root_fd, "out/a.txt", "first"));
}

/* ---- What nobody can ---- */

static void an_encrypted_one_says_so(void **state)
{
	struct world *world = *state;
	struct lsp_error err;
	write_rar4(world, "g.eti", 0, FILE_ENCRYPTED, 0);
	assert_int_equal(unpack(world, NULL, &err), -LSP_E_DENIED);
	assert_non_null(strstr(err.message, "g.eti"));
	assert_non_null(strstr(err.message, "a.txt"));
	assert_non_null(strstr(err.message, "encrypted"));
	write_rar4(world, "g.eti", 0x80, 0, 0); /* the headers too */
	assert_int_equal(unpack(world, NULL, &err), -LSP_E_DENIED);
	assert_non_null(strstr(err.message, "encrypted"));
}

static void one_that_is_cut_off_says_so_wherever_it_is(void **state)
{
	struct world *world = *state;
	_cleanup_buffer_ struct lsp_buffer whole = {0};
	static const struct item items[] = {{.path = "a.txt", .text = "the first of two files"},
		{.path = "b.txt", .text = "and the second"}};
	struct lsp_error err;
	write_rar5(world->game_fd, "g.eti", 0, items, 2, false);
	assert_int_equal(lsp_fs_read_file_below(world->game_fd, "g.eti", 4096, &whole, NULL), 0);
	int refused = 0;
	for (size_t size = 1; size < whole.size; size += 3) {
		assert_int_equal(lsp_fs_write_file_below(
					 world->game_fd, "g.eti", whole.data, size, 0644, NULL),
			0);
		int r = unpack(world, "/nonexistent", &err);
		if (r < 0 && !strstr(err.message, "g.eti"))
			fail_msg("%zu bytes: %s", size, err.message);
		refused += r < 0;
		if (r == 0)
			fail_msg("%zu bytes of %zu passed for all of it", size, whole.size);
	}
	assert_true(refused > 20);
}

static void a_volume_that_is_missing_is_named(void **state)
{
	struct world *world = *state;
	struct lsp_error err;
	write_rar4(world, "g.part1.rar", MAIN_VOLUME | MAIN_FIRST, 0, END_MORE);
	assert_int_equal(unpack(world, NULL, &err), -LSP_E_NOT_FOUND);
	assert_non_null(strstr(err.message, "g.part1.rar\" goes on in another part"));
	write_rar4(world, "g.part3.rar", MAIN_VOLUME, 0, 0);
	assert_int_equal(unpack(world, NULL, &err), -LSP_E_NOT_FOUND);
	assert_non_null(strstr(err.message, "g.part2.rar"));
	drop(world->game_fd, "g.part1.rar");
	drop(world->game_fd, "g.part3.rar");
	write_rar4(world, "g.eti", MAIN_VOLUME, 0, 0); /* by its header a later one */
	assert_int_equal(unpack(world, NULL, &err), -LSP_E_NOT_FOUND);
	assert_non_null(strstr(err.message, "g.eti"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_solid_archive_names_the_package_or_goes_to_it),
		TEST(what_is_called_unrar_and_fails_gives_way_to_unar),
		TEST(a_ppmd_filter_names_the_package),
		TEST(a_large_dictionary_names_the_package_or_goes_to_it),
		TEST(an_encrypted_one_says_so),
		TEST(one_that_is_cut_off_says_so_wherever_it_is),
		TEST(a_volume_that_is_missing_is_named),
	};
	return cmocka_run_group_tests(tests, begin_group, end_group);
}
