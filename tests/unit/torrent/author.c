/* A torrent is of the bytes that were there from its beginning to its end, or there is none. */
#include "torrent/author.h"

#include "../content/fixture.h"

#include <stdlib.h>

#define SIZE ((size_t)3 << 20) /* of a file: some runs of reading */

struct world {
	struct fixture fixture;
	struct lsp_hashed hashed; /* the same folder as a game */
	uint8_t *bytes;
	const char *edited; /* while it is read; NULL: nothing is */
	size_t edited_size; /* of the file thereafter */
	uint64_t done, total;
};

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof *world);
	fixture_init(&world->fixture);
	world->bytes = fixture_bytes(1, SIZE);
	fixture_put(world->fixture.fd, "a.pak", world->bytes, SIZE);
	fixture_put(world->fixture.fd, "b.pak", world->bytes, 100);
	fixture_put(world->fixture.fd, "c.pak", world->bytes, SIZE);
	fixture_put(world->fixture.fd, "version.ini", "1.0\n", 4);
	struct lsp_hasher_options options = {.clock = &fixture_clock};
	OK(lsp_hasher_run(world->fixture.fd, "game", &options, NULL, &world->hashed, &why));
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	lsp_hashed_done(&world->hashed);
	fixture_done(&world->fixture);
	free(world->bytes);
	free(world);
	return 0;
}

static void edit(struct world *world, const char *name, size_t size)
{
	int fd = openat(world->fixture.fd, name, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(pwrite(fd, "other", 5, 10), 5);
	close(fd);
}

static void on_progress(void *argument, uint64_t done, uint64_t total)
{
	struct world *world = argument;
	assert_true(done > world->done && done <= total);
	world->done = done;
	world->total = total;
	if (world->edited)
		edit(world, world->edited, world->edited_size);
	world->edited = NULL;
}

/* Of the folder, or of the game; hybrid. What is wrong, and the number of bytes of the .torrent. */
static int make(struct world *world, bool game, size_t *ret_size, struct lsp_error *err)
{
	struct lsp_author author = {.path = world->fixture.path,
		.manifest = game ? world->hashed.manifest : NULL,
		.name = "game",
		.hybrid = true,
		.progress = on_progress,
		.argument = world};
	struct lsp_buffer buffer = {0};
	int r = lsp_author_run(&author, NULL, &buffer, err);
	*ret_size = buffer.size;
	lsp_buffer_done(&buffer);
	return r;
}

static void all_is_read_once(void **state)
{
	struct world *world = *state;
	size_t size;
	for (int game = 0; game < 2; game++) {
		world->done = 0;
		OK(make(world, game, &size, &why));
		assert_int_equal(world->total, 2 * SIZE + 104);
		assert_int_equal(world->done, world->total);
	}
}

static void assert_refused(struct world *world, bool game, const char *name, const char *text)
{
	struct lsp_error err = {0};
	size_t size;
	world->done = 0;
	assert_int_equal(make(world, game, &size, &err), -LSP_E_BUSY);
	assert_int_equal(size, 0);
	assert_non_null(strstr(err.message, name));
	assert_non_null(strstr(err.message, text));
}

static void what_changes_while_it_is_read_makes_none(void **state)
{
	struct world *world = *state;
	static const struct {
		size_t size;
		const char *text;
	} edits[] = {{SIZE, "changed while it was read"}, {SIZE + 5, "changed while it was read"},
		{SIZE / 2, "became shorter while it was read"}};
	for (int game = 0; game < 2; game++) {
		for (size_t i = 0; i < LSP_ARRAY_SIZE(edits); i++) {
			world->edited = "a.pak";
			world->edited_size = edits[i].size;
			assert_refused(world, game, "a.pak", edits[i].text);
			fixture_put(world->fixture.fd, "a.pak", world->bytes, SIZE);
		}
	}
}

/* What has not been reached yet: the walk saw another size, the library other bytes. */
static void what_changed_before_it_is_read_makes_none(void **state)
{
	struct world *world = *state;
	world->edited = "c.pak";
	world->edited_size = SIZE + 5;
	assert_refused(world, false, "c.pak", "changed while it was read");
	fixture_put(world->fixture.fd, "c.pak", world->bytes, SIZE);
	world->edited = "c.pak";
	world->edited_size = SIZE;
	assert_refused(world, true, "c.pak", "when the game was hashed");
	fixture_put(world->fixture.fd, "c.pak", world->bytes, SIZE);
	edit(world, "version.ini", 4);
	assert_refused(world, true, "version.ini", "changed");
}

/* Without a v1 half a game is not read: what it was is what its torrent is. */
static void a_game_is_not_read_for_its_trees(void **state)
{
	struct world *world = *state;
	struct lsp_author author = {.manifest = world->hashed.manifest};
	struct lsp_buffer buffer = {0};
	edit(world, "a.pak", SIZE);
	OK(lsp_author_run(&author, NULL, &buffer, &why));
	assert_true(buffer.size > 0);
	lsp_buffer_done(&buffer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_is_read_once),
		TEST(what_changes_while_it_is_read_makes_none),
		TEST(what_changed_before_it_is_read_makes_none),
		TEST(a_game_is_not_read_for_its_trees),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
