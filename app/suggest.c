#include "suggest.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void cli_suggestion_init(struct cli_suggestion *suggestion, const char *word)
{
	size_t size = strlen(word);
	*suggestion = (struct cli_suggestion){.word = word,
		.distance = size < 4   ? 2
			    : size < 8 ? 3
				       : 4};
}

static int folded(const char *text, size_t at)
{
	return tolower((unsigned char)text[at]);
}

/* Edits from one to the other where a swap of neighbours is one (optimal string alignment). */
static size_t distance_of(const char *a, size_t a_size, const char *b, size_t b_size)
{
	size_t rows[3][CLI_SUGGESTION_WORD_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *row = rows[2];
	for (size_t j = 0; j <= b_size; j++)
		last[j] = before[j] = j;
	for (size_t i = 1; i <= a_size; i++) {
		row[0] = i;
		for (size_t j = 1; j <= b_size; j++) {
			bool same = folded(a, i - 1) == folded(b, j - 1);
			row[j] = LSP_MIN(LSP_MIN(last[j] + 1, row[j - 1] + 1), last[j - 1] + !same);
			if (i > 1 && j > 1 && folded(a, i - 1) == folded(b, j - 2) &&
				folded(a, i - 2) == folded(b, j - 1))
				row[j] = LSP_MIN(row[j], before[j - 2] + 1);
		}
		size_t *oldest = before;
		before = last;
		last = row;
		row = oldest;
	}
	return last[b_size];
}

void cli_suggestion_offer(struct cli_suggestion *suggestion, const char *candidate)
{
	size_t size = strlen(suggestion->word), other = strlen(candidate);
	if (!size || !other || size > CLI_SUGGESTION_WORD_MAX || other > CLI_SUGGESTION_WORD_MAX)
		return;
	size_t distance = distance_of(suggestion->word, size, candidate, other);
	/* What shares nothing with the word is no suggestion, however short both are. */
	if (distance >= suggestion->distance || distance >= LSP_MAX(size, other))
		return;
	suggestion->distance = distance;
	memcpy(suggestion->best, candidate, other + 1);
}

const char *cli_suggestion_text(const struct cli_suggestion *suggestion, const char *before,
	const char *after, char out[CLI_SUGGESTION_TEXT_MAX])
{
	out[0] = '\0';
	if (suggestion->best[0])
		snprintf(out, CLI_SUGGESTION_TEXT_MAX, " (did you mean %s%s%s?)", before,
			suggestion->best, after);
	return out;
}
