/*
 * Log lines, for a person who looks for a cause.
 *
 * One process-wide sink takes whole lines; the program that embeds us may set its own. A line has a
 * level, the component that speaks (a folder or a task name) and one sentence without a line break.
 * What an outsider sent (names, paths) is escaped here, so that no peer can draw on a terminal.
 * Every function may be called from every thread; a sink must allow that too and must not log.
 */
#pragma once

#include "base/error.h"

enum lsp_log_level { LSP_LOG_ERROR, LSP_LOG_WARNING, LSP_LOG_INFO, LSP_LOG_DEBUG };

typedef void (*lsp_log_sink)(
	enum lsp_log_level level, const char *component, const char *message, void *argument);

/* NULL restores the default: "<level> <component>: <message>" on stderr. */
void lsp_log_set_sink(lsp_log_sink sink, void *argument);

/* Lines above this level are not formatted at all. Default: LSP_LOG_INFO. */
void lsp_log_set_level(enum lsp_log_level level);
enum lsp_log_level lsp_log_level(void);

/* "error", "warning", "info", "debug" to the level; -LSP_E_INVALID for another word. */
LSP_MUST_CHECK int lsp_log_level_parse(
	const char *word, enum lsp_log_level *ret_level, struct lsp_error *err);
const char *lsp_log_level_name(enum lsp_log_level level);

void lsp_log(enum lsp_log_level level, const char *component, const char *format, ...)
	LSP_PRINTF(3, 4);

#define lsp_log_error(component, ...) lsp_log(LSP_LOG_ERROR, component, __VA_ARGS__)
#define lsp_log_warning(component, ...) lsp_log(LSP_LOG_WARNING, component, __VA_ARGS__)
#define lsp_log_info(component, ...) lsp_log(LSP_LOG_INFO, component, __VA_ARGS__)
#define lsp_log_debug(component, ...) lsp_log(LSP_LOG_DEBUG, component, __VA_ARGS__)
