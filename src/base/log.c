#include "base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static const char *const level_names[] = {"error", "warning", "info", "debug"};

static void write_to_stderr(
	enum lsp_log_level level, const char *component, const char *message, void *argument)
{
	fprintf(stderr, "%s %s: %s\n", level_names[level], component, message);
}

static struct {
	atomic_int level;
	pthread_rwlock_t lock; /* guards the two below; held for reading while a line is written */
	lsp_log_sink sink;
	void *argument;
} state = {.level = LSP_LOG_INFO, .lock = PTHREAD_RWLOCK_INITIALIZER, .sink = write_to_stderr};

void lsp_log_set_sink(lsp_log_sink sink, void *argument)
{
	pthread_rwlock_wrlock(&state.lock);
	state.sink = sink ? sink : write_to_stderr;
	state.argument = argument;
	pthread_rwlock_unlock(&state.lock);
}

void lsp_log_set_level(enum lsp_log_level level)
{
	atomic_store_explicit(&state.level, (int)level, memory_order_relaxed);
}

enum lsp_log_level lsp_log_level(void)
{
	return (enum lsp_log_level)atomic_load_explicit(&state.level, memory_order_relaxed);
}

const char *lsp_log_level_name(enum lsp_log_level level)
{
	return level_names[level];
}

int lsp_log_level_parse(const char *word, enum lsp_log_level *ret_level, struct lsp_error *err)
{
	for (int i = LSP_LOG_ERROR; i <= LSP_LOG_DEBUG; i++) {
		if (strcmp(word, level_names[i]) == 0) {
			*ret_level = (enum lsp_log_level)i;
			return 0;
		}
	}
	return lsp_error_set(err, "base", LSP_E_INVALID,
		"log level \"%s\" is none of error, warning, info, debug", word);
}

/* Control bytes become \xNN, in place of the terminal's own reading of them. */
static void escape(char *out, size_t size, const char *in)
{
	static const char digits[] = "0123456789abcdef";
	size_t used = 0;
	for (; *in && used + 5 < size; in++) {
		unsigned char byte = (unsigned char)*in;
		if (byte >= 0x20 && byte != 0x7f) {
			out[used++] = (char)byte;
			continue;
		}
		out[used++] = '\\';
		out[used++] = 'x';
		out[used++] = digits[byte >> 4];
		out[used++] = digits[byte & 15];
	}
	out[used] = '\0';
}

void lsp_log(enum lsp_log_level level, const char *component, const char *format, ...)
{
	if (level > lsp_log_level())
		return;
	char raw[1024], message[2048];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(raw, sizeof raw, format, arguments);
	va_end(arguments);
	escape(message, sizeof message, raw);
	pthread_rwlock_rdlock(&state.lock);
	state.sink(level, component, message, state.argument);
	pthread_rwlock_unlock(&state.lock);
}
