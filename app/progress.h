/*
 * One line that shows how far something is. Pure: from a progress document to text.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define CLI_PROGRESS_MAX 512

/*
 * "quake  [#####-----]  52 %  1.2 GB of 2.3 GB  112.3 MB/s  0:10 left  from 3", as much of it as
 * `columns` has room for (0: 80). `progress` has the members of docs/api.md's Progress. Returns
 * out.
 */
const char *cli_progress_line(
	const char *title, const json_t *progress, int columns, char out[CLI_PROGRESS_MAX]);

/* "0:07", "12:30", "3:04:05". Returns out. */
const char *cli_progress_time(uint64_t seconds, char out[32]);
