#include "install/play.h"

#include "base/buffer.h"
#include "base/fs.h"
#include "base/text.h"
#include "install/tree.h"
#include "wire/version.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#define DOMAIN "install"
#define WORDS_MAX 24

void lsp_play_done(struct lsp_play *play)
{
	for (char **word = play->argv; word && *word; word++)
		free(*word);
	free(play->argv);
	free(play->cwd);
	*play = (struct lsp_play){0};
}

static char *find_program(const char *search_path, const char *name)
{
	const char *path = search_path ? search_path : getenv("PATH");
	while (path && *path) {
		size_t length = strcspn(path, ":");
		char *full = lsp_text_format("%.*s/%s", (int)length, path, name);
		if (!full || (*full == '/' && access(full, X_OK) == 0))
			return full;
		free(full);
		path += length;
		path += *path == ':';
	}
	return NULL;
}

/* Takes the words over, whatever happens. */
static int finish(struct lsp_play *play, char *const *words, size_t count, char *cwd, bool folder,
	struct lsp_error *err)
{
	char **argv = calloc(count + 1, sizeof *argv);
	bool whole = argv && cwd;
	for (size_t i = 0; i < count; i++) {
		whole &= words[i] != NULL;
		if (argv)
			argv[i] = words[i];
		else
			free(words[i]);
	}
	struct lsp_play made = {argv, cwd, folder};
	if (!whole) {
		for (size_t i = 0; argv && i < count; i++)
			free(argv[i]);
		free(argv);
		free(cwd);
		return lsp_error_no_memory(err, DOMAIN);
	}
	*play = made;
	return 0;
}

static bool has_extension(const char *path, const char *extension)
{
	size_t length = strlen(path), tail = strlen(extension);
	return length > tail && strcasecmp(path + length - tail, extension) == 0;
}

static int missing(const char *what, const char *package, struct lsp_error *err)
{
	return lsp_error_set(err, DOMAIN, LSP_E_UNSUPPORTED,
		"%s needs %s, which is not installed: install the package %s", what, package,
		package);
}

/* The words before the program's own path: who runs it. */
static int choose_runner(const char *program, mode_t mode, const char *search_path, char **words,
	size_t *count, struct lsp_error *err)
{
	bool batch = has_extension(program, ".cmd") || has_extension(program, ".bat");
	if (batch || has_extension(program, ".exe")) {
		char *wine = find_program(search_path, "wine");
		if (!wine)
			return missing("a Windows game", "wine", err);
		words[(*count)++] = wine;
		if (batch) {
			words[(*count)++] = strdup("cmd");
			words[(*count)++] = strdup("/c");
		}
	} else if (!(mode & 0111)) {
		if (!has_extension(program, ".sh"))
			return lsp_error_set(err, DOMAIN, LSP_E_DENIED,
				"\"%s\" may not be executed (its archive had no such bit): chmod "
				"+x "
				"it",
				program);
		words[(*count)++] = strdup("/bin/sh");
	}
	return 0;
}

static int leads_out(const char *program, struct lsp_error *err)
{
	return lsp_error_set(err, DOMAIN, LSP_E_DENIED,
		"version.ini starts \"%.200s\", which is not in the game's own folder", program);
}

/* A file below local/, itself or at the end of a link that stays inside. */
static int stat_program(int local_fd, const char *program, struct stat *st, struct lsp_error *err)
{
	char link[PATH_MAX];
	if (*program == '/' || !lsp_tree_link_stays_inside(program, program))
		return leads_out(program, err);
	int r = lsp_fs_stat_below(local_fd, program, st, err);
	if (r < 0 || !S_ISLNK(st->st_mode))
		return r;
	ssize_t got = readlinkat(local_fd, program, link, sizeof link - 1);
	link[got > 0 ? got : 0] = '\0';
	if (got <= 0 || !lsp_tree_link_stays_inside(program, link))
		return leads_out(program, err);
	if (fstatat(local_fd, program, st, 0) < 0)
		return lsp_error_errno(err, DOMAIN, errno, "cannot look at \"%s\"", program);
	return 0;
}

static int run_program(int local_fd, const char *local, const char *line, const char *search_path,
	struct lsp_play *play, struct lsp_error *err)
{
	char *words[WORDS_MAX + 4];
	size_t count = 0;
	struct stat st;
	_cleanup_free_ char *program = strdup(line);
	if (!program)
		return lsp_error_no_memory(err, DOMAIN);
	/* A name may have spaces; only if there is no such file are the rest arguments. */
	char *rest = NULL;
	int r = stat_program(local_fd, program, &st, err);
	if (r == -LSP_E_NOT_FOUND && (rest = strpbrk(program, " \t"))) {
		*rest++ = '\0';
		r = stat_program(local_fd, program, &st, err);
	}
	if (r == -LSP_E_NOT_FOUND || (r == 0 && !S_ISREG(st.st_mode)))
		r = lsp_error_set(err, DOMAIN, LSP_E_NOT_FOUND,
			"version.ini starts \"%.200s\", but the game has no such file", program);
	if (r == 0)
		r = choose_runner(program, st.st_mode, search_path, words, &count, err);
	if (r < 0)
		return r;
	const char *slash = strrchr(program, '/');
	/* To cmd a path with slashes is a row of options: it gets the name, and the folder as its
	 * own. */
	words[count] = count == 3 ? strdup(slash ? slash + 1 : program)
				  : lsp_text_format("%s/%s", local, program);
	count++;
	char *save = NULL;
	for (char *word = rest ? strtok_r(rest, " \t", &save) : NULL; word && count < WORDS_MAX;
		word = strtok_r(NULL, " \t", &save))
		words[count++] = strdup(word);
	char *cwd = slash ? lsp_text_format("%s/%.*s", local, (int)(slash - program), program)
			  : strdup(local);
	return finish(play, words, count, cwd, false, err);
}

static int open_folder(
	const char *local, const char *search_path, struct lsp_play *play, struct lsp_error *err)
{
	char *opener = find_program(search_path, "xdg-open");
	if (!opener)
		return lsp_error_set(err, DOMAIN, LSP_E_UNSUPPORTED,
			"the game does not say what to start (no start= in version.ini, no "
			"start.sh); "
			"its files are in \"%s\"",
			local);
	char *words[] = {opener, strdup(local)};
	return finish(play, words, 2, strdup(local), true, err);
}

int lsp_play_find_folder(
	const char *path, const char *search_path, struct lsp_play *ret_play, struct lsp_error *err)
{
	char *opener = find_program(search_path, "xdg-open");
	if (!opener)
		return lsp_error_set(err, DOMAIN, LSP_E_UNSUPPORTED,
			"xdg-open, which shows a folder, is not installed: install the package "
			"xdg-utils, or look at \"%s\" yourself",
			path);
	char *words[] = {opener, strdup(path)};
	return finish(ret_play, words, 2, strdup(path), true, err);
}

int lsp_play_find(
	int game_fd, const char *search_path, struct lsp_play *ret_play, struct lsp_error *err)
{
	_cleanup_close_ int local_fd = -1;
	int r = lsp_fs_open_dir_below(game_fd, "local", &local_fd, NULL);
	if (r < 0)
		return lsp_error_set(err, DOMAIN, LSP_E_NOT_FOUND,
			"the game is not installed: install it first");
	char link[64], local[PATH_MAX];
	snprintf(link, sizeof link, "/proc/self/fd/%d", local_fd);
	ssize_t got = readlink(link, local, sizeof local - 1);
	if (got <= 0)
		return lsp_error_errno(err, DOMAIN, errno, "cannot tell the game's path");
	local[got] = '\0';
	_cleanup_buffer_ struct lsp_buffer text = {0};
	_cleanup_version_file_ struct lsp_version_file version = {0};
	if (lsp_fs_read_file_below(game_fd, "version.ini", LSP_VERSION_FILE_MAX, &text, NULL) == 0)
		(void)!lsp_version_file_parse((const char *)text.data, text.size, &version, NULL);
	if (version.start)
		return run_program(local_fd, local, version.start, search_path, ret_play, err);
	struct stat st;
	if (lsp_fs_stat_below(local_fd, "start.sh", &st, NULL) == 0)
		return run_program(local_fd, local, "start.sh", search_path, ret_play, err);
	return open_folder(local, search_path, ret_play, err);
}
