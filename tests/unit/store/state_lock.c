#include "fixture.h"

#include "store/state_lock.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

static int take(struct fixture *fixture, const char *file, const char *holder,
	struct lsp_folder_lock **lock, struct lsp_error *err)
{
	return lsp_folder_lock_take(fixture->folder, file, "state folder", holder, lock, err);
}

static void the_second_is_refused_and_told_who_holds_it(void **state)
{
	_cleanup_folder_lock_ struct lsp_folder_lock *first = NULL;
	struct lsp_folder_lock *second = NULL;
	assert_ok(take(*state, "lock", "kitchen", &first, &err));
	char who[64];
	snprintf(who, sizeof who, "in use by process %ld (kitchen)", (long)getpid());
	assert_fails(take(*state, "lock", "attic", &second, &err), LSP_E_BUSY, who);
	assert_null(second);
}

static void a_released_lock_can_be_taken_again(void **state)
{
	struct lsp_folder_lock *lock = NULL;
	for (int i = 0; i < 3; i++) {
		assert_ok(take(*state, ".lanspread/lock", "kitchen", &lock, &err));
		lsp_folder_lock_release(lock);
	}
	assert_int_equal(access(in_folder(*state, ".lanspread/lock"), F_OK), 0);
}

/* A child that takes the lock, says so, and waits to be killed. */
static pid_t hold_in_child(struct fixture *fixture)
{
	int ready[2];
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct lsp_folder_lock *lock = NULL;
		char byte = take(fixture, "lock", "child", &lock, NULL) == 0;
		(void)!write(ready[1], &byte, 1);
		for (;;)
			pause();
	}
	char byte = 0;
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(byte, 1);
	close(ready[0]);
	close(ready[1]);
	return child;
}

static void a_holder_that_was_killed_leaves_no_lock(void **state)
{
	pid_t child = hold_in_child(*state);
	struct lsp_folder_lock *lock = NULL;
	assert_fails(take(*state, "lock", "parent", &lock, &err), LSP_E_BUSY, "(child)");
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_ok(take(*state, "lock", "parent", &lock, &err));
	lsp_folder_lock_release(lock);
}

static void a_holder_that_has_not_written_its_name_yet_is_another_process(void **state)
{
	put_text(*state, "lock", "");
	int fd = open(in_folder(*state, "lock"), O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	struct lsp_folder_lock *lock = NULL;
	assert_fails(take(*state, "lock", "x", &lock, &err), LSP_E_BUSY, "another process");
	close(fd);
}

static int read_only(const struct lsp_fs_event *event, void *argument)
{
	return event->call == LSP_FS_OPEN ? EROFS : 0;
}

static void a_read_only_folder_is_a_clear_error(void **state)
{
	struct lsp_fs_hooks hooks = {.before = read_only};
	lsp_fs_set_hooks(&hooks);
	struct lsp_folder_lock *lock = NULL;
	assert_fails(take(*state, "lock", "x", &lock, &err), LSP_E_DENIED,
		"cannot write to the state folder");
	lsp_fs_set_hooks(NULL);
}

static void a_folder_that_is_not_there_is_a_clear_error(void **state)
{
	struct lsp_folder_lock *lock = NULL;
	assert_fails(lsp_folder_lock_take(
			     in_folder(*state, "gone"), "lock", "games folder", "x", &lock, &err),
		LSP_E_NOT_FOUND, "gone");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(the_second_is_refused_and_told_who_holds_it),
		FIXTURE_TEST(a_released_lock_can_be_taken_again),
		FIXTURE_TEST(a_holder_that_was_killed_leaves_no_lock),
		FIXTURE_TEST(a_holder_that_has_not_written_its_name_yet_is_another_process),
		FIXTURE_TEST(a_read_only_folder_is_a_clear_error),
		FIXTURE_TEST(a_folder_that_is_not_there_is_a_clear_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
