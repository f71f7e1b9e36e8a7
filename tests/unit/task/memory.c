/*
 * Every allocation of the runtime can fail: the n-th one does, for every n, in each scenario below.
 * Each time an error comes back, everything can be taken down, and nothing is left behind.
 *
 * The allocator is this program's own front of the C library's. libuv goes past it, since it calls
 * abort(3) where its memory runs out. A sanitizer brings its own allocator, so there is no such
 * test under one.
 */
#include "fixture.h"
#include "task/child.h"
#include "task/operation.h"
#include "task/pool.h"
#include "task/service.h"
#include "task/supervisor.h"

#include <errno.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

int main(void)
{
	return 77; /* meson's word for skipped */
}

#else

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *pointer, size_t size);
extern void __libc_free(void *pointer);

/* The tree is compiled with hidden symbols; the C library must find these. */
#define SEEN_BY_LIBC __attribute__((visibility("default")))

static atomic_bool armed;
static atomic_long until_failure, live_blocks;

static bool fails_now(void)
{
	return atomic_load(&armed) && atomic_fetch_sub(&until_failure, 1) == 0;
}

static void *counted(void *pointer)
{
	if (pointer)
		atomic_fetch_add(&live_blocks, 1);
	return pointer;
}

SEEN_BY_LIBC void *malloc(size_t size)
{
	if (!fails_now())
		return counted(__libc_malloc(size));
	errno = ENOMEM;
	return NULL;
}

SEEN_BY_LIBC void *calloc(size_t count, size_t size)
{
	if (!fails_now())
		return counted(__libc_calloc(count, size));
	errno = ENOMEM;
	return NULL;
}

SEEN_BY_LIBC void *realloc(void *pointer, size_t size)
{
	if (fails_now()) {
		errno = ENOMEM;
		return NULL;
	}
	return pointer ? __libc_realloc(pointer, size) : counted(__libc_realloc(NULL, size));
}

SEEN_BY_LIBC void free(void *pointer)
{
	if (pointer)
		atomic_fetch_sub(&live_blocks, 1);
	__libc_free(pointer);
}

/* ---- Scenarios: 0, or the error; everything is taken down either way ---------------------- */

struct ground {
	struct lsp_cancel *root;
	struct lsp_tasks *tasks;
};

static int ground_init(struct ground *ground, struct lsp_error *err)
{
	*ground = (struct ground){0};
	int r = lsp_cancel_new(NULL, &ground->root, err);
	return r < 0 ? r : lsp_tasks_new(ground->root, NULL, &ground->tasks, err);
}

static int ground_done(struct ground *ground, int r)
{
	lsp_cancel_request(ground->root, LSP_CANCEL_USER, NULL);
	if (ground->tasks && lsp_tasks_join_all(ground->tasks, LSP_TIME_NEVER, NULL, NULL) < 0)
		abort();
	lsp_tasks_free(ground->tasks);
	lsp_cancel_unref(ground->root);
	return r;
}

static int idle(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	lsp_cancel_wait(token, NULL, LSP_TIME_NEVER);
	return 0;
}

static int use_tasks(struct lsp_error *err)
{
	struct ground ground;
	struct lsp_task *activity = NULL;
	_cleanup_free_ struct lsp_task_info *ours = NULL, *foreign = NULL;
	size_t count;
	int r = ground_init(&ground, err);
	if (r == 0)
		r = lsp_tasks_spawn(ground.tasks, "idle", LSP_TASK_RPC, idle, NULL, NULL, err);
	if (r == 0)
		r = lsp_tasks_begin(
			ground.tasks, "peer", LSP_TASK_CONNECTION, NULL, &activity, err);
	if (r == 0)
		r = lsp_tasks_snapshot(ground.tasks, &ours, &count, err);
	if (r == 0)
		r = lsp_tasks_foreign(ground.tasks, &foreign, &count, err);
	if (activity)
		lsp_task_end(activity, 0, NULL);
	return ground_done(&ground, r);
}

static void nothing_posted(void *argument)
{
}

static int set_a_timer(void *argument, struct lsp_error *err)
{
	struct lsp_timer timer = {0};
	int r = lsp_timer_init(&timer, argument, nothing_posted, NULL, err);
	lsp_timer_done(&timer);
	return r;
}

static int pool_work(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	return 0;
}

static int use_loop_and_pool(struct lsp_error *err)
{
	struct ground ground;
	struct lsp_loop *loop = NULL;
	struct lsp_pool *pool = NULL;
	int r = ground_init(&ground, err);
	if (r == 0)
		r = lsp_loop_start(ground.tasks, "loop", &loop, err);
	if (r == 0)
		r = lsp_pool_new(ground.tasks, "pool", 2, 4, &pool, err);
	if (r == 0)
		r = lsp_loop_post(loop, nothing_posted, NULL, err);
	if (r == 0)
		r = lsp_loop_call(loop, set_a_timer, loop, NULL, LSP_TIME_NEVER, err);
	if (r == 0)
		r = lsp_pool_call(pool, pool_work, NULL, NULL, LSP_TIME_NEVER, err);
	lsp_pool_free(pool);
	if (loop && lsp_loop_stop(loop, LSP_TIME_NEVER, NULL) < 0)
		abort();
	lsp_loop_unref(loop);
	return ground_done(&ground, r);
}

static int use_a_child(struct lsp_error *err)
{
	static const char *const argv[] = {"echo", "hello", NULL};
	struct lsp_child_options options = {.argv = argv, .output = LSP_CHILD_PIPE};
	struct ground ground;
	struct lsp_child *child = NULL;
	const char *line;
	int r = ground_init(&ground, err);
	if (r == 0)
		r = lsp_child_start(ground.tasks, "echo", &options, &child, err);
	if (r == 0)
		r = lsp_child_read_line(child, NULL, LSP_TIME_NEVER, &line, err);
	if (r > 0)
		r = lsp_child_finish(child, err);
	lsp_child_free(child);
	return ground_done(&ground, r);
}

static int use_operations(struct lsp_error *err)
{
	struct lsp_operations *operations = NULL;
	struct lsp_operation *operation = NULL;
	_cleanup_free_ struct lsp_operation_info *infos = NULL;
	size_t count;
	int r = lsp_operations_new(NULL, NULL, &operations, err);
	if (r == 0)
		r = lsp_operation_begin(
			operations, "doom", LSP_OPERATION_HASHING, NULL, &operation, err);
	if (r == 0)
		r = lsp_operations_snapshot(operations, &infos, &count, err);
	lsp_operation_unref(operation);
	lsp_operations_free(operations);
	return r;
}

static int use_a_supervisor(struct lsp_error *err)
{
	static const struct lsp_policy policy = {LSP_POLICY_RESTART, .delay = LSP_SECOND};
	struct lsp_supervisor_events events = {0};
	struct ground ground;
	struct lsp_supervisor *supervisor = NULL;
	_cleanup_free_ struct lsp_supervised_info *infos = NULL;
	size_t count;
	int r = ground_init(&ground, err);
	if (r == 0)
		r = lsp_supervisor_new(ground.tasks, &events, &supervisor, err);
	if (r == 0)
		r = lsp_supervisor_run(supervisor, "idle", &policy, idle, NULL, err);
	if (r == 0)
		r = lsp_supervisor_snapshot(supervisor, &infos, &count, err);
	r = ground_done(&ground, r);
	lsp_supervisor_free(supervisor);
	return r;
}

static int quick_hook(void *node, const struct lsp_service_context *context, struct lsp_error *err)
{
	return 0;
}

static int use_a_service(struct lsp_error *err)
{
	static const struct lsp_service_node node = {
		quick_hook, quick_hook, quick_hook, quick_hook, quick_hook};
	struct ground ground;
	struct lsp_service *service = NULL;
	int r = ground_init(&ground, err);
	struct lsp_service_options options = {.name = "node", .node = &node, .tasks = ground.tasks};
	if (r == 0)
		r = lsp_service_new(&options, &service, err);
	if (r == 0)
		r = lsp_service_run(service, NULL, err);
	lsp_service_unref(service);
	return ground_done(&ground, r);
}

/* ---- The n-th fails ---- */

/* True if an allocation failed. */
static bool run_with_failure(int (*scenario)(struct lsp_error *err), long n, int *ret_result)
{
	struct lsp_error err = {0};
	atomic_store(&until_failure, n);
	atomic_store(&armed, true);
	*ret_result = scenario(&err);
	atomic_store(&armed, false);
	return atomic_load(&until_failure) < 0;
}

static void swallow(
	enum lsp_log_level level, const char *component, const char *message, void *argument)
{
}

static void try_every_allocation(int (*scenario)(struct lsp_error *err))
{
	struct lsp_error err = {0};
	int r = 0;
	for (int i = 0; i < 3; i++) /* the C library's own caches of threads fill */
		assert_int_equal(scenario(&err), 0);
	long before = atomic_load(&live_blocks), n = 0, made_up_for = 0;
	for (; run_with_failure(scenario, n, &r); n++)
		made_up_for += r == 0; /* vasprintf(3) keeps its first block where it can */
	assert_int_equal(r, 0);
	assert_true(n > 1 && made_up_for < n / 2);
	long left = atomic_load(&live_blocks) - before;
	print_message("%ld allocations, %ld blocks more in the end\n", n, left);
	assert_true(left < 8); /* thread-local storage of cached stacks */
}

#define DEFINE_TEST(name, scenario)                                                                \
	static void name(void **state)                                                             \
	{                                                                                          \
		try_every_allocation(scenario);                                                    \
	}
DEFINE_TEST(tasks_survive_every_failing_allocation, use_tasks)
DEFINE_TEST(loops_and_pools_survive_every_failing_allocation, use_loop_and_pool)
DEFINE_TEST(children_survive_every_failing_allocation, use_a_child)
DEFINE_TEST(operations_survive_every_failing_allocation, use_operations)
DEFINE_TEST(supervisors_survive_every_failing_allocation, use_a_supervisor)
DEFINE_TEST(services_survive_every_failing_allocation, use_a_service)

int main(void)
{
	uv_replace_allocator(__libc_malloc, __libc_realloc, __libc_calloc, __libc_free);
	lsp_log_set_sink(swallow, NULL);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tasks_survive_every_failing_allocation),
		cmocka_unit_test(loops_and_pools_survive_every_failing_allocation),
		cmocka_unit_test(children_survive_every_failing_allocation),
		cmocka_unit_test(operations_survive_every_failing_allocation),
		cmocka_unit_test(supervisors_survive_every_failing_allocation),
		cmocka_unit_test(services_survive_every_failing_allocation),
	};
	return cmocka_run_group_tests_name("task/memory", tests, NULL, NULL);
}

#endif
