/*
 * What torrent_commands.c and torrent_command_add.c share: how a command goes through to the
 * engine, and its answer comes back.
 *
 * On the core loop.
 */
#pragma once

#include "peer/command.h"
#include "torrent/engine.h"

#include <jansson.h>

/* The command's arguments without its name, for the engine. A new reference. */
json_t *lsp_torrent_command_arguments(const struct lsp_call *call);
/* Of a lsp_torrent_call whose argument is the lsp_call: the engine's answer is its answer. */
void lsp_torrent_command_answered(void *argument, struct lsp_torrent_answer *answer);
