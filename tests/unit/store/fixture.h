/* A folder of its own for every test, and files in it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
	char folder[64];
	char warning[1024]; /* the last one that was logged */
	unsigned warnings;
};

static void fixture_sink(
	enum lsp_log_level level, const char *component, const char *message, void *argument)
{
	struct fixture *fixture = argument;
	if (level > LSP_LOG_WARNING)
		return;
	snprintf(fixture->warning, sizeof fixture->warning, "%s", message);
	fixture->warnings++;
}

static __attribute__((unused)) int fixture_setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);
	const char *base = getenv("TMPDIR");
	snprintf(fixture->folder, sizeof fixture->folder, "%s/lsp-test-XXXXXX",
		base && strlen(base) < 40 ? base : "/tmp");
	if (!mkdtemp(fixture->folder))
		return -1;
	lsp_log_set_sink(fixture_sink, fixture);
	*state = fixture;
	return 0;
}

static __attribute__((unused)) int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;
	lsp_log_set_sink(NULL, NULL);
	lsp_fs_set_hooks(NULL); /* of a test that failed */
	char *name = strrchr(fixture->folder, '/');
	*name = '\0';
	int dir = open(fixture->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = lsp_fs_remove_tree_below(dir, name + 1, NULL);
	close(dir);
	free(fixture);
	return r;
}

/* The path of a file in the folder; valid until the fourth next call. */
static __attribute__((unused)) const char *in_folder(struct fixture *fixture, const char *name)
{
	static char paths[4][1200];
	static unsigned next;
	char *path = paths[next++ % 4];
	snprintf(path, sizeof paths[0], "%s/%s", fixture->folder, name);
	return path;
}

static __attribute__((unused)) void put_bytes(
	struct fixture *fixture, const char *name, const void *data, size_t size)
{
	FILE *file = fopen(in_folder(fixture, name), "we");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static __attribute__((unused)) void put_text(
	struct fixture *fixture, const char *name, const char *text)
{
	put_bytes(fixture, name, text, strlen(text));
}

#define assert_ok(expression)                                                                      \
	do {                                                                                       \
		struct lsp_error err = {0};                                                        \
		int result_ = (expression);                                                        \
		if (result_ < 0)                                                                   \
			fail_msg("%s: %s", #expression, err.message);                              \
	} while (0)

/* It fails with that code, and the message holds that text. */
#define assert_fails(expression, code_, text_)                                                     \
	do {                                                                                       \
		struct lsp_error err = {0};                                                        \
		int result_ = (expression);                                                        \
		if (result_ != -(int)(code_) || !strstr(err.message, text_))                       \
			fail_msg("%s gave %d: %s", #expression, result_, err.message);             \
	} while (0)

#define FIXTURE_TEST(function)                                                                     \
	cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)
