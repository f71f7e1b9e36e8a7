/*
 * What a mistyped word was meant to be: the nearest of those that there are, if one is near.
 *
 *     struct cli_suggestion suggestion;
 *     cli_suggestion_init(&suggestion, "gmaes");
 *     cli_suggestion_offer(&suggestion, "games");
 *     cli_suggestion_text(&suggestion, "'", "'", text); // " (did you mean 'games'?)"
 *
 * Near means few keys added, left out, mistaken or swapped: one in a short word, two from four
 * letters on, three from eight; upper and lower case are the same. Pure.
 */
#pragma once

#include <stddef.h>

#define CLI_SUGGESTION_WORD_MAX 64 /* bytes; longer words have no suggestion */
#define CLI_SUGGESTION_TEXT_MAX 128

struct cli_suggestion {
	const char *word;
	size_t distance;                        /* of the best; farther ones do not count */
	char best[CLI_SUGGESTION_WORD_MAX + 1]; /* empty: none is near */
};

/* The word must live as long. */
void cli_suggestion_init(struct cli_suggestion *suggestion, const char *word);
/* Of two that are as near the first stays. */
void cli_suggestion_offer(struct cli_suggestion *suggestion, const char *candidate);
/* For the end of a sentence, with a blank before it; empty: there is none. */
const char *cli_suggestion_text(const struct cli_suggestion *suggestion, const char *before,
	const char *after, char out[CLI_SUGGESTION_TEXT_MAX]);
