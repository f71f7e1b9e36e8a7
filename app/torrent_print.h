/* What the torrent engine answered, for people: a table or a line for each command. */
#pragma once

#include "cli.h"

/* command: a word of `lanspread torrent`, such as "list". */
void cli_torrent_print(struct cli *cli, const char *command, const json_t *result);
