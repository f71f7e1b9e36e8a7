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
