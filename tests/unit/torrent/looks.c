#include "torrent/looks.h"

#include "../task/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* So many places, each with so many that wait in it: the most steps of one answer. */
static uint64_t steps_of_an_answer(unsigned places, unsigned each)
{
	struct lsp_looks looks = {0};
	struct lsp_look_wait *waits = calloc((size_t)places * each, sizeof *waits);
	struct lsp_look_place *running[LSP_LOOKS_OF_DISK];
	char path[32];
	uint64_t most = 0;
	size_t asked = 0, answered = 0;
	for (unsigned i = 0; i < places * each; i++) {
		snprintf(path, sizeof path, "/%u", i % places);
		add(&looks, &waits[i], path, "/");
	}
	while (asked < LSP_LOOKS_OF_DISK && begin(&looks, &running[asked]))
		asked++;
	for (size_t count = asked; count > 0; answered++) {
		uint64_t before = looks.steps;
		(void)lsp_looks_end(&looks, running[0]);
		memmove(running, running + 1, --count * sizeof running[0]);
		if (begin(&looks, &running[count]))
			count++;
		most = LSP_MAX(most, looks.steps - before);
	}
	assert_int_equal(answered, (size_t)places * each);
	lsp_looks_done(&looks);
	free(waits);
	return most;
}

static void an_answer_costs_the_same_however_many_wait(void **state)
{
	uint64_t few = steps_of_an_answer(10, 1);
	assert_true(few > 0);
	assert_int_equal(steps_of_an_answer(5000, 1), few);
	assert_int_equal(steps_of_an_answer(10, 500), few);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_of_a_place_is_asked_about_at_a_time),
		cmocka_unit_test(who_does_not_wait_any_more_is_passed_over),
		cmocka_unit_test(a_disk_that_does_not_answer_keeps_no_other),
		cmocka_unit_test(disks_take_turns_and_there_is_an_end_to_how_many_are_asked),
		cmocka_unit_test(a_disk_is_told_to_be_silent_once),
		cmocka_unit_test(an_answer_costs_the_same_however_many_wait),
	};
	return cmocka_run_group_tests_name("torrent looks", tests, NULL, NULL);
}
