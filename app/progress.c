#include "progress.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#define BAR_MAX 30
#define BAR_MIN 6

const char *cli_progress_time(uint64_t seconds, char out[32])
{
	unsigned long hours = seconds / 3600;
	unsigned minutes = (unsigned)(seconds / 60 % 60), rest = (unsigned)(seconds % 60);
	if (hours)
		snprintf(out, 32, "%lu:%02u:%02u", hours, minutes, rest);
	else
		snprintf(out, 32, "%u:%02u", minutes, rest);
	return out;
}

static void bar(char *out, size_t width, uint64_t done, uint64_t total)
{
	size_t full = (size_t)((double)done / (double)total * (double)width);
	out[0] = '[';
	for (size_t i = 0; i < width; i++)
		out[1 + i] = i < full ? '#' : '-';
	memcpy(out + 1 + width, "]", 2);
}

/* How much is told right of the bar: each more than the one before it. */
enum detail { PERCENT, SIZES, SPEED, LEFT, ALL };

/* Everything right of the bar; how much it will be may not be known yet. */
static char *figures(const json_t *progress, uint64_t done, uint64_t total, enum detail detail)
{
	const char *phase = cli_text(progress, "phase");
	if (!total)
		return lsp_text_format("%s ...", phase[0] ? phase : "working");
	char a[LSP_TEXT_SIZE_MAX], b[LSP_TEXT_SIZE_MAX], c[LSP_TEXT_SIZE_MAX], time[32];
	uint64_t rate = cli_number(progress, "rate"), sources = cli_number(progress, "sources");
	const json_t *eta = json_object_get(progress, "eta_s");
	_cleanup_free_ char *speed = NULL, *left = NULL, *from = NULL;
	speed = rate && detail >= SPEED ? lsp_text_format("  %s/s", lsp_text_size(rate, c))
					: strdup("");
	left = json_is_number(eta) && detail >= LEFT
		       ? lsp_text_format("  %s left",
				 cli_progress_time((uint64_t)json_number_value(eta), time))
		       : strdup("");
	from = sources && detail >= ALL
		       ? lsp_text_format("  from %llu", (unsigned long long)sources)
		       : strdup("");
	if (!speed || !left || !from)
		return NULL;
	unsigned percent = (unsigned)((double)done / (double)total * 100);
	if (detail == PERCENT)
		return lsp_text_format("%3u %%", percent);
	return lsp_text_format("%3u %%  %s%s of %s%s%s%s", percent,
		strcmp(phase, "preparing") == 0 ? "checking what is here, " : "",
		lsp_text_size(done, a), lsp_text_size(total, b), speed, left, from);
}

const char *cli_progress_line(
	const char *title, const json_t *progress, int columns, char out[CLI_PROGRESS_MAX])
{
	uint64_t total = cli_number(progress, "total");
	uint64_t done = LSP_MIN(cli_number(progress, "done"), total);
	size_t room = columns > 0 && columns < CLI_PROGRESS_MAX ? (size_t)columns : 80;
	enum detail detail = ALL;
	_cleanup_free_ char *right = figures(progress, done, total, detail);
	char drawn[BAR_MAX + 3] = "";
	/* Half a number would be another one. */
	while (right && detail > PERCENT && strlen(title) + 2 + strlen(right) + 1 > room) {
		free(right);
		right = figures(progress, done, total, --detail);
	}
	if (!right) {
		out[0] = '\0';
		return out;
	}
	/* The last column stays free: some terminals would begin a new line. */
	size_t used = strlen(title) + 2 + strlen(right) + 1;
	if (total && detail == ALL && used + BAR_MIN + 4 <= room)
		bar(drawn, LSP_MIN((size_t)BAR_MAX, room - used - 4), done, total);
	int size = snprintf(
		out, CLI_PROGRESS_MAX, "%s  %s%s%s", title, drawn, drawn[0] ? "  " : "", right);
	if (size >= 0 && (size_t)size >= room)
		out[room - 1] = '\0';
	return out;
}
