#include "base/log.h"

#include "base/cleanup.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
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

/* The length of the UTF-8 sequence at `in` and its code point; 0 where it is not well-formed. */
static size_t decode(const unsigned char *in, uint32_t *ret_point)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = *in < 0x80 ? 1 : *in >= 0xf0 ? 4 : *in >= 0xe0 ? 3 : *in >= 0xc0 ? 2 : 0;
	if (length < 2 || *in > 0xf4) {
		*ret_point = *in;
		return length == 1;
	}
	uint32_t point = *in & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((in[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (in[i] & 0x3f);
	}
	*ret_point = point;
	return point >= least[length] ? length : 0;
}

/* Controls (C0, C1), line separators, and what turns the direction of the text. */
static bool draws_on_terminal(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x61c ||
	       (point >= 0x200e && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e) ||
	       (point >= 0x2066 && point <= 0x2069);
}

/* Such bytes become \xNN, in place of the terminal's own reading of them; as does bad UTF-8. */
static void escape(char *out, size_t size, const char *text)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *in = (const unsigned char *)text;
	size_t used = 0;
	while (*in && used + 17 < size) {
		uint32_t point;
		size_t length = decode(in, &point);
		bool plain = length && !draws_on_terminal(point);
		for (size_t i = LSP_MAX(length, (size_t)1); i; i--, in++) {
			if (plain) {
				out[used++] = (char)*in;
				continue;
			}
			out[used++] = '\\';
			out[used++] = 'x';
			out[used++] = digits[*in >> 4];
			out[used++] = digits[*in & 15];
		}
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
