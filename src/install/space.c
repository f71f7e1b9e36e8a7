#include "install/space.h"

#include "base/fs.h"
#include "base/text.h"

#include <fcntl.h>
#include <inttypes.h>

#define DOMAIN "install"
#define PROBE_SIZE 65536

int lsp_space_check(const struct lsp_space *space, const char *doing, struct lsp_error *err)
{
	if (space->needed <= space->free)
		return 0;
	char needed[LSP_TEXT_SIZE_MAX], free_[LSP_TEXT_SIZE_MAX];
	return lsp_error_set(err, DOMAIN, LSP_E_NO_SPACE,
		"%s needs %s (%" PRIu64 " bytes) more, but only %s (%" PRIu64
		" bytes) are free: make room and try again",
		doing, lsp_text_size(space->needed, needed), space->needed,
		lsp_text_size(space->free, free_), space->free);
}

int lsp_space_check_at(int fd, uint64_t needed, const char *doing, struct lsp_error *err)
{
	struct lsp_space space = {.needed = needed, .known = true};
	int r = lsp_fs_free_space(fd, &space.free, err);
	return r < 0 ? r : lsp_space_check(&space, doing, err);
}

bool lsp_space_can_share(int dir_fd, const char *folder)
{
	static const char data[PROBE_SIZE];
	_cleanup_close_ int dir = -1;
	_cleanup_close_ int from = -1;
	_cleanup_close_ int to = -1;
	int flags = O_RDWR | O_CREAT | O_TRUNC;
	if (lsp_fs_open_dir_below(dir_fd, folder, &dir, NULL) < 0)
		return false;
	bool shares = lsp_fs_open_below(dir, ".probe-1", flags, 0600, &from, NULL) == 0 &&
		      lsp_fs_open_below(dir, ".probe-2", flags, 0600, &to, NULL) == 0 &&
		      lsp_fs_write_at(from, data, sizeof data, 0, ".probe-1", NULL) == 0 &&
		      lsp_fs_clone(from, to, NULL) == 0;
	(void)!lsp_fs_unlink_below(dir, ".probe-1", NULL);
	(void)!lsp_fs_unlink_below(dir, ".probe-2", NULL);
	return shares;
}

static int measure_archives(const struct lsp_install_source *source,
	const struct lsp_archives *archives, const struct lsp_unpacker *unpacker,
	const struct lsp_unpack_limits *limits, struct lsp_cancel *token, struct lsp_space *space,
	struct lsp_error *err)
{
	for (size_t i = 0; i < archives->count; i++) {
		const struct lsp_archive *archive = &archives->list[i];
		struct lsp_unpack_request request = {.archive = archive,
			.game_fd = source->game_fd,
			.target_fd = -1,
			.limits = limits,
			.token = token};
		struct lsp_unpack_stats stats = {0};
		struct lsp_error local = {0};
		int r = unpacker && unpacker->measure
				? unpacker->measure(unpacker, &request, &stats, &local)
				: 0;
		if (r == -LSP_E_CANCELLED || r == -LSP_E_NO_MEMORY) {
			if (err)
				*err = local;
			return r;
		}
		/* Whatever else is wrong with it, unpacking will say. */
		bool known = r == 0 && stats.known;
		space->known &= known;
		space->needed += known ? stats.bytes : archive->size;
	}
	return 0;
}

int lsp_space_for_install(const struct lsp_install_source *source,
	const struct lsp_archives *archives, const struct lsp_unpacker *unpacker,
	const struct lsp_unpack_limits *limits, struct lsp_cancel *token,
	struct lsp_space *ret_space, struct lsp_error *err)
{
	struct lsp_space space = {.known = true};
	int r = lsp_fs_free_space(source->game_fd, &space.free, err);
	if (r == 0 && archives->count)
		r = measure_archives(source, archives, unpacker, limits, token, &space, err);
	else if (r == 0)
		space.needed = source->size;
	if (r == 0)
		*ret_space = space;
	return r;
}
