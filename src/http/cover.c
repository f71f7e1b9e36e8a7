#include "http/cover.h"

#include <stdbool.h>
#include <string.h>
#include <utf8proc.h>

const char *lsp_http_picture_type(const void *data, size_t size)
{
	static const struct {
		const char *magic;
		size_t size;
		const char *type;
	} table[] = {
		{"\x89PNG\r\n\x1a\n", 8, "image/png"},
		{"\xff\xd8\xff", 3, "image/jpeg"},
		{"GIF87a", 6, "image/gif"},
		{"GIF89a", 6, "image/gif"},
	};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(table); i++) {
		if (size >= table[i].size && memcmp(data, table[i].magic, table[i].size) == 0)
			return table[i].type;
	}
	if (size >= 12 && memcmp(data, "RIFF", 4) == 0 &&
		memcmp((const char *)data + 8, "WEBP", 4) == 0)
		return "image/webp";
	return NULL;
}

/* ---- Base64 ---- */

static int sextet(char digit)
{
	if (digit >= 'A' && digit <= 'Z')
		return digit - 'A';
	if (digit >= 'a' && digit <= 'z')
		return digit - 'a' + 26;
	if (digit >= '0' && digit <= '9')
		return digit - '0' + 52;
	if (digit == '+')
		return 62;
	return digit == '/' ? 63 : -1;
}

static int decode_quad(const char *quad, bool last, struct lsp_buffer *data, struct lsp_error *err)
{
	size_t padding = 0;
	uint32_t bits = 0;
	if (last && quad[3] == '=')
		padding = quad[2] == '=' ? 2 : 1;
	for (size_t i = 0; i < 4; i++) {
		int value = i >= 4 - padding ? 0 : sextet(quad[i]);
		if (value < 0)
			return lsp_error_set(err, "http", LSP_E_PROTOCOL, "this is no base64");
		bits = bits << 6 | (uint32_t)value;
	}
	uint8_t bytes[3] = {(uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits};
	return lsp_buffer_append(data, bytes, 3 - padding, err);
}

int lsp_http_base64_decode(const char *text, size_t length, size_t limit,
	struct lsp_buffer *ret_data, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer data = {0};
	if (length % 4 != 0)
		return lsp_error_set(err, "http", LSP_E_PROTOCOL, "this is no base64");
	if (length / 4 * 3 > limit + 2)
		return lsp_error_set(
			err, "http", LSP_E_TOO_LARGE, "more than %zu bytes of base64", limit);
	int r = lsp_buffer_reserve(&data, length / 4 * 3, err);
	for (size_t i = 0; r == 0 && i < length; i += 4)
		r = decode_quad(text + i, i + 4 == length, &data, err);
	if (r < 0)
		return r;
	*ret_data = data;
	data = (struct lsp_buffer){0};
	return 0;
}

/* ---- The poster ---- */

#define WIDTH 300
#define HEIGHT 450
#define MAX_LINES 5
#define MAX_LINE 80 /* bytes */

/* FNV-1a, then mixed: neighbouring ids ("quake2", "quake3") must not look alike. */
static uint32_t hash_of(const char *text)
{
	uint32_t hash = 2166136261u;
	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 16777619u;
	hash ^= hash >> 15;
	hash *= 0x2c1b3c6du;
	hash ^= hash >> 12;
	hash *= 0x297a2d39u;
	return hash ^ hash >> 15;
}

struct poster {
	struct lsp_buffer svg;
	int failed; /* the first error; later lines do nothing */
	uint32_t seed;
	unsigned hue, accent;
};

#define draw(poster, ...)                                                                          \
	do {                                                                                       \
		if (!(poster)->failed)                                                             \
			(poster)->failed = lsp_buffer_printf(&(poster)->svg, NULL, __VA_ARGS__);   \
	} while (0)

static unsigned pick(struct poster *poster, unsigned bound)
{
	poster->seed = poster->seed * 1664525u + 1013904223u;
	return (poster->seed >> 16) % bound;
}

static void draw_sun(struct poster *poster)
{
	draw(poster, "<circle cx='150' cy='190' r='92' fill='url(#a)'/>");
	for (int i = 0; i < 6; i++)
		draw(poster, "<rect x='40' y='%d' width='220' height='%d' fill='url(#b)'/>",
			196 + i * 16, 3 + i * 2);
	for (int i = 0; i < 9; i++)
		draw(poster,
			"<path d='M150 270L%d 450' stroke='hsl(%u 90%% 65%%)' "
			"stroke-opacity='.35'/>",
			-330 + i * 120, poster->accent);
	for (int i = 0; i < 6; i++)
		draw(poster,
			"<path d='M0 %dH300' stroke='hsl(%u 90%% 65%%)' stroke-opacity='.35'/>",
			284 + i * i * 7, poster->accent);
}

static void draw_mountains(struct poster *poster)
{
	draw(poster, "<circle cx='%u' cy='96' r='34' fill='hsl(%u 90%% 82%%)' fill-opacity='.9'/>",
		70 + pick(poster, 160), poster->accent);
	for (unsigned layer = 0; layer < 4; layer++) {
		draw(poster, "<path d='M0 450V%u", 200 + layer * 55 + pick(poster, 40));
		for (unsigned x = 50; x <= 300; x += 50)
			draw(poster, "L%u %u", x, 150 + layer * 60 + pick(poster, 80));
		draw(poster, "V450Z' fill='hsl(%u 45%% %u%%)'/>", poster->hue + layer * 8,
			44 - layer * 9);
	}
}

static void draw_rings(struct poster *poster)
{
	unsigned x = 60 + pick(poster, 180), y = 90 + pick(poster, 120);
	for (unsigned i = 9; i > 0; i--)
		draw(poster,
			"<circle cx='%u' cy='%u' r='%u' fill='none' stroke='hsl(%u 80%% 62%%)' "
			"stroke-opacity='%.2f' stroke-width='%u'/>",
			x, y, i * 31, i % 2 ? poster->hue : poster->accent, 0.75 - i * 0.06,
			5 + pick(poster, 9));
	draw(poster, "<circle cx='%u' cy='%u' r='15' fill='url(#a)'/>", x, y);
}

static void draw_bars(struct poster *poster)
{
	draw(poster, "<g transform='rotate(-32 150 225)'>");
	for (int y = -90, i = 0; y < 480; i++) {
		int height = 14 + (int)pick(poster, 44);
		draw(poster,
			"<rect x='%d' y='%d' width='%u' height='%d' rx='%d' fill='hsl(%u 75%% "
			"%u%%)' "
			"fill-opacity='.8'/>",
			-180 + (int)pick(poster, 220), y, 160 + pick(poster, 300), height,
			height / 2, i % 3 ? poster->hue + i * 5 : poster->accent,
			34 + pick(poster, 30));
		y += height + 10;
	}
	draw(poster, "</g>");
}

static void draw_facets(struct poster *poster)
{
	for (unsigned y = 0; y < 6; y++) {
		for (unsigned x = 0; x < 4; x++) {
			unsigned left = x * 75, top = y * 75, light = 22 + pick(poster, 34);
			unsigned hue =
				pick(poster, 4) ? poster->hue + pick(poster, 30) : poster->accent;
			bool flip = pick(poster, 2);
			draw(poster, "<path d='M%u %uh75v75z' fill='hsl(%u 62%% %u%%)'/>", left,
				top, hue, light);
			draw(poster, "<path d='M%u %uv75h%dz' fill='hsl(%u 62%% %u%%)'/>",
				flip ? left : left, top, 75, hue + 10,
				light > 8 ? light - 8 : light);
		}
	}
}

static void draw_waves(struct poster *poster)
{
	draw(poster, "<circle cx='%u' cy='120' r='58' fill='url(#a)'/>", 90 + pick(poster, 120));
	for (unsigned i = 0; i < 7; i++) {
		unsigned y = 150 + i * 42;
		draw(poster,
			"<path d='M-20 %u q 42 -%u 85 0 t 85 0 t 85 0 t 85 0 V 450 H -20 Z' "
			"fill='hsl(%u 66%% %u%%)' fill-opacity='.82'/>",
			y + pick(poster, 12), 22 + pick(poster, 26), poster->hue + i * 7,
			56 - i * 6);
	}
}

static void draw_stars(struct poster *poster)
{
	for (unsigned i = 0; i < 70; i++)
		draw(poster, "<circle cx='%u' cy='%u' r='%.1f' fill='#fff' fill-opacity='.%u'/>",
			pick(poster, 300), pick(poster, 330), 0.6 + pick(poster, 14) / 10.0,
			3 + pick(poster, 6));
	unsigned x = 95 + pick(poster, 110), y = 120 + pick(poster, 70);
	draw(poster, "<circle cx='%u' cy='%u' r='72' fill='url(#a)'/>", x, y);
	draw(poster,
		"<ellipse cx='%u' cy='%u' rx='122' ry='22' fill='none' stroke='hsl(%u 85%% 75%%)' "
		"stroke-opacity='.75' stroke-width='7' transform='rotate(-18 %u %u)'/>",
		x, y, poster->accent, x, y);
}

static void draw_background(struct poster *poster)
{
	draw(poster,
		"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 300 450' width='300' "
		"height='450'><defs><linearGradient id='b' x2='.35' y2='1'>"
		"<stop stop-color='hsl(%u 58%% 26%%)'/><stop offset='1' stop-color='hsl(%u 62%% "
		"11%%)'/>"
		"</linearGradient><linearGradient id='a' x2='0' y2='1'>"
		"<stop stop-color='hsl(%u 96%% 70%%)'/><stop offset='1' stop-color='hsl(%u 88%% "
		"50%%)'/>"
		"</linearGradient><linearGradient id='s' x2='0' y2='1'>"
		"<stop offset='.42' stop-opacity='0'/><stop offset='1' stop-opacity='.86'/>"
		"</linearGradient></defs><rect width='300' height='450' fill='url(#b)'/>",
		poster->hue, poster->hue + 35, poster->accent, poster->accent + 330);
}

/* ---- The title ---- */

struct lines {
	size_t count, widest; /* in characters */
	char text[MAX_LINES][MAX_LINE];
};

static size_t characters(const char *text)
{
	size_t count = 0;
	for (; *text; text++)
		count += ((uint8_t)*text & 0xc0) != 0x80;
	return count;
}

/* Keeps printable characters and turns everything else, bidirectional controls too, into spaces. */
static void clean(const char *text, char *out, size_t size)
{
	const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)text;
	size_t used = 0;
	while (*at && used + 5 < size) {
		utf8proc_int32_t codepoint;
		utf8proc_ssize_t length = utf8proc_iterate(at, -1, &codepoint);
		if (length <= 0) {
			at++;
			continue;
		}
		utf8proc_category_t category = utf8proc_category(codepoint);
		if (category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
			category == UTF8PROC_CATEGORY_CN || category == UTF8PROC_CATEGORY_CO ||
			category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP)
			out[used++] = ' ';
		else
			used += (size_t)utf8proc_encode_char(
				codepoint, (utf8proc_uint8_t *)out + used);
		at += length;
	}
	out[used] = '\0';
}

/* Breaks at spaces where a line would get longer than `width` characters; drops what is too much.
 */
static void wrap(const char *text, size_t width, struct lines *lines)
{
	for (const char *at = text; *at;) {
		at += strspn(at, " ");
		char word[MAX_LINE];
		size_t length = strcspn(at, " ");
		if (length == 0)
			break;
		size_t kept = LSP_MIN(length, sizeof word - 1);
		while (kept > 0 && kept < length && ((uint8_t)at[kept] & 0xc0) == 0x80)
			kept--;
		memcpy(word, at, kept);
		word[kept] = '\0';
		at += length;
		char *last = lines->count ? lines->text[lines->count - 1] : NULL;
		if (last && characters(last) + 1 + characters(word) <= width &&
			strlen(last) + 1 + kept < MAX_LINE) {
			size_t used = strlen(last);
			last[used] = ' ';
			memcpy(last + used + 1, word, kept + 1);
		} else if (lines->count < MAX_LINES) {
			memcpy(lines->text[lines->count++], word, kept + 1);
		}
	}
	for (size_t i = 0; i < lines->count; i++)
		lines->widest = LSP_MAX(lines->widest, characters(lines->text[i]));
}

static void draw_text(struct poster *poster, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			draw(poster, "&lt;");
			break;
		case '>':
			draw(poster, "&gt;");
			break;
		case '&':
			draw(poster, "&amp;");
			break;
		case '"':
			draw(poster, "&quot;");
			break;
		case '\'':
			draw(poster, "&#39;");
			break;
		default:
			draw(poster, "%c", *text);
		}
	}
}

static void draw_title(struct poster *poster, const char *title)
{
	char text[240];
	struct lines lines = {0};
	clean(title, text, sizeof text);
	wrap(text, 12, &lines);
	if (lines.count == 0)
		return;
	unsigned fitting = (unsigned)(256 / (0.7 * (double)lines.widest));
	unsigned size = fitting > 42 ? 42 : LSP_MAX(fitting, 11u);
	unsigned line = size + size / 8;
	unsigned y = HEIGHT - 30 - (unsigned)(lines.count - 1) * line;
	draw(poster,
		"<rect width='300' height='450' fill='url(#s)'/><rect x='22' y='%u' width='44' "
		"height='5' "
		"rx='2.5' fill='hsl(%u 96%% 66%%)'/><g font-family='system-ui,\"Segoe UI\",Roboto,"
		"\"DejaVu Sans\",sans-serif' font-weight='800' font-size='%u' fill='#fff'>",
		y - size - 14, poster->accent, size);
	for (size_t i = 0; i < lines.count; i++) {
		draw(poster, "<text x='22' y='%u'>", y + (unsigned)i * line);
		draw_text(poster, lines.text[i]);
		draw(poster, "</text>");
	}
	draw(poster, "</g>");
}

int lsp_http_poster(
	const char *id, const char *title, struct lsp_buffer *ret_svg, struct lsp_error *err)
{
	static void (*const patterns[])(struct poster *) = {draw_sun, draw_mountains, draw_rings,
		draw_bars, draw_facets, draw_waves, draw_stars};
	struct poster poster = {.seed = hash_of(id)};
	unsigned pattern = pick(&poster, LSP_ARRAY_SIZE(patterns));
	poster.hue = pick(&poster, 360);
	poster.accent = poster.hue + 130 + pick(&poster, 110);
	draw_background(&poster);
	patterns[pattern](&poster);
	draw_title(&poster, title);
	draw(&poster, "</svg>");
	if (poster.failed) {
		lsp_buffer_done(&poster.svg);
		return lsp_error_no_memory(err, "http");
	}
	*ret_svg = poster.svg;
	return 0;
}
