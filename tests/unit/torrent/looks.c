#include "torrent/looks.h"

#include "../task/fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void add(
	struct lsp_looks *looks, struct lsp_look_wait *wait, const char *path, const char *disk)
{
	assert_ok(lsp_looks_add(looks, wait, path, disk, ERR));
}

static struct lsp_look_wait *begin(struct lsp_looks *looks, struct lsp_look_place **ret_place)
{
	struct lsp_look_wait *wait = lsp_looks_begin(looks, LSP_SECOND, ret_place);
	if (wait)
		assert_null(wait->place);
	return wait;
}

static void one_of_a_place_is_asked_about_at_a_time(void **state)
{
	struct lsp_looks looks = {0};
	struct lsp_look_wait waits[3] = {0};
	struct lsp_look_place *place, *other;
	add(&looks, &waits[0], "/a", "/");
	add(&looks, &waits[1], "/a", "/");
	add(&looks, &waits[2], "/b", "/");
	assert_ptr_equal(begin(&looks, &place), &waits[0]);
	assert_ptr_equal(begin(&looks, &other), &waits[2]);
	assert_null(begin(&looks, &other));
	(void)lsp_looks_end(&looks, place);
	assert_ptr_equal(begin(&looks, &place), &waits[1]);
	lsp_looks_done(&looks);
}

static void who_does_not_wait_any_more_is_passed_over(void **state)
{
	struct lsp_looks looks = {0};
	struct lsp_look_wait waits[3] = {0};
	struct lsp_look_place *place;
	for (unsigned i = 0; i < 3; i++)
		add(&looks, &waits[i], i < 2 ? "/a" : "/b", "/");
	lsp_looks_remove(&looks, &waits[0]);
	lsp_looks_remove(&looks, &waits[2]);
	lsp_looks_remove(&looks, &waits[2]);
	assert_ptr_equal(begin(&looks, &place), &waits[1]);
	assert_false(lsp_looks_may_begin(&looks));
	(void)lsp_looks_end(&looks, place);
	assert_null(looks.places);
	assert_null(looks.disks);
}

static void a_disk_that_does_not_answer_keeps_no_other(void **state)
{
	struct lsp_looks looks = {0};
	struct lsp_look_wait dead[100] = {0}, other = {0};
	struct lsp_look_place *place;
	char path[32];
	for (unsigned i = 0; i < 100; i++) {
		snprintf(path, sizeof path, "/dead/%u", i);
		add(&looks, &dead[i], path, "/dead");
	}
	for (unsigned i = 0; i < LSP_LOOKS_OF_DISK; i++)
		assert_ptr_equal(begin(&looks, &place), &dead[i]);
	assert_null(begin(&looks, &place));
	add(&looks, &other, "/a", "/");
	assert_ptr_equal(begin(&looks, &place), &other);
	assert_null(begin(&looks, &place));
	lsp_looks_done(&looks);
}

static void disks_take_turns_and_there_is_an_end_to_how_many_are_asked(void **state)
{
	enum { DISKS = LSP_LOOKS_MAX };
	struct lsp_looks looks = {0};
	struct lsp_look_wait *waits = calloc((size_t)DISKS * 2, sizeof *waits);
	struct lsp_look_place *first, *place;
	char path[32], disk[32];
	for (unsigned i = 0; i < DISKS * 2; i++) {
		snprintf(disk, sizeof disk, "/%u", i / 2);
		snprintf(path, sizeof path, "/%u/%u", i / 2, i);
		add(&looks, &waits[i], path, disk);
	}
	assert_ptr_equal(begin(&looks, &first), &waits[0]);
	for (unsigned i = 1; i < DISKS; i++)
		assert_ptr_equal(begin(&looks, &place), &waits[(size_t)i * 2]);
	assert_null(begin(&looks, &place));
	(void)lsp_looks_end(&looks, first);
	assert_ptr_equal(begin(&looks, &place), &waits[1]);
	lsp_looks_done(&looks);
	free(waits);
}

static void a_disk_is_told_to_be_silent_once(void **state)
{
	struct lsp_looks looks = {0};
	struct lsp_look_wait waits[6] = {0};
	struct lsp_look_place *places[6];
	struct lsp_looks_silence silence;
	lsp_time late = LSP_SECOND + LSP_LOOKS_PATIENCE;
	static const char *const paths[] = {
		"/dead/a", "/dead/b", "/dead/c", "/dead/d", "/dead/d", "/a"};
	for (unsigned i = 0; i < 6; i++)
		add(&looks, &waits[i], paths[i], i < 5 ? "/dead" : "/");
	assert_int_equal(lsp_looks_silent_at(&looks), LSP_TIME_NEVER);
	for (unsigned i = 0; i < 5; i++)
		assert_non_null(begin(&looks, &places[i]));
	assert_false(lsp_looks_end(&looks, places[1])); /* that of /, which takes turns with it */
	assert_int_equal(lsp_looks_silent_at(&looks), late);
	assert_false(lsp_looks_take_silent(&looks, late - 1, &silence));
	assert_true(lsp_looks_take_silent(&looks, late, &silence));
	assert_string_equal(silence.disk, "/dead");
	assert_string_equal(silence.path, "/dead/a");
	assert_int_equal(silence.waiting, 5);
	assert_false(lsp_looks_take_silent(&looks, late, &silence));
	assert_int_equal(lsp_looks_silent_at(&looks), LSP_TIME_NEVER);
	assert_false(lsp_looks_end(&looks, places[0]));
	assert_false(lsp_looks_end(&looks, places[2]));
	assert_false(lsp_looks_end(&looks, places[3]));
	assert_true(lsp_looks_end(&looks, places[4]));
	assert_true(lsp_looks_may_begin(&looks));
	lsp_looks_done(&looks);
}

static void a_place_goes_to_the_disk_that_is_mounted_there_by_now(void **state)
{
	struct lsp_looks looks = {0};
	struct lsp_look_wait dead[LSP_LOOKS_OF_DISK] = {0}, waits[4] = {0};
	struct lsp_look_place *place;
	char path[32];
	for (unsigned i = 0; i < LSP_LOOKS_OF_DISK; i++) {
		snprintf(path, sizeof path, "/nas/%u", i);
		add(&looks, &dead[i], path, "/nas");
		assert_ptr_equal(begin(&looks, &place), &dead[i]);
	}
	add(&looks, &waits[0], "/nas/a", "/nas");
	add(&looks, &waits[1], "/nas/a", "/nas");
	assert_null(begin(&looks, &place));
	add(&looks, &waits[2], "/nas/a", "/"); /* it was unmounted */
	assert_ptr_equal(begin(&looks, &place), &waits[0]);
	(void)lsp_looks_end(&looks, place);
	add(&looks, &waits[3], "/nas/a", "/nas"); /* and mounted again */
	assert_null(begin(&looks, &place));
	lsp_looks_remove(&looks, &waits[3]);
	add(&looks, &waits[3], "/nas/a", NULL); /* which nobody denies */
	assert_null(begin(&looks, &place));
	for (unsigned i = 1; i < 4; i++)
		lsp_looks_remove(&looks, &waits[i]);
	lsp_looks_done(&looks);
}

static void what_is_asked_counts_for_the_disk_that_was_there(void **state)
{
	struct lsp_looks looks = {0};
	struct lsp_look_wait waits[8] = {0}, others[LSP_LOOKS_OF_DISK] = {0};
	struct lsp_look_place *places[8], *other;
	struct lsp_looks_silence silence;
	char path[32];
	for (unsigned i = 0; i < LSP_LOOKS_OF_DISK; i++) {
		snprintf(path, sizeof path, "/nas/%u", i);
		add(&looks, &waits[i], path, "/nas");
		assert_ptr_equal(begin(&looks, &places[i]), &waits[i]);
		add(&looks, &waits[4 + i], path, "/"); /* where none is asked */
	}
	for (unsigned i = 0; i < LSP_LOOKS_OF_DISK; i++) {
		snprintf(path, sizeof path, "/%u", i);
		add(&looks, &others[i], path, "/");
		assert_ptr_equal(begin(&looks, &other), &others[i]);
	}
	lsp_time late = LSP_SECOND + LSP_LOOKS_PATIENCE;
	assert_true(lsp_looks_take_silent(&looks, late, &silence));
	assert_string_equal(silence.disk, "/nas");
	assert_int_equal(silence.waiting, 4);
	for (unsigned i = 0; i < LSP_LOOKS_OF_DISK; i++)
		assert_int_equal(lsp_looks_end(&looks, places[i]), i == 0);
	assert_null(begin(&looks, &other)); /* of / there are four */
	lsp_looks_done(&looks);
}

/* ---- What an answer costs ------------------------------------------------------------------ */

#define PAGE 4096
#define PAGES 12000
#define COST_MAX 16 /* the place, its disk, who waits, and their neighbours in the lists */

/* One page for each that waits and each that is made: a page that is looked at is counted. */
static struct {
	char *pages;
	size_t used, looked_at;
	size_t open[PAGES];
} memory;

void *__real_calloc(size_t count, size_t size);
void __real_free(void *pointer);
void *__wrap_calloc(size_t count, size_t size);
void __wrap_free(void *pointer);

void *__wrap_calloc(size_t count, size_t size)
{
	if (!memory.pages || count * size > PAGE || memory.used == PAGES)
		return __real_calloc(count, size);
	return memory.pages + memory.used++ * PAGE;
}

static bool is_in_pages(const void *pointer)
{
	const char *at = pointer;
	return memory.pages && at >= memory.pages && at < memory.pages + (size_t)PAGES * PAGE;
}

void __wrap_free(void *pointer)
{
	if (!is_in_pages(pointer))
		__real_free(pointer);
}

static void look_at_page(int number, siginfo_t *info, void *context)
{
	if (!is_in_pages(info->si_addr)) {
		signal(number, SIG_DFL); /* and it is met again */
		return;
	}
	size_t page = (size_t)((char *)info->si_addr - memory.pages) / PAGE;
	mprotect(memory.pages + page * PAGE, PAGE, PROT_READ | PROT_WRITE);
	memory.open[memory.looked_at++] = page;
}

static void close_pages(void)
{
	while (memory.looked_at > 0)
		mprotect(memory.pages + memory.open[--memory.looked_at] * PAGE, PAGE, PROT_NONE);
}

/* So many places, each with so many that wait in it. */
static void assert_cost_of_an_answer(unsigned places, unsigned each)
{
	struct lsp_looks looks = {0};
	struct lsp_look_place *running[LSP_LOOKS_OF_DISK];
	char path[32];
	size_t asked = 0, answered = 0;
	memory.pages = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(memory.pages, MAP_FAILED);
	memory.used = memory.looked_at = 0;
	for (unsigned i = 0; i < places * each; i++) {
		struct lsp_look_wait *wait = calloc(1, sizeof *wait);
		snprintf(path, sizeof path, "/%u", i % places);
		add(&looks, wait, path, "/");
	}
	assert_true(memory.used < PAGES);
	while (asked < LSP_LOOKS_OF_DISK && begin(&looks, &running[asked]))
		asked++;
	assert_int_equal(mprotect(memory.pages, (size_t)PAGES * PAGE, PROT_NONE), 0);
	for (size_t count = asked; count > 0; answered++) {
		(void)lsp_looks_end(&looks, running[0]);
		memmove(running, running + 1, --count * sizeof running[0]);
		if (begin(&looks, &running[count]))
			count++;
		size_t cost = memory.looked_at;
		close_pages();
		assert_in_range(cost, 2, COST_MAX);
	}
	assert_int_equal(answered, (size_t)places * each);
	lsp_looks_done(&looks);
	munmap(memory.pages, (size_t)PAGES * PAGE);
	memory.pages = NULL;
}

static void an_answer_costs_the_same_however_many_wait(void **state)
{
	struct sigaction count = {.sa_sigaction = look_at_page, .sa_flags = SA_SIGINFO}, old;
	assert_int_equal(sigaction(SIGSEGV, &count, &old), 0);
	assert_cost_of_an_answer(10, 1);
	assert_cost_of_an_answer(5000, 1);
	assert_cost_of_an_answer(10, 500);
	assert_int_equal(sigaction(SIGSEGV, &old, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_of_a_place_is_asked_about_at_a_time),
		cmocka_unit_test(who_does_not_wait_any_more_is_passed_over),
		cmocka_unit_test(a_disk_that_does_not_answer_keeps_no_other),
		cmocka_unit_test(disks_take_turns_and_there_is_an_end_to_how_many_are_asked),
		cmocka_unit_test(a_disk_is_told_to_be_silent_once),
		cmocka_unit_test(a_place_goes_to_the_disk_that_is_mounted_there_by_now),
		cmocka_unit_test(what_is_asked_counts_for_the_disk_that_was_there),
		cmocka_unit_test(an_answer_costs_the_same_however_many_wait),
	};
	return cmocka_run_group_tests_name("torrent looks", tests, NULL, NULL);
}
