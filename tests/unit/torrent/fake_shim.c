#include "fake_shim.h"
#include "fake_source.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TORRENTS 64
#define ALERTS 4096

struct torrent {
	uint64_t number;
	struct lsp_shim_source source;
	struct lsp_shim_status status;
	uint32_t add_flags;
	int32_t limits[2];
	int saves, peers, moves;
	bool used, changed, saved, deleting, moving;
	bool hidden, gone; /* its ADDED was lost; it was removed */
	char save_path[128], error[64];
};

struct queued {
	struct lsp_shim_alert alert;
	char text[128], error[128], data[512];
	struct lsp_shim_status status;
};

struct lsp_shim {
	void (*notify)(void *argument);
	void *argument;
};

static struct {
	pthread_mutex_t lock;
	struct lsp_shim session;
	bool open, ignore_limits, hold_saves, hold_pauses, hide_moves, counts_active;
	uint64_t lose; /* bits 1 << alert type */
	int fail_opens, fail_adds, fail_resumes, opens, updates, copies, looks, moves_told;
	struct torrent torrents[TORRENTS];
	struct queued alerts[ALERTS];
	unsigned first, last;
	int64_t limits[2];
	bool is_deaf; /* it was told to listen nowhere */
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* What happened nevertheless. */
static void lose(enum lsp_shim_alert_type type, uint64_t number)
{
	for (unsigned i = 0; i < TORRENTS; i++) {
		struct torrent *torrent = &fake.torrents[i];
		if (!torrent->used || torrent->number != number)
			continue;
		torrent->hidden = type == LSP_SHIM_ALERT_ADDED;
		if (type == LSP_SHIM_ALERT_REMOVED)
			torrent->used = torrent->deleting;
		if (type == LSP_SHIM_ALERT_DELETED || type == LSP_SHIM_ALERT_DELETE_FAILED)
			torrent->used = false;
	}
}

/* With the lock; tells whether somebody must be notified. */
static bool queue(enum lsp_shim_alert_type type, uint64_t torrent, const char *text,
	const char *error, int64_t number, const struct lsp_shim_status *status)
{
	bool was_empty = fake.first == fake.last;
	if (fake.lose & (UINT64_C(1) << type)) {
		fake.lose &= ~(UINT64_C(1) << type);
		lose(type, torrent);
		number = type == LSP_SHIM_ALERT_LISTENING || type == LSP_SHIM_ALERT_LISTEN_FAILED;
		type = LSP_SHIM_ALERT_DROPPED;
		torrent = 0;
		text = error = NULL;
	}
	struct queued *queued = &fake.alerts[fake.last++ % ALERTS];
	memset(queued, 0, sizeof *queued);
	snprintf(queued->text, sizeof queued->text, "%s", text ? text : "");
	snprintf(queued->error, sizeof queued->error, "%s", error ? error : "");
	queued->alert = (struct lsp_shim_alert){.type = type,
		.torrent = torrent,
		.number = number,
		.text = queued->text,
		.error = queued->error};
	if (status) {
		queued->status = *status;
		queued->alert.status = &queued->status;
	}
	return was_empty && fake.open;
}

static void notify_if(bool needed)
{
	if (needed)
		fake.session.notify(fake.session.argument);
}

static struct torrent *by_number(uint64_t number)
{
	for (unsigned i = 0; i < TORRENTS; i++)
		if (fake.torrents[i].used && !fake.torrents[i].hidden &&
			fake.torrents[i].number == number)
			return &fake.torrents[i];
	return NULL;
}

static struct torrent *by_id(const char *id)
{
	for (unsigned i = 0; id && i < TORRENTS; i++)
		if (fake.torrents[i].used && strcmp(fake.torrents[i].source.id, id) == 0)
			return &fake.torrents[i];
	return NULL;
}

/* ---- For the test ------------------------------------------------------------------------ */

void fake_reset(void)
{
	pthread_mutex_lock(&fake.lock);
	fake.open = fake.ignore_limits = fake.hold_saves = fake.hide_moves = false;
	fake.lose = 0;
	fake.counts_active = fake.is_deaf = fake.hold_pauses = false;
	fake.fail_opens = fake.fail_adds = fake.fail_resumes = fake.opens = fake.updates =
		fake.copies = fake.moves_told = 0;
	fake.first = fake.last = 0;
	memset(fake.torrents, 0, sizeof fake.torrents);
	pthread_mutex_unlock(&fake.lock);
}

void fake_fail_opens(int count)
{
	pthread_mutex_lock(&fake.lock);
	fake.fail_opens = count;
	pthread_mutex_unlock(&fake.lock);
}

void fake_fail_adds(int count)
{
	pthread_mutex_lock(&fake.lock);
	fake.fail_adds = count;
	pthread_mutex_unlock(&fake.lock);
}

void fake_fail_resumes(int count)
{
	pthread_mutex_lock(&fake.lock);
	fake.fail_resumes = count;
	pthread_mutex_unlock(&fake.lock);
}

static void set_locked(bool *value, bool on)
{
	pthread_mutex_lock(&fake.lock);
	*value = on;
	pthread_mutex_unlock(&fake.lock);
}

void fake_hold_saves(int on)
{
	set_locked(&fake.hold_saves, on);
}

void fake_count_active(int on)
{
	set_locked(&fake.counts_active, on);
}

void fake_hide_moves(int on)
{
	set_locked(&fake.hide_moves, on);
}

void fake_ignore_limits(int on)
{
	set_locked(&fake.ignore_limits, on);
}

void fake_lose(enum lsp_shim_alert_type type)
{
	pthread_mutex_lock(&fake.lock);
	fake.lose |= UINT64_C(1) << type;
	pthread_mutex_unlock(&fake.lock);
}

void fake_error(const char *id, const char *error)
{
	pthread_mutex_lock(&fake.lock);
	struct torrent *torrent = by_id(id);
	snprintf(torrent->error, sizeof torrent->error, "%s", error);
	pthread_mutex_unlock(&fake.lock);
}

bool fake_is_open(void)
{
	pthread_mutex_lock(&fake.lock);
	bool open = fake.open;
	pthread_mutex_unlock(&fake.lock);
	return open;
}

static int read_locked(const int *value)
{
	pthread_mutex_lock(&fake.lock);
	int result = *value;
	pthread_mutex_unlock(&fake.lock);
	return result;
}

int fake_moves_told(void)
{
	return read_locked(&fake.moves_told);
}

int fake_opens(void)
{
	return read_locked(&fake.opens);
}

int fake_updates(void)
{
	return read_locked(&fake.updates);
}

/* Not `used`: there is none. */
static struct torrent copy_of(const char *id)
{
	pthread_mutex_lock(&fake.lock);
	const struct torrent *torrent = by_id(id);
	struct torrent copy = torrent ? *torrent : (struct torrent){0};
	pthread_mutex_unlock(&fake.lock);
	return copy;
}

int fake_saves(const char *id)
{
	struct torrent torrent = copy_of(id);
	return torrent.used ? torrent.saves : -1;
}

uint32_t fake_add_flags(const char *id)
{
	struct torrent torrent = copy_of(id);
	return torrent.used ? torrent.add_flags : UINT32_MAX;
}

int fake_peers(const char *id)
{
	struct torrent torrent = copy_of(id);
	return torrent.used ? torrent.peers : -1;
}

int fake_looks(void)
{
	return read_locked(&fake.looks);
}

static int count_moves(const char *id)
{
	struct torrent torrent = copy_of(id);
	return torrent.used ? torrent.moves : -1;
}

void fake_await_move(const char *id, int count)
{
	for (unsigned i = 0; count_moves(id) < count; i++) {
		sched_yield();
		if (i > 50000000)
			abort(); /* nobody told it */
	}
}

void fake_await_removal(const char *id)
{
	struct torrent torrent = copy_of(id);
	for (unsigned i = 0; torrent.used && !torrent.gone; i++) {
		sched_yield();
		if (i > 50000000)
			abort(); /* nobody told it */
		torrent = copy_of(id);
	}
}

void fake_hold_pauses(int on)
{
	set_locked(&fake.hold_pauses, on);
}

int fake_copies(void)
{
	return read_locked(&fake.copies);
}

void fake_post(enum lsp_shim_alert_type type, const char *id, const char *text, const char *error,
	int64_t number)
{
	pthread_mutex_lock(&fake.lock);
	struct torrent *torrent = by_id(id);
	if (torrent && (type == LSP_SHIM_ALERT_MOVED || type == LSP_SHIM_ALERT_MOVE_FAILED))
		torrent->moving = false;
	if (torrent && type == LSP_SHIM_ALERT_MOVED)
		snprintf(torrent->save_path, sizeof torrent->save_path, "%s", text);
	bool needed = queue(type, torrent ? torrent->number : 0, text, error, number, NULL);
	pthread_mutex_unlock(&fake.lock);
	notify_if(needed);
}

void fake_progress(const char *id, int64_t done, uint32_t state, uint32_t flags)
{
	pthread_mutex_lock(&fake.lock);
	struct torrent *torrent = by_id(id);
	torrent->status.done = done;
	torrent->status.downloaded = torrent->status.session_downloaded = done;
	torrent->status.state = state;
	torrent->status.flags = flags;
	torrent->status.download_rate = 1000; /* the library's fades long after the end */
	torrent->status.peers = 1;
	torrent->changed = true;
	torrent->saved = false;
	pthread_mutex_unlock(&fake.lock);
}

/* ---- The table --------------------------------------------------------------------------- */

static const char *version(void)
{
	return "fake";
}

static int open_session(const struct lsp_shim_setting *settings, size_t count,
	void (*notify)(void *argument), void *argument, struct lsp_shim **ret_shim,
	struct lsp_error *err)
{
	pthread_mutex_lock(&fake.lock);
	fake.opens++;
	bool fails = fake.fail_opens > 0;
	fake.fail_opens -= fails;
	if (!fails) {
		fake.open = true;
		fake.session = (struct lsp_shim){notify, argument};
		memset(fake.torrents, 0, sizeof fake.torrents);
		fake.first = fake.last = 0;
		*ret_shim = &fake.session;
	}
	pthread_mutex_unlock(&fake.lock);
	return fails ? lsp_error_set(err, "torrent", LSP_E_FAILED, "no session today") : 0;
}

static void close_session(struct lsp_shim *shim, uint32_t milliseconds)
{
	pthread_mutex_lock(&fake.lock);
	fake.open = fake.open && !shim;
	pthread_mutex_unlock(&fake.lock);
}

static int apply(struct lsp_shim *shim, const struct lsp_shim_setting *settings, size_t count,
	struct lsp_error *err)
{
	bool needed = false;
	pthread_mutex_lock(&fake.lock);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(settings[i].name, "listen_interfaces") != 0)
			continue;
		if (fake.is_deaf && *settings[i].text)
			needed = queue(LSP_SHIM_ALERT_LISTENING, 0, "0.0.0.0:47778", NULL, 1, NULL);
		fake.is_deaf = !*settings[i].text;
	}
	for (size_t i = 0; i < count && !fake.ignore_limits; i++) {
		if (strcmp(settings[i].name, "download_rate_limit") == 0)
			fake.limits[0] = settings[i].number;
		if (strcmp(settings[i].name, "upload_rate_limit") == 0)
			fake.limits[1] = settings[i].number;
	}
	pthread_mutex_unlock(&fake.lock);
	notify_if(needed);
	return 0;
}

static int setting(struct lsp_shim *shim, const char *name, struct lsp_shim_setting *ret_setting,
	struct lsp_error *err)
{
	pthread_mutex_lock(&fake.lock);
	*ret_setting = (struct lsp_shim_setting){.name = name,
		.kind = LSP_SHIM_NUMBER,
		.number = fake.limits[strcmp(name, "upload_rate_limit") == 0]};
	pthread_mutex_unlock(&fake.lock);
	return 0;
}

static const char *setting_name(size_t index)
{
	return index == 0 ? "download_rate_limit" : NULL;
}

static int set_ip_filter(
	struct lsp_shim *shim, const char *const (*ranges)[2], size_t count, struct lsp_error *err)
{
	return 0;
}

static int limit_lan(struct lsp_shim *shim, int on, struct lsp_error *err)
{
	return 0;
}

static int halt(struct lsp_shim *shim, struct lsp_error *err)
{
	pthread_mutex_lock(&fake.lock);
	bool needed = false;
	fake.looks = 0;
	for (unsigned i = 0; i < TORRENTS; i++)
		if (fake.torrents[i].used && !fake.torrents[i].gone)
			needed |= queue(LSP_SHIM_ALERT_PAUSED, fake.torrents[i].number, NULL, NULL,
				0, NULL);
	pthread_mutex_unlock(&fake.lock);
	notify_if(needed);
	return 0;
}

static void pop(struct lsp_shim *shim,
	void (*each)(void *argument, const struct lsp_shim_alert *alert), void *argument)
{
	for (;;) {
		struct queued queued;
		pthread_mutex_lock(&fake.lock);
		bool there = fake.first != fake.last;
		if (there) {
			queued = fake.alerts[fake.first++ % ALERTS];
			queued.alert.text = queued.text;
			queued.alert.error = queued.error;
			if (queued.alert.status)
				queued.alert.status = &queued.status;
			if (*queued.data)
				queued.alert.data =
					(struct lsp_shim_bytes){queued.data, strlen(queued.data)};
			struct torrent *torrent = by_number(queued.alert.torrent);
			if (queued.alert.type == LSP_SHIM_ALERT_REMOVED && torrent)
				torrent->used = torrent->deleting;
			else if (torrent &&
				 (queued.alert.type == LSP_SHIM_ALERT_DELETED ||
					 queued.alert.type == LSP_SHIM_ALERT_DELETE_FAILED))
				torrent->used = false;
		}
		pthread_mutex_unlock(&fake.lock);
		if (!there)
			return;
		each(argument, &queued.alert);
	}
}

/* Of those that are in the session; reveal: what was hidden is so no more. */
static size_t list_numbers(uint64_t numbers[TORRENTS], bool reveal)
{
	size_t count = 0;
	pthread_mutex_lock(&fake.lock);
	for (unsigned i = 0; i < TORRENTS; i++) {
		fake.torrents[i].hidden &= !reveal;
		if (fake.torrents[i].used && !fake.torrents[i].gone)
			numbers[count++] = fake.torrents[i].number;
	}
	pthread_mutex_unlock(&fake.lock);
	return count;
}

static int present(struct lsp_shim *shim, void (*each)(void *argument, uint64_t torrent),
	void *argument, struct lsp_error *err)
{
	uint64_t numbers[TORRENTS];
	size_t count = list_numbers(numbers, true);
	for (size_t i = 0; i < count; i++)
		each(argument, numbers[i]);
	return 0;
}

static int set_root(struct lsp_shim *shim, uint64_t number, const char *root, struct lsp_error *err)
{
	return 0;
}

static int look_around(struct lsp_shim *shim, uint64_t number, struct lsp_error *err)
{
	return 0; /* nobody is there */
}

static void post_updates(struct lsp_shim *shim)
{
	pthread_mutex_lock(&fake.lock);
	bool needed = false;
	fake.updates++;
	for (unsigned i = 0; i < TORRENTS; i++) {
		struct torrent *torrent = &fake.torrents[i];
		if (torrent->used && torrent->changed)
			needed |= queue(LSP_SHIM_ALERT_STATUS, torrent->number, NULL, NULL, 0,
				&torrent->status);
		torrent->changed = false;
	}
	pthread_mutex_unlock(&fake.lock);
	notify_if(needed);
}

static void post_counts(struct lsp_shim *shim)
{
	pthread_mutex_lock(&fake.lock);
	bool needed = queue(LSP_SHIM_ALERT_COUNTED, 0, NULL, NULL, 0, NULL);
	pthread_mutex_unlock(&fake.lock);
	notify_if(needed);
}

static int add(struct lsp_shim *shim, struct lsp_shim_source *source,
	const struct lsp_shim_add *add, struct lsp_error *err)
{
	pthread_mutex_lock(&fake.lock);
	struct torrent *torrent = fake.torrents;
	while (torrent->used)
		torrent++;
	*torrent = (struct torrent){.number = add->torrent, .source = *source, .used = true};
	torrent->add_flags = add->flags;
	snprintf(torrent->save_path, sizeof torrent->save_path, "%s", add->save_path);
	torrent->peers = (int)add->peers.count;
	torrent->limits[0] = fake.ignore_limits ? 0 : add->max_download;
	torrent->limits[1] = fake.ignore_limits ? 0 : add->max_upload;
	torrent->status = (struct lsp_shim_status){.torrent = add->torrent,
		.state = LSP_SHIM_STATE_DOWNLOADING,
		.flags = add->flags & (LSP_SHIM_PAUSED | LSP_SHIM_AUTO_MANAGED),
		.wanted = (int64_t)source->file_count * FAKE_FILE_SIZE,
		.size = (int64_t)source->file_count * FAKE_FILE_SIZE,
		.error = ""};
	bool fails = fake.fail_adds > 0;
	fake.fail_adds -= fails;
	torrent->used = !fails;
	bool needed = queue(LSP_SHIM_ALERT_ADDED, add->torrent, NULL,
		fails ? "no torrent today" : NULL, 0, NULL);
	pthread_mutex_unlock(&fake.lock);
	fake_source_free(source);
	notify_if(needed);
	return 0;
}

static int not_found(struct lsp_error *err)
{
	return lsp_error_set(err, "torrent", LSP_E_NOT_FOUND, "no such torrent");
}

/* An alert for an order: the answer of the library. */
static int answer(uint64_t number, enum lsp_shim_alert_type type, struct lsp_error *err)
{
	pthread_mutex_lock(&fake.lock);
	struct torrent *torrent = by_number(number);
	bool needed = torrent && queue(type, number, NULL, NULL, 0, NULL);
	pthread_mutex_unlock(&fake.lock);
	notify_if(needed);
	return torrent ? 0 : not_found(err);
}

static int remove_torrent(struct lsp_shim *shim, uint64_t number, int what, struct lsp_error *err)
{
	pthread_mutex_lock(&fake.lock);
	struct torrent *torrent = by_number(number);
	if (torrent) {
		torrent->deleting = what == LSP_SHIM_REMOVE_DATA;
		torrent->gone = true;
	}
	pthread_mutex_unlock(&fake.lock);
	return answer(number, LSP_SHIM_ALERT_REMOVED, err);
}

static int pause_torrent(struct lsp_shim *shim, uint64_t number, struct lsp_error *err)
{
	pthread_mutex_lock(&fake.lock);
	struct torrent *torrent = by_number(number);
	if (torrent)
		torrent->status.flags = LSP_SHIM_PAUSED;
	bool holds = fake.hold_pauses;
	pthread_mutex_unlock(&fake.lock);
	if (holds)
		return torrent ? 0 : not_found(err);
	return answer(number, LSP_SHIM_ALERT_PAUSED, err);
}

static int resume_torrent(struct lsp_shim *shim, uint64_t number, struct lsp_error *err)
{
	pthread_mutex_lock(&fake.lock);
	struct torrent *torrent = by_number(number);
	bool fails = fake.fail_resumes > 0;
	fake.fail_resumes -= fails;
	if (torrent && !fails)
		torrent->status.flags &= ~(uint32_t)LSP_SHIM_PAUSED;
	pthread_mutex_unlock(&fake.lock);
	if (fails)
		return lsp_error_set(err, "torrent", LSP_E_FAILED, "not today");
	return answer(number, LSP_SHIM_ALERT_RESUMED, err);
}

static int set_flags(struct lsp_shim *shim, uint64_t number, uint32_t flags, uint32_t mask,
	struct lsp_error *err)
{
	return 0;
}

static int set_limits(struct lsp_shim *shim, uint64_t number, int32_t max_download,
	int32_t max_upload, struct lsp_error *err)
{
	pthread_mutex_lock(&fake.lock);
	struct torrent *torrent = by_number(number);
	if (torrent && !fake.ignore_limits) {
		torrent->limits[0] = max_download;
		torrent->limits[1] = max_upload;
	}
	pthread_mutex_unlock(&fake.lock);
	return torrent ? 0 : not_found(err);
}

static int limits(struct lsp_shim *shim, uint64_t number, int32_t *ret_max_download,
	int32_t *ret_max_upload, struct lsp_error *err)
{
	pthread_mutex_lock(&fake.lock);
	struct torrent *torrent = by_number(number);
	*ret_max_download = torrent ? torrent->limits[0] : 0;
	*ret_max_upload = torrent ? torrent->limits[1] : 0;
	pthread_mutex_unlock(&fake.lock);
	return torrent ? 0 : not_found(err);
}

static int move(
	struct lsp_shim *shim, uint64_t number, const char *save_path, struct lsp_error *err)
{
	pthread_mutex_lock(&fake.lock);
	struct torrent *torrent = by_number(number);
	if (torrent)
		torrent->moving = torrent->moves++ >= 0;
	fake.moves_told += torrent != NULL;
	pthread_mutex_unlock(&fake.lock);
	return torrent ? 0 : not_found(err);
}

static int have(struct lsp_shim *shim, uint64_t number, lsp_shim_take_bytes take, void *argument,
	uint64_t *ret_bits, uint32_t *ret_piece_length, struct lsp_error *err)
{
	pthread_mutex_lock(&fake.lock);
	struct torrent *torrent = by_number(number);
	*ret_bits = torrent ? torrent->source.file_count : 0;
	pthread_mutex_unlock(&fake.lock);
	*ret_piece_length = FAKE_FILE_SIZE;
	take(argument, "\x80", 1);
	return torrent ? 0 : not_found(err);
}

static void write_data(const struct torrent *torrent, char data[512])
{
	char how[256];
	snprintf(how, sizeof how, "|%lld %u %s|11:active_timei%de", (long long)torrent->status.done,
		torrent->status.flags, torrent->save_path, torrent->saves);
	size_t size = strnlen(torrent->source.text, 255);
	memcpy(data, torrent->source.text, size);
	memcpy(data + size, how, sizeof how);
}

static int save_resume(
	struct lsp_shim *shim, uint64_t number, int if_modified, struct lsp_error *err)
{
	pthread_mutex_lock(&fake.lock);
	struct torrent *torrent = by_number(number);
	bool needed = false;
	if (torrent) {
		/* number 1: nothing has changed */
		bool same = if_modified && torrent->saved && !fake.counts_active;
		torrent->saves++;
		torrent->saved = true;
		needed = !fake.hold_saves &&
			 queue(same ? LSP_SHIM_ALERT_RESUME_FAILED : LSP_SHIM_ALERT_RESUME_DATA,
				 number, NULL, NULL, same, NULL);
		struct queued *answer = &fake.alerts[(fake.last - 1) % ALERTS];
		if (!same && !fake.hold_saves && answer->alert.type == LSP_SHIM_ALERT_RESUME_DATA)
			write_data(torrent, answer->data);
	}
	pthread_mutex_unlock(&fake.lock);
	notify_if(needed);
	return torrent ? 0 : not_found(err);
}

static int tell_status(uint64_t number, int looks,
	void (*each)(void *argument, const struct lsp_shim_status *status), void *argument,
	struct lsp_error *err)
{
	pthread_mutex_lock(&fake.lock);
	struct torrent *torrent = by_number(number);
	struct torrent copy = torrent ? *torrent : (struct torrent){0};
	fake.looks += looks;
	if (copy.moving && !fake.hide_moves)
		copy.status.flags |= LSP_SHIM_MOVING;
	copy.status.save_path = copy.save_path;
	copy.status.error = copy.error;
	pthread_mutex_unlock(&fake.lock);
	if (!torrent)
		return not_found(err);
	each(argument, &copy.status);
	return 0;
}

static int status(struct lsp_shim *shim, uint64_t number,
	void (*each)(void *argument, const struct lsp_shim_status *status), void *argument,
	struct lsp_error *err)
{
	return tell_status(number, 1, each, argument, err);
}

static int statuses(struct lsp_shim *shim,
	void (*each)(void *argument, const struct lsp_shim_status *status), void *argument,
	struct lsp_error *err)
{
	uint64_t numbers[TORRENTS];
	size_t count = list_numbers(numbers, false);
	for (size_t i = 0; i < count; i++)
		(void)!tell_status(numbers[i], i == 0, each, argument, NULL);
	return 0;
}

static int source_of(struct lsp_shim *shim, uint64_t number, struct lsp_shim_source **ret_source,
	struct lsp_error *err)
{
	pthread_mutex_lock(&fake.lock);
	struct torrent *torrent = by_number(number);
	struct lsp_shim_source *source = calloc(1, sizeof *source);
	if (torrent)
		*source = torrent->source;
	fake.copies++;
	pthread_mutex_unlock(&fake.lock);
	*ret_source = source;
	return 0;
}

static int connect_peer(
	struct lsp_shim *shim, uint64_t number, const char *address, struct lsp_error *err)
{
	pthread_mutex_lock(&fake.lock);
	struct torrent *torrent = by_number(number);
	if (torrent)
		torrent->peers++;
	pthread_mutex_unlock(&fake.lock);
	return torrent ? 0 : not_found(err);
}

/* Its disk never gets to a selection: all files stay as they were. */
static int set_priorities(struct lsp_shim *shim, uint64_t number, const uint8_t *priorities,
	size_t count, struct lsp_error *err)
{
	return 0;
}

static int take_nothing(struct lsp_shim *shim, uint64_t number, lsp_shim_take_bytes take,
	void *argument, struct lsp_error *err)
{
	take(argument, "", 0);
	return 0;
}

const struct lsp_shim_functions fake_shim = {.version = version,
	.parse = fake_parse,
	.source_free = fake_source_free,
	.source_info = fake_source_info,
	.source_file = fake_source_file,
	.source_places = fake_source_places,
	.source_metainfo = fake_source_bytes,
	.source_magnet = fake_source_bytes,
	.source_priorities = fake_source_priorities,
	.source_progress = fake_source_progress,
	.open = open_session,
	.close = close_session,
	.apply = apply,
	.setting = setting,
	.setting_name = setting_name,
	.set_ip_filter = set_ip_filter,
	.limit_lan = limit_lan,
	.halt = halt,
	.pop = pop,
	.post_updates = post_updates,
	.post_counts = post_counts,
	.present = present,
	.set_root = set_root,
	.look_around = look_around,
	.add = add,
	.remove = remove_torrent,
	.pause = pause_torrent,
	.resume = resume_torrent,
	.set_flags = set_flags,
	.set_priorities = set_priorities,
	.priorities = take_nothing,
	.file_progress = take_nothing,
	.connect_peer = connect_peer,
	.set_limits = set_limits,
	.limits = limits,
	.move = move,
	.have = have,
	.save_resume = save_resume,
	.status = status,
	.statuses = statuses,
	.source = source_of};
