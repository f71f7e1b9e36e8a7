#include "peer/dialer.h"

#include "net/address.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_WAIT (LSP_SECOND)
#define LONGEST_WAIT (15 * LSP_SECOND)
#define RANKS_OF_A_KIND 10 /* of interfaces of one kind: net/interface.c */

struct address {
	struct sockaddr_storage address;
	unsigned rank;
	bool announced;      /* an announcement holds it now */
	bool given;          /* by the user */
	bool tried;          /* in this round */
	uint64_t attempt;    /* that runs; 0: none */
	lsp_time not_before; /* it rests until then */
};

struct candidate {
	uint64_t number;
	bool has_id, manual, connected;
	bool pinned;   /* the user gave the id too */
	bool greeting; /* the handshake is done, who it is and whether it stays is not yet known */
	struct lsp_hash id;
	struct address addresses[LSP_DIALER_MAX_ADDRESSES];
	size_t address_count;
	uint64_t wait;           /* the back-off after the next round of failures */
	lsp_time due;            /* when to dial; NEVER: not until something changes */
	lsp_time started;        /* the last attempt; 0: the next one need not wait for it */
	unsigned started_rank;   /* and where */
	struct lsp_hash told_of; /* who refused it, as the user was told last */
	lsp_time told_until;     /* and need not be told again */
	lsp_time forget;         /* when to drop it, if nothing holds it */
	bool answered;           /* was connected at least once */
};

struct lsp_dialer {
	struct lsp_hash own_id;
	struct lsp_random random;
	uint64_t numbers;
	struct candidate *candidates;
	size_t count, capacity;
};

int lsp_dialer_new(const struct lsp_hash *own_id, uint64_t seed, struct lsp_dialer **ret_dialer,
	struct lsp_error *err)
{
	struct lsp_dialer *dialer = calloc(1, sizeof *dialer);
	if (!dialer)
		return lsp_error_no_memory(err, "peer");
	dialer->own_id = *own_id;
	lsp_random_seed(&dialer->random, seed);
	*ret_dialer = dialer;
	return 0;
}

void lsp_dialer_free(struct lsp_dialer *dialer)
{
	if (!dialer)
		return;
	free(dialer->candidates);
	free(dialer);
}

size_t lsp_dialer_count(const struct lsp_dialer *dialer)
{
	return dialer->count;
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET) {
		const struct sockaddr_in *x = (const void *)a, *y = (const void *)b;
		return x->sin_port == y->sin_port && x->sin_addr.s_addr == y->sin_addr.s_addr;
	}
	const struct sockaddr_in6 *x = (const void *)a, *y = (const void *)b;
	return x->sin6_port == y->sin6_port && x->sin6_scope_id == y->sin6_scope_id &&
	       memcmp(&x->sin6_addr, &y->sin6_addr, sizeof x->sin6_addr) == 0;
}

static struct candidate *find_id(const struct lsp_dialer *dialer, const struct lsp_hash *id)
{
	for (size_t i = 0; i < dialer->count; i++) {
		if (dialer->candidates[i].has_id && lsp_hash_equal(&dialer->candidates[i].id, id))
			return &dialer->candidates[i];
	}
	return NULL;
}

static struct candidate *find_attempt(
	const struct lsp_dialer *dialer, uint64_t attempt, struct address **ret_address)
{
	for (size_t i = 0; i < dialer->count; i++) {
		struct candidate *candidate = &dialer->candidates[i];
		for (size_t j = 0; j < candidate->address_count; j++) {
			if (candidate->addresses[j].attempt != attempt)
				continue;
			*ret_address = &candidate->addresses[j];
			return candidate;
		}
	}
	return NULL;
}

static bool is_dialing(const struct candidate *candidate)
{
	for (size_t i = 0; i < candidate->address_count; i++) {
		if (candidate->addresses[i].attempt)
			return true;
	}
	return false;
}

static struct address *find_address(
	struct candidate *candidate, const struct sockaddr_storage *address)
{
	for (size_t i = 0; i < candidate->address_count; i++) {
		if (same_address(&candidate->addresses[i].address, address))
			return &candidate->addresses[i];
	}
	return NULL;
}

static void drop(struct lsp_dialer *dialer, struct candidate *candidate)
{
	*candidate = dialer->candidates[--dialer->count];
}

static bool is_held(const struct candidate *candidate)
{
	if (candidate->manual || candidate->connected || candidate->greeting ||
		is_dialing(candidate))
		return true;
	for (size_t i = 0; i < candidate->address_count; i++) {
		if (candidate->addresses[i].announced)
			return true;
	}
	return false;
}

static void drop_forgotten(struct lsp_dialer *dialer, lsp_time now)
{
	for (size_t i = dialer->count; i-- > 0;) {
		struct candidate *candidate = &dialer->candidates[i];
		if (!is_held(candidate) && candidate->forget <= now)
			drop(dialer, candidate);
	}
}

/* Room for one more: a full table gives up one that never answered, the one that failed most. */
static bool make_room(struct lsp_dialer *dialer)
{
	if (dialer->count < LSP_DIALER_MAX)
		return true;
	struct candidate *worst = NULL;
	for (size_t i = 0; i < dialer->count; i++) {
		struct candidate *candidate = &dialer->candidates[i];
		if (candidate->manual || candidate->connected || candidate->answered ||
			is_dialing(candidate))
			continue;
		if (!worst || candidate->wait > worst->wait ||
			(candidate->wait == worst->wait && candidate->number < worst->number))
			worst = candidate;
	}
	if (worst)
		drop(dialer, worst);
	return worst != NULL;
}

static struct candidate *add(struct lsp_dialer *dialer)
{
	if (!make_room(dialer))
		return NULL;
	if (dialer->count == dialer->capacity) {
		size_t capacity = dialer->capacity ? 2 * dialer->capacity : 16;
		struct candidate *grown = realloc(dialer->candidates, capacity * sizeof(*grown));
		if (!grown)
			return NULL;
		dialer->candidates = grown;
		dialer->capacity = capacity;
	}
	struct candidate *candidate = &dialer->candidates[dialer->count++];
	*candidate = (struct candidate){
		.number = ++dialer->numbers, .wait = FIRST_WAIT, .due = LSP_TIME_NEVER};
	return candidate;
}

/*
 * Of a full list the worst that is not announced, or not as good as the new one. One that is being
 * tried stays, or nobody would hear how that went; so does what the user gave.
 */
static bool make_room_for_address(struct candidate *candidate, unsigned rank)
{
	struct address *at = candidate->addresses;
	for (size_t i = candidate->address_count; i-- > 0;) {
		if (at[i].attempt || at[i].given || (at[i].announced && at[i].rank <= rank))
			continue;
		candidate->address_count--;
		memmove(&at[i], &at[i + 1], (candidate->address_count - i) * sizeof *at);
		return true;
	}
	return false;
}

/* Keeps the addresses in order of rank. */
static bool add_address(struct candidate *candidate, const struct sockaddr_storage *address,
	unsigned rank, bool announced)
{
	struct address *known = find_address(candidate, address);
	if (known) {
		bool anew = announced && !known->announced;
		known->announced |= announced;
		if (anew) {
			known->tried = false;
			known->not_before = 0;
		}
		return anew;
	}
	if (candidate->address_count == LSP_DIALER_MAX_ADDRESSES &&
		!make_room_for_address(candidate, rank))
		return false;
	size_t at = candidate->address_count++;
	while (at && candidate->addresses[at - 1].rank > rank) {
		candidate->addresses[at] = candidate->addresses[at - 1];
		at--;
	}
	candidate->addresses[at] =
		(struct address){.address = *address, .rank = rank, .announced = announced};
	return true;
}

/* An address that the user gave. */
static void add_given(struct candidate *candidate, const struct sockaddr_storage *address)
{
	add_address(candidate, address, 0, false);
	struct address *added = find_address(candidate, address);
	if (added) {
		added->given = true;
		added->not_before = 0;
	}
}

static bool we_dial_first(const struct lsp_dialer *dialer, const struct candidate *candidate)
{
	return candidate->manual || !candidate->has_id ||
	       memcmp(dialer->own_id.bytes, candidate->id.bytes, LSP_SHA256_SIZE) < 0;
}

/* earliest: from when on it may be dialled. */
static void schedule_anew(
	const struct lsp_dialer *dialer, struct candidate *candidate, lsp_time earliest)
{
	candidate->wait = FIRST_WAIT;
	lsp_time due = we_dial_first(dialer, candidate)
			       ? earliest
			       : lsp_time_add(earliest, LSP_DIALER_POLITENESS);
	candidate->due = LSP_MIN(candidate->due, due);
}

void lsp_dialer_found(struct lsp_dialer *dialer, const struct lsp_hash *id,
	const struct sockaddr_storage *address, unsigned rank, lsp_time now)
{
	drop_forgotten(dialer, now);
	struct candidate *candidate = find_id(dialer, id);
	if (!candidate) {
		candidate = add(dialer);
		if (!candidate)
			return;
		candidate->has_id = true;
		candidate->id = *id;
	}
	bool anew = add_address(candidate, address, rank, true);
	if (anew && !candidate->connected)
		schedule_anew(dialer, candidate,
			rank == 0 ? now : lsp_time_add(now, LSP_DIALER_RESOLUTION_DELAY));
}

void lsp_dialer_lost(struct lsp_dialer *dialer, const struct lsp_hash *id,
	const struct sockaddr_storage *address, lsp_time now)
{
	struct candidate *candidate = find_id(dialer, id);
	if (!candidate)
		return;
	for (size_t i = 0; i < candidate->address_count; i++) {
		if (!address || same_address(&candidate->addresses[i].address, address))
			candidate->addresses[i].announced = false;
	}
	candidate->forget = lsp_time_add(now, LSP_DIALER_MEMORY);
}

static struct candidate *find_manual(struct lsp_dialer *dialer, const struct lsp_hash *id,
	const struct sockaddr_storage *address)
{
	if (id)
		return find_id(dialer, id);
	for (size_t i = 0; i < dialer->count; i++) {
		if (dialer->candidates[i].manual && find_address(&dialer->candidates[i], address))
			return &dialer->candidates[i];
	}
	return NULL;
}

void lsp_dialer_manual(struct lsp_dialer *dialer, const struct lsp_hash *id,
	const struct sockaddr_storage *address, lsp_time now)
{
	struct candidate *candidate = find_manual(dialer, id, address);
	if (!candidate)
		candidate = add(dialer);
	if (!candidate)
		return;
	candidate->manual = true;
	if (id) {
		candidate->has_id = candidate->pinned = true;
		candidate->id = *id;
	}
	add_given(candidate, address);
	if (!candidate->connected)
		schedule_anew(dialer, candidate, now);
}

/* ---- Attempts ---- */

/* The next one waits for the answer to the last, longer if the last one's interface is better. */
static lsp_time after_the_last(const struct candidate *candidate, const struct address *address)
{
	if (!candidate->started || !is_dialing(candidate))
		return 0;
	bool worse = address->rank / RANKS_OF_A_KIND > candidate->started_rank / RANKS_OF_A_KIND;
	return lsp_time_add(candidate->started,
		worse ? LSP_DIALER_WORSE_ATTEMPT_DELAY : LSP_DIALER_ATTEMPT_DELAY);
}

/* When an address may be dialled, as things stand. */
static lsp_time time_of(const struct candidate *candidate, const struct address *address)
{
	if (address->tried || address->attempt)
		return LSP_TIME_NEVER;
	lsp_time at = LSP_MAX(candidate->due, address->not_before);
	return LSP_MAX(at, after_the_last(candidate, address));
}

/* The best address that may be dialled now; NULL: none, *ret_next is when one may. */
static struct address *pick(struct candidate *candidate, lsp_time now, lsp_time *ret_next)
{
	*ret_next = LSP_TIME_NEVER;
	if (candidate->connected || candidate->greeting || candidate->due == LSP_TIME_NEVER)
		return NULL;
	for (size_t i = 0; i < candidate->address_count; i++) {
		lsp_time at = time_of(candidate, &candidate->addresses[i]);
		if (at <= now)
			return &candidate->addresses[i];
		*ret_next = LSP_MIN(*ret_next, at);
	}
	return NULL;
}

bool lsp_dialer_next(struct lsp_dialer *dialer, lsp_time now, struct lsp_dial *ret_dial)
{
	lsp_time next;
	drop_forgotten(dialer, now);
	for (size_t i = 0; i < dialer->count; i++) {
		struct candidate *candidate = &dialer->candidates[i];
		struct address *address = pick(candidate, now, &next);
		if (!address)
			continue;
		address->attempt = ++dialer->numbers;
		address->tried = true;
		candidate->started = now;
		candidate->started_rank = address->rank;
		*ret_dial = (struct lsp_dial){
			.attempt = address->attempt,
			.candidate = candidate->number,
			.has_id = candidate->has_id,
			.id = candidate->id,
			.address = address->address,
		};
		return true;
	}
	return false;
}

lsp_time lsp_dialer_wake(const struct lsp_dialer *dialer)
{
	lsp_time wake = LSP_TIME_NEVER, next;
	for (size_t i = 0; i < dialer->count; i++) {
		if (pick(&dialer->candidates[i], 0, &next))
			return 0;
		wake = LSP_MIN(wake, next);
	}
	return wake;
}

static void begin_round(struct candidate *candidate)
{
	for (size_t i = 0; i < candidate->address_count; i++)
		candidate->addresses[i].tried = false;
}

/* A round of addresses is over: wait, longer each time, not all peers at the same moment. */
static void back_off(struct lsp_dialer *dialer, struct candidate *candidate, lsp_time now)
{
	uint64_t jitter = lsp_random_below(&dialer->random, candidate->wait / 4 + 1);
	begin_round(candidate);
	candidate->due = lsp_time_add(now, candidate->wait + jitter);
	candidate->wait = LSP_MIN(2 * candidate->wait, LONGEST_WAIT);
}

/* No attempt runs, and there is nothing more to try just now. */
static bool round_is_over(const struct candidate *candidate, lsp_time now)
{
	for (size_t i = 0; i < candidate->address_count; i++) {
		const struct address *address = &candidate->addresses[i];
		if (address->attempt || (!address->tried && address->not_before <= now))
			return false;
	}
	return true;
}

static bool all_rest(const struct candidate *candidate, lsp_time now)
{
	for (size_t i = 0; i < candidate->address_count; i++) {
		if (candidate->addresses[i].not_before <= now)
			return false;
	}
	return true;
}

/* It has failed: the next address need not wait for it. */
static void go_on(struct lsp_dialer *dialer, struct candidate *candidate, lsp_time now)
{
	candidate->started = 0;
	if (!round_is_over(candidate, now))
		return;
	if (all_rest(candidate, now))
		begin_round(candidate);
	else
		back_off(dialer, candidate, now);
	candidate->forget = lsp_time_add(now, LSP_DIALER_MEMORY);
}

/* The others need not be told about: nobody asks for their results any more. */
static void end_attempts(struct candidate *candidate)
{
	for (size_t i = 0; i < candidate->address_count; i++)
		candidate->addresses[i].attempt = 0;
}

void lsp_dialer_result(
	struct lsp_dialer *dialer, uint64_t attempt, enum lsp_dial_result result, lsp_time now)
{
	struct address *address;
	struct candidate *candidate = find_attempt(dialer, attempt, &address);
	if (!candidate)
		return;
	address->attempt = 0;
	if (result == LSP_DIAL_REFUSED)
		address->not_before = lsp_time_add(now, LSP_DIALER_REFUSED_WAIT);
	if (result == LSP_DIAL_CONNECTED) {
		end_attempts(candidate);
		begin_round(candidate);
		candidate->greeting = !candidate->connected;
		candidate->due = LSP_TIME_NEVER;
	} else if (!candidate->connected && !candidate->greeting) {
		go_on(dialer, candidate, now);
	}
}

bool lsp_dialer_is_news(
	struct lsp_dialer *dialer, uint64_t attempt, const struct lsp_hash *who, lsp_time now)
{
	struct address *address;
	struct candidate *candidate = find_attempt(dialer, attempt, &address);
	if (!candidate || (now < candidate->told_until && lsp_hash_equal(&candidate->told_of, who)))
		return false;
	candidate->told_of = *who;
	candidate->told_until = lsp_time_add(now, LSP_DIALER_REFUSED_WAIT);
	return true;
}

/* The user gave an address without an id, and now it turns out who is there: one candidate. */
static void merge_nameless(struct lsp_dialer *dialer, const struct lsp_hash *id,
	const struct sockaddr_storage *address)
{
	struct candidate *nameless = NULL;
	for (size_t i = 0; i < dialer->count && !nameless; i++) {
		struct candidate *candidate = &dialer->candidates[i];
		if (!candidate->has_id && find_address(candidate, address))
			nameless = candidate;
	}
	if (!nameless)
		return;
	struct candidate *named = find_id(dialer, id);
	if (!named) {
		nameless->has_id = true;
		nameless->id = *id;
		return;
	}
	named->manual = true;
	add_given(named, address);
	drop(dialer, nameless);
}

void lsp_dialer_connected(struct lsp_dialer *dialer, const struct lsp_hash *id,
	const struct sockaddr_storage *address, lsp_time now)
{
	merge_nameless(dialer, id, address);
	struct candidate *candidate = find_id(dialer, id);
	if (!candidate) {
		candidate = add(dialer);
		if (!candidate)
			return;
		candidate->has_id = true;
		candidate->id = *id;
	}
	candidate->connected = true;
	candidate->greeting = false;
	candidate->answered = true;
	candidate->told_until = 0;
	begin_round(candidate);
	add_address(candidate, address, 50, false); /* one port for both: it may be dialled */
	candidate->wait = FIRST_WAIT;
	candidate->due = LSP_TIME_NEVER;
}

void lsp_dialer_disconnected(
	struct lsp_dialer *dialer, const struct lsp_hash *id, bool goodbye, lsp_time now)
{
	struct candidate *candidate = find_id(dialer, id);
	if (!candidate)
		return;
	candidate->connected = candidate->greeting = false;
	candidate->forget = lsp_time_add(now, LSP_DIALER_MEMORY);
	if (goodbye && !candidate->manual)
		candidate->due = LSP_TIME_NEVER;
	else
		back_off(dialer, candidate, now);
}

bool lsp_dialer_global_address(const struct lsp_dialer *dialer, const struct lsp_hash *id,
	struct sockaddr_storage *ret_address)
{
	const struct candidate *candidate = find_id(dialer, id);
	for (size_t i = 0; candidate && i < candidate->address_count; i++) {
		if (!lsp_address_is_link_local(&candidate->addresses[i].address)) {
			*ret_address = candidate->addresses[i].address;
			return true;
		}
	}
	return false;
}

/* Back to what the user gave: an address, and whoever answers there. */
static void unlearn(struct lsp_dialer *dialer, struct candidate *candidate, lsp_time now)
{
	size_t kept = 0;
	for (size_t i = 0; i < candidate->address_count; i++) {
		if (candidate->addresses[i].given)
			candidate->addresses[kept++] = candidate->addresses[i];
	}
	for (size_t i = 0; i < kept; i++) {
		candidate->addresses[i].announced = false;
		candidate->addresses[i].not_before = 0;
	}
	candidate->address_count = kept;
	candidate->has_id = candidate->connected = candidate->greeting = candidate->answered =
		false;
	candidate->due = LSP_TIME_NEVER;
	candidate->told_until = 0;
	begin_round(candidate);
	schedule_anew(dialer, candidate, now);
}

bool lsp_dialer_forget(struct lsp_dialer *dialer, const struct lsp_hash *id, lsp_time now)
{
	struct candidate *candidate = find_id(dialer, id);
	if (candidate && candidate->manual && !candidate->pinned)
		unlearn(dialer, candidate, now);
	else if (candidate)
		drop(dialer, candidate);
	return candidate != NULL;
}

const struct lsp_hash *lsp_dialer_known(const struct lsp_dialer *dialer, size_t index)
{
	for (size_t i = 0; i < dialer->count; i++) {
		if (dialer->candidates[i].has_id && index-- == 0)
			return &dialer->candidates[i].id;
	}
	return NULL;
}

const struct lsp_hash *lsp_dialer_learned(const struct lsp_dialer *dialer, uint64_t attempt)
{
	struct address *address;
	const struct candidate *candidate = find_attempt(dialer, attempt, &address);
	return candidate && candidate->manual && candidate->has_id && !candidate->pinned
		       ? &candidate->id
		       : NULL;
}
