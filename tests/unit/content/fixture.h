/*
 * A folder of files with known bytes, for the tests of content/. Bytes are a function of a seed and
 * a place, so that a test can make a version that differs where it wants.
 */
#pragma once

#include "base/fs.h"
#include "base/random.h"
#include "content/hasher.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define OK(expression)                                                                             \
	do {                                                                                       \
		struct lsp_error why = {0};                                                        \
		int ok_ = (expression);                                                            \
		if (ok_ < 0)                                                                       \
			fail_msg("%s: %d %s", #expression, ok_, why.message);                      \
	} while (0)

/* A wall clock that is long after every file was written, so that nothing is young. */
static inline uint64_t fixture_later(const struct lsp_clock *clock)
{
	return lsp_wall(lsp_clock_system) + 3600 * LSP_SECOND;
}
static const struct lsp_clock fixture_clock = {.wall = fixture_later};

struct fixture {
	char path[64];
	int fd;
};

static inline void fixture_init(struct fixture *fixture)
{
	strcpy(fixture->path, "/tmp/lanspread-unit-XXXXXX");
	assert_non_null(mkdtemp(fixture->path));
	OK(lsp_fs_open_dir(fixture->path, &fixture->fd, &why));
}

static inline void fixture_done(struct fixture *fixture)
{
	int parent;
	close(fixture->fd);
	OK(lsp_fs_open_dir("/tmp", &parent, &why));
	OK(lsp_fs_remove_tree_below(parent, fixture->path + 5, &why));
	close(parent);
}

/* size bytes; the same seed gives the same ones. */
static inline uint8_t *fixture_bytes(uint64_t seed, size_t size)
{
	struct lsp_random random;
	uint8_t *bytes = malloc(size + 8);
	assert_non_null(bytes);
	lsp_random_seed(&random, seed);
	for (size_t i = 0; i < size; i += 8) {
		uint64_t word = lsp_random_next(&random);
		memcpy(bytes + i, &word, 8);
	}
	return bytes;
}

static inline void fixture_put(int dir_fd, const char *path, const void *bytes, size_t size)
{
	char folder[256];
	snprintf(folder, sizeof folder, "%s", path);
	char *slash = strrchr(folder, '/');
	if (slash) {
		*slash = '\0';
		OK(lsp_fs_make_dirs_below(dir_fd, folder, &why));
	}
	OK(lsp_fs_write_file_below(dir_fd, path, bytes, size, 0644, &why));
}

static inline void fixture_file(int dir_fd, const char *path, uint64_t seed, size_t size)
{
	uint8_t *bytes = fixture_bytes(seed, size);
	fixture_put(dir_fd, path, bytes, size);
	free(bytes);
}

static inline void fixture_text(int dir_fd, const char *path, const char *text)
{
	fixture_put(dir_fd, path, text, strlen(text));
}

static inline const struct lsp_manifest *fixture_hash(int dir_fd, const char *name)
{
	struct lsp_hashed hashed = {0};
	const struct lsp_hasher_options options = {.clock = &fixture_clock};
	OK(lsp_hasher_run(dir_fd, name, &options, NULL, &hashed, &why));
	const struct lsp_manifest *manifest = lsp_manifest_ref(hashed.manifest);
	lsp_hashed_done(&hashed);
	return manifest;
}

/* Same files, same bytes. */
static inline void fixture_assert_content(int dir_fd, const struct lsp_manifest *manifest)
{
	const struct lsp_manifest *now = fixture_hash(dir_fd, manifest->name);
	assert_memory_equal(&now->content_id, &manifest->content_id, sizeof now->content_id);
	lsp_manifest_unref(now);
}

static inline int fixture_open(int dir_fd, const char *path)
{
	int fd = -1;
	OK(lsp_fs_open_below(dir_fd, path, O_RDWR, 0, &fd, &why));
	return fd;
}
