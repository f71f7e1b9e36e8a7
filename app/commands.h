/* The functions behind the rows of cli_commands, by file. Each returns an exit code. */
#pragma once

#include "cli.h"

/* daemon.c, bare.c */
int cli_run_daemon(struct cli *cli, const struct cli_arguments *arguments);
int cli_run_bare(struct cli *cli, const struct cli_arguments *arguments);
int cli_run_open(struct cli *cli, const struct cli_arguments *arguments);

/* look.c */
int cli_run_status(struct cli *cli, const struct cli_arguments *arguments);
int cli_run_games(struct cli *cli, const struct cli_arguments *arguments);
int cli_check_peers(struct cli *cli, const struct cli_arguments *arguments);
int cli_run_peers(struct cli *cli, const struct cli_arguments *arguments);
int cli_run_tasks(struct cli *cli, const struct cli_arguments *arguments);
int cli_run_watch(struct cli *cli, const struct cli_arguments *arguments);

/* A game that is in the catalogue, and nobody has it or waits for it. */
bool cli_is_only_known(const json_t *game);

/* operate.c */
int cli_run_operation(struct cli *cli, const struct cli_arguments *arguments);
int cli_check_add(struct cli *cli, const struct cli_arguments *arguments);
int cli_run_add(struct cli *cli, const struct cli_arguments *arguments);
int cli_run_cancel(struct cli *cli, const struct cli_arguments *arguments);
int cli_run_pause(struct cli *cli, const struct cli_arguments *arguments);

/* settings.c */
int cli_run_games_dir(struct cli *cli, const struct cli_arguments *arguments);
int cli_check_catalog(struct cli *cli, const struct cli_arguments *arguments);
int cli_run_catalog(struct cli *cli, const struct cli_arguments *arguments);
int cli_run_config(struct cli *cli, const struct cli_arguments *arguments);
int cli_check_limits(struct cli *cli, const struct cli_arguments *arguments);
int cli_run_limits(struct cli *cli, const struct cli_arguments *arguments);
int cli_check_identity(struct cli *cli, const struct cli_arguments *arguments);
int cli_run_identity(struct cli *cli, const struct cli_arguments *arguments);
int cli_run_stop(struct cli *cli, const struct cli_arguments *arguments);

/* play.c */
int cli_run_play(struct cli *cli, const struct cli_arguments *arguments);
int cli_run_share(struct cli *cli, const struct cli_arguments *arguments);

/* torrent.c */
int cli_check_torrent(struct cli *cli, const struct cli_arguments *arguments);
int cli_run_torrent(struct cli *cli, const struct cli_arguments *arguments);

/* help.c, manual.c, complete.c */
int cli_run_help(struct cli *cli, const struct cli_arguments *arguments);
int cli_print_help(struct cli *cli);
int cli_print_command_help(struct cli *cli, const struct cli_command *command);
int cli_print_manual(struct cli *cli);
/*
 * What a shell may offer for the last of the words that follow the program's name; argv holds them
 * all, as typed. One candidate a line, a tab, what it means. ":files" and ":folders" stand for the
 * shell's own knowledge of those. Says nothing where there is nothing to offer, whatever the
 * reason.
 */
int cli_complete(struct cli *cli, int argc, char **argv);
