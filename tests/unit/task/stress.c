/*
 * The runtime under pressure. Three tests: random trees of tokens and tasks, a million short tasks,
 * and the time from a cancel to the return of each kind of wait.
 *
 * LANSPREAD_STRESS=full runs the full counts (10,000 trees, 1,000,000 threads); without it a tenth
 * does. LANSPREAD_STRESS_SEED repeats a run's choices. Memory and times are only judged without a
 * sanitizer, whose own costs they would be.
 */
#include "base/random.h"
#include "fixture.h"
#include "task/child.h"
#include "task/pool.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/eventfd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static bool full_counts(void)
{
	const char *wanted = getenv("LANSPREAD_STRESS");
	return wanted && strcmp(wanted, "full") == 0;
}

static uint64_t first_seed(void)
{
	const char *wanted = getenv("LANSPREAD_STRESS_SEED");
	uint64_t seed;
	lsp_random_bytes(&seed, sizeof seed);
	return wanted ? strtoull(wanted, NULL, 10) : seed % 1000000;
}

static void swallow(
	enum lsp_log_level level, const char *component, const char *message, void *argument)
{
}

static size_t open_descriptors(void)
{
	size_t count = 0;
	DIR *dir = opendir("/proc/self/fd");
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* ---- Random trees ------------------------------------------------------------------------ */

/* What must come out even: each left side with its right. */
struct counts {
	atomic_int tasks_started, tasks_ran;
	atomic_int guards_attached, guards_released;
	atomic_int callbacks_registered, callbacks_ran, callbacks_withdrawn;
	atomic_int posts_accepted, posts_ran;
	atomic_int jobs_accepted, jobs_done;
	atomic_int calls_ran, calls_returned; /* each that ran was answered once */
	atomic_int second_completions;
};

struct tree {
	struct lsp_fake_clock *clock;
	struct lsp_loop *loop;
	struct lsp_pool *pool;
	struct runtime runtime;
	struct counts counts;
};

#define TOKENS 12

/* What one task is given; it frees it. */
struct order {
	struct tree *tree;
	uint64_t seed;
	int depth;
};

static int follow_order(struct lsp_cancel *token, void *argument, struct lsp_error *err);

static void spawn_one(struct tree *tree, struct lsp_cancel *parent, uint64_t seed, int depth)
{
	struct order *order = malloc(sizeof *order);
	*order = (struct order){tree, seed, depth};
	atomic_fetch_add(&tree->counts.tasks_started, 1);
	if (lsp_tasks_spawn_below(tree->runtime.tasks, parent, "stress", LSP_TASK_MAINTENANCE,
		    follow_order, order, NULL, NULL) == 0)
		return;
	atomic_fetch_sub(&tree->counts.tasks_started, 1); /* refused: join began */
	free(order);
}

static lsp_time soon(struct tree *tree, struct lsp_random *random)
{
	return lsp_time_add(lsp_now(&tree->clock->clock), lsp_random_below(random, 50));
}

struct counted_guard {
	struct lsp_task_guard guard;
	struct tree *tree;
};

static void release_counted(struct lsp_task_guard *guard)
{
	struct counted_guard *counted = lsp_container_of(guard, struct counted_guard, guard);
	atomic_fetch_add(&counted->tree->counts.guards_released, 1);
	free(counted);
}

static void attach_a_guard(struct tree *tree)
{
	struct counted_guard *counted = calloc(1, sizeof *counted);
	counted->guard.release = release_counted;
	counted->tree = tree;
	atomic_fetch_add(&tree->counts.guards_attached, 1);
	if (lsp_task_attach(lsp_task_current(), &counted->guard, NULL) < 0)
		abort();
}

static void count_callback(void *argument)
{
	atomic_fetch_add((atomic_int *)argument, 1);
}

static void use_a_callback(struct tree *tree, struct lsp_cancel *token, struct lsp_random *random)
{
	struct lsp_cancel_callback callback;
	struct counts *counts = &tree->counts;
	atomic_fetch_add(&counts->callbacks_registered, 1);
	lsp_cancel_register(token, &callback, count_callback, &counts->callbacks_ran);
	if (lsp_random_below(random, 2))
		lsp_cancel_request(token, LSP_CANCEL_RPC, "by itself");
	else
		sched_yield();
	if (!lsp_cancel_unregister(&callback))
		atomic_fetch_add(&counts->callbacks_withdrawn, 1);
}

static void post_something(struct tree *tree, struct lsp_random *random)
{
	struct counts *counts = &tree->counts;
	atomic_fetch_add(&counts->posts_accepted, 1);
	if (lsp_loop_post(tree->loop, count_callback, &counts->posts_ran, NULL) < 0)
		atomic_fetch_sub(&counts->posts_accepted, 1);
}

static int count_call(void *argument, struct lsp_error *err)
{
	struct tree *tree = argument;
	atomic_fetch_add(&tree->counts.calls_ran, 1);
	return 4711;
}

static int count_pool_call(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	return count_call(argument, err);
}

static void note_call(struct tree *tree, int result)
{
	if (result == 4711)
		atomic_fetch_add(&tree->counts.calls_returned, 1);
	else if (result != -LSP_E_CANCELLED && result != -LSP_E_TIMEOUT &&
		 result != -LSP_E_CLOSED && result != -LSP_E_BUSY)
		abort();
}

struct counted_job {
	struct lsp_job job;
	struct tree *tree;
};

static void work_on_it(struct lsp_job *job)
{
	sched_yield();
}

static void job_done(struct lsp_job *job)
{
	struct counted_job *counted = lsp_container_of(job, struct counted_job, job);
	atomic_fetch_add(&counted->tree->counts.jobs_done, 1);
	lsp_cancel_unref(job->token);
	free(counted);
}

static void submit_a_job(struct tree *tree, struct lsp_cancel *token)
{
	struct counted_job *counted = calloc(1, sizeof *counted);
	counted->tree = tree;
	counted->job.work = work_on_it;
	counted->job.done = job_done;
	counted->job.token = lsp_cancel_ref(token);
	atomic_fetch_add(&tree->counts.jobs_accepted, 1);
	if (lsp_pool_submit(tree->pool, tree->loop, &counted->job, NULL) == 0)
		return;
	atomic_fetch_sub(&tree->counts.jobs_accepted, 1);
	lsp_cancel_unref(token);
	free(counted);
}

/* Two completions race; whoever waits sees one of them, and one of them is told it was late. */
static void complete_it(void *argument)
{
	lsp_answer_complete(argument, 0, NULL);
	lsp_answer_unref(argument);
}

static void race_an_answer(struct tree *tree, struct lsp_cancel *token, struct lsp_random *random)
{
	_cleanup_answer_ struct lsp_answer *answer = NULL;
	if (lsp_answer_new(&answer, NULL) < 0)
		abort();
	if (lsp_loop_post(tree->loop, complete_it, lsp_answer_ref(answer), NULL) < 0)
		lsp_answer_unref(answer);
	if (lsp_random_below(random, 2))
		lsp_answer_complete(answer, 0, NULL);
	int r = lsp_answer_wait(answer, token, &tree->clock->clock, soon(tree, random), NULL);
	lsp_answer_complete(answer, -LSP_E_FAILED, NULL);
	if (r == 0 && lsp_answer_settle(answer, NULL) != 0)
		atomic_fetch_add(&tree->counts.second_completions, 1);
}

static int follow_order(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct order order = *(struct order *)argument;
	struct tree *tree = order.tree;
	struct lsp_random random;
	free(argument);
	lsp_random_seed(&random, order.seed);
	atomic_fetch_add(&tree->counts.tasks_ran, 1);
	if (lsp_random_below(&random, 3) == 0)
		attach_a_guard(tree);
	switch (lsp_random_below(&random, 12)) {
	case 0:
		return lsp_error_set(err, "test", LSP_E_FAILED, "a random failure");
	case 1:
		lsp_cancel_wait(token, &tree->clock->clock, soon(tree, &random));
		break;
	case 2:
		lsp_cancel_wait(token, &tree->clock->clock, LSP_TIME_NEVER);
		break;
	case 3:
		note_call(tree, lsp_loop_call(tree->loop, count_call, tree, token,
					soon(tree, &random), err));
		break;
	case 4:
		note_call(tree, lsp_pool_call(tree->pool, count_pool_call, tree, token,
					soon(tree, &random), err));
		break;
	case 5:
		use_a_callback(tree, token, &random);
		break;
	case 6:
		for (uint64_t i = lsp_random_below(&random, 4); i && order.depth < 3; i--)
			spawn_one(tree, token, lsp_random_next(&random), order.depth + 1);
		break;
	case 7:
		post_something(tree, &random);
		break;
	case 8:
		submit_a_job(tree, token);
		break;
	case 9:
		race_an_answer(tree, token, &random);
		break;
	case 10:
		pthread_exit(NULL);
	default:
		break;
	}
	return lsp_cancel_check(token, err);
}

static void plant(struct tree *tree, struct lsp_random *random, struct lsp_cancel *tokens[TOKENS])
{
	for (int i = 0; i < TOKENS; i++) {
		struct lsp_cancel *parent =
			i ? tokens[lsp_random_below(random, (uint64_t)i)] : tree->runtime.root;
		assert_ok(lsp_cancel_new(parent, &tokens[i], ERR));
		spawn_one(tree, tokens[i], lsp_random_next(random), 0);
	}
}

static void shake(struct tree *tree, struct lsp_random *random, struct lsp_cancel *tokens[TOKENS])
{
	for (uint64_t steps = lsp_random_below(random, 8); steps; steps--) {
		uint64_t kind = 1 + lsp_random_below(random, LSP_CANCEL_KIND_COUNT - 1);
		switch (lsp_random_below(random, 3)) {
		case 0:
			lsp_cancel_request(tokens[lsp_random_below(random, TOKENS)],
				(enum lsp_cancel_kind)kind, "at random");
			break;
		case 1:
			lsp_fake_clock_advance(tree->clock, lsp_random_below(random, 30));
			break;
		default:
			sched_yield();
		}
	}
}

static void fell(struct tree *tree, struct lsp_random *random)
{
	struct lsp_tasks *tasks = tree->runtime.tasks;
	/* One in four runs into the deadline with its tasks still waiting. */
	if (lsp_random_below(random, 4) == 0)
		(void)!lsp_tasks_join_all(tasks, lsp_now(&tree->clock->clock), NULL, NULL);
	else
		lsp_cancel_request(tree->runtime.root, LSP_CANCEL_USER, NULL);
	assert_ok(lsp_tasks_join_all(tasks, LSP_TIME_NEVER, NULL, ERR));
	assert_int_equal(lsp_tasks_count(tasks), 0);
}

static int have_a_turn(void *argument, struct lsp_error *err)
{
	return 0;
}

/* What loop and pool still have of this tree is done after this. */
static void drain(struct tree *tree)
{
	while (atomic_load(&tree->counts.jobs_done) != atomic_load(&tree->counts.jobs_accepted))
		sched_yield();
	assert_ok(lsp_loop_call(tree->loop, have_a_turn, NULL, NULL, LSP_TIME_NEVER, ERR));
}

static void assert_even(const struct counts *counts)
{
	assert_int_equal(counts->tasks_started, counts->tasks_ran);
	assert_int_equal(counts->guards_attached, counts->guards_released);
	assert_int_equal(
		counts->callbacks_registered, counts->callbacks_ran + counts->callbacks_withdrawn);
	assert_int_equal(counts->posts_accepted, counts->posts_ran);
	assert_int_equal(counts->jobs_accepted, counts->jobs_done);
	assert_int_equal(counts->calls_ran, counts->calls_returned);
	assert_int_equal(counts->second_completions, 0);
}

static void random_trees_lose_nothing_double_nothing_and_never_hang(void **state)
{
	int trees = full_counts() ? 10000 : SANITIZED ? 300 : 1000;
	uint64_t seed = first_seed();
	struct lsp_fake_clock clock;
	struct runtime ground;
	struct lsp_loop *loop;
	struct lsp_pool *pool;
	print_message("seed %llu, %d trees\n", (unsigned long long)seed, trees);
	lsp_fake_clock_init(&clock);
	runtime_init(&ground, &clock.clock);
	assert_ok(lsp_loop_start(ground.tasks, "loop", &loop, ERR));
	assert_ok(lsp_pool_new(ground.tasks, "pool", 2, 8, &pool, ERR));
	size_t descriptors = open_descriptors();
	for (int i = 0; i < trees; i++) {
		struct tree tree = {.clock = &clock, .loop = loop, .pool = pool};
		struct lsp_cancel *tokens[TOKENS];
		struct lsp_random random;
		lsp_random_seed(&random, seed + (uint64_t)i);
		runtime_init(&tree.runtime, &clock.clock);
		plant(&tree, &random, tokens);
		shake(&tree, &random, tokens);
		fell(&tree, &random);
		drain(&tree);
		for (int j = 0; j < TOKENS; j++)
			lsp_cancel_unref(tokens[j]);
		runtime_done(&tree.runtime);
		assert_even(&tree.counts);
	}
	assert_int_equal(open_descriptors(), descriptors);
	lsp_pool_free(pool);
	assert_ok(lsp_loop_stop(loop, LSP_TIME_NEVER, ERR));
	lsp_loop_unref(loop);
	runtime_done(&ground);
}

/* ---- A million short tasks --------------------------------------------------------------- */

static size_t resident_pages(void)
{
	unsigned long size = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	assert_int_equal(fscanf(file, "%lu %lu", &size, &resident), 2);
	fclose(file);
	return resident;
}

static int end_at_once(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	atomic_fetch_add((atomic_int *)argument, 1);
	return 0;
}

static void run_short_tasks(struct lsp_tasks *tasks, int count, atomic_int *ran)
{
	for (int i = 0; i < count; i++) {
		while (lsp_tasks_count(tasks) >= 16)
			sched_yield();
		assert_ok(
			lsp_tasks_spawn(tasks, "short", LSP_TASK_RPC, end_at_once, ran, NULL, ERR));
	}
	while (lsp_tasks_count(tasks))
		sched_yield();
}

static void run_short_activities(struct lsp_tasks *tasks, int count)
{
	for (int i = 0; i < count; i++) {
		struct lsp_task *task;
		assert_ok(lsp_tasks_begin(tasks, "peer", LSP_TASK_CONNECTION, NULL, &task, ERR));
		lsp_task_end(task, 0, NULL);
	}
}

static void a_million_short_tasks_leave_memory_flat(void **state)
{
	int threads = full_counts() ? 1000000 : SANITIZED ? 5000 : 100000;
	int activities = SANITIZED ? 50000 : 1000000, warm_up = threads / 10;
	struct runtime runtime;
	atomic_int ran = 0;
	runtime_init(&runtime, NULL);
	run_short_tasks(runtime.tasks, warm_up, &ran);
	run_short_activities(runtime.tasks, activities / 10);
	size_t before = resident_pages();
	run_short_tasks(runtime.tasks, threads, &ran);
	run_short_activities(runtime.tasks, activities);
	size_t after = resident_pages();
	assert_int_equal(ran, threads + warm_up);
	long growth = ((long)after - (long)before) * sysconf(_SC_PAGESIZE) / 1024;
	print_message("%d threads and %d activities: %ld KiB more\n", threads, activities, growth);
	if (!SANITIZED)
		assert_true(growth < 1024);
	runtime_done(&runtime);
}

/* ---- From cancel to return --------------------------------------------------------------- */

enum wait_kind {
	TOKEN_WAIT,
	TASK_WAIT,
	CHILD_READ,
	CHILD_WRITE,
	CHILD_WAIT,
	CHILD_KILLED,
	LOOP_CALL,
	POOL_CALL,
	WAIT_KINDS
};

static const char *const wait_names[WAIT_KINDS] = {"token wait", "task wait", "child read",
	"child write", "child wait", "child's own cancel", "loop call", "pool call"};

struct waits {
	struct lsp_fake_clock clock; /* stands still: no deadline ends a wait */
	struct runtime runtime;
	struct lsp_loop *loop; /* both are busy, so that calls wait */
	struct lsp_pool *pool;
	struct gate loop_busy, pool_busy, may_end;
	struct lsp_task *forever;
};

struct sample {
	struct waits *waits;
	enum wait_kind kind;
	struct lsp_child *child;
	struct gate began;
	pid_t tid;
	lsp_time returned;
};

static void be_busy_on_the_loop(void *argument)
{
	struct waits *waits = argument;
	gate_open(&waits->loop_busy);
	gate_pass(&waits->may_end);
}

static int be_busy_in_the_pool(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct waits *waits = argument;
	gate_open(&waits->pool_busy);
	gate_pass(&waits->may_end);
	return 0;
}

static int be_busy_for_ever(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct waits *waits = argument;
	return lsp_pool_call(waits->pool, be_busy_in_the_pool, waits, NULL, LSP_TIME_NEVER, err);
}

static int write_for_ever(struct sample *sample, struct lsp_cancel *token, struct lsp_error *err)
{
	static const char zeros[65536];
	int r = 0;
	while (r == 0)
		r = lsp_child_write(sample->child, zeros, sizeof zeros, token, LSP_TIME_NEVER, err);
	return r;
}

static int wait_somehow(struct sample *sample, struct lsp_cancel *token, struct lsp_error *err)
{
	struct waits *waits = sample->waits;
	char byte;
	size_t got;
	switch (sample->kind) {
	case TOKEN_WAIT:
		return !lsp_cancel_wait(token, NULL, LSP_TIME_NEVER);
	case TASK_WAIT:
		return lsp_task_wait(waits->forever, token, NULL, LSP_TIME_NEVER, err);
	case CHILD_READ:
		return lsp_child_read(sample->child, &byte, 1, token, LSP_TIME_NEVER, &got, err);
	case CHILD_WRITE:
		return write_for_ever(sample, token, err);
	case CHILD_WAIT:
		return lsp_child_wait(sample->child, token, LSP_TIME_NEVER, err);
	case CHILD_KILLED: /* its own token is cancelled; this call has none */
		return lsp_child_finish(sample->child, err);
	case LOOP_CALL:
		return lsp_loop_call(waits->loop, have_a_turn, NULL, token, LSP_TIME_NEVER, err);
	default:
		return lsp_pool_call(
			waits->pool, be_busy_in_the_pool, waits, token, LSP_TIME_NEVER, err);
	}
}

static int take_sample(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct sample *sample = argument;
	sample->tid = gettid();
	gate_open(&sample->began);
	(void)!wait_somehow(sample, token, err);
	sample->returned = lsp_now(lsp_clock_system);
	return 0;
}

/* Until the kernel says that the thread sleeps: then it is in its wait. */
static void await_sleep(pid_t tid)
{
	char path[64], text[512];
	snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
	for (int looks = 0; looks < 3;) {
		_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t size = read(fd, text, sizeof text - 1);
		text[size > 0 ? size : 0] = '\0';
		char *state = strrchr(text, ')');
		looks = state && state[2] == 'S' ? looks + 1 : 0;
		sched_yield();
	}
}

static void start_child(struct sample *sample, struct lsp_cancel *token)
{
	static const char *const argv[] = {"sleep", "1000", NULL};
	struct lsp_child_options options = {
		.argv = argv,
		.input = LSP_CHILD_PIPE,
		.output = LSP_CHILD_PIPE,
		.token = sample->kind == CHILD_KILLED ? token : NULL,
	};
	if (sample->kind >= CHILD_READ && sample->kind <= CHILD_KILLED)
		assert_ok(lsp_child_start(
			sample->waits->runtime.tasks, "sleep", &options, &sample->child, ERR));
}

static lsp_time cancel_to_return(struct waits *waits, enum wait_kind kind)
{
	struct sample sample = {.waits = waits, .kind = kind};
	_cleanup_cancel_ struct lsp_cancel *token = NULL;
	_cleanup_task_ struct lsp_task *task = NULL;
	gate_init(&sample.began);
	assert_ok(lsp_cancel_new(NULL, &token, ERR));
	start_child(&sample, token);
	assert_ok(lsp_tasks_spawn_below(waits->runtime.tasks, token, "waits", LSP_TASK_MAINTENANCE,
		take_sample, &sample, &task, ERR));
	gate_await(&sample.began);
	await_sleep(sample.tid);
	lsp_time cancelled = lsp_now(lsp_clock_system);
	lsp_cancel_request(token, LSP_CANCEL_USER, NULL);
	assert_ok(lsp_task_wait(task, NULL, NULL, fixture_limit(), ERR));
	lsp_child_free(sample.child);
	return sample.returned - cancelled;
}

static int by_size(const void *a, const void *b)
{
	lsp_time x = *(const lsp_time *)a, y = *(const lsp_time *)b;
	return x < y ? -1 : x > y;
}

struct bare {
	int fd;
	pid_t tid;
	struct gate began;
	lsp_time returned;
};

static int read_barely(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct bare *bare = argument;
	uint64_t count;
	bare->tid = gettid();
	gate_open(&bare->began);
	(void)!read(bare->fd, &count, sizeof count);
	bare->returned = lsp_now(lsp_clock_system);
	return 0;
}

/* What it costs here and now to wake a thread at all: a write to its descriptor, nothing of ours.
 */
static lsp_time write_to_return(struct waits *waits)
{
	struct bare bare = {.fd = eventfd(0, EFD_CLOEXEC)};
	_cleanup_task_ struct lsp_task *task = NULL;
	uint64_t one = 1;
	gate_init(&bare.began);
	assert_ok(lsp_tasks_spawn(waits->runtime.tasks, "reads", LSP_TASK_MAINTENANCE, read_barely,
		&bare, &task, ERR));
	gate_await(&bare.began);
	await_sleep(bare.tid);
	lsp_time written = lsp_now(lsp_clock_system);
	assert_int_equal(write(bare.fd, &one, sizeof one), sizeof one);
	assert_ok(lsp_task_wait(task, NULL, NULL, fixture_limit(), ERR));
	close(bare.fd);
	return bare.returned - written;
}

static void waits_init(struct waits *w)
{
	lsp_fake_clock_init(&w->clock);
	runtime_init(&w->runtime, &w->clock.clock);
	gate_init(&w->loop_busy);
	gate_init(&w->pool_busy);
	gate_init(&w->may_end);
	assert_ok(lsp_loop_start(w->runtime.tasks, "loop", &w->loop, ERR));
	assert_ok(lsp_pool_new(w->runtime.tasks, "pool", 1, 8, &w->pool, ERR));
	assert_ok(lsp_loop_post(w->loop, be_busy_on_the_loop, w, ERR));
	assert_ok(lsp_tasks_spawn(w->runtime.tasks, "forever", LSP_TASK_MAINTENANCE,
		be_busy_for_ever, w, &w->forever, ERR));
	gate_await(&w->loop_busy);
	gate_await(&w->pool_busy);
}

static void waits_done(struct waits *w)
{
	gate_open(&w->may_end);
	lsp_pool_free(w->pool);
	assert_ok(lsp_loop_stop(w->loop, LSP_TIME_NEVER, ERR));
	lsp_loop_unref(w->loop);
	lsp_task_unref(w->forever);
	runtime_done(&w->runtime);
}

/*
 * The bound is 10 ms. Others that keep the machine busy can only add to it: a kind has three rounds
 * to stay below. Where it does not, and even a bare wake up needs a millisecond, what four of those
 * take comes on top (a child's end has so many).
 */
static lsp_time p99_of(lsp_time *times, size_t samples)
{
	qsort(times, samples, sizeof times[0], by_size);
	return times[samples * 99 / 100];
}

#define SAMPLES_MAX 1000

static bool wait_is_quick(struct waits *waits, enum wait_kind kind, size_t samples, bool last)
{
	static lsp_time times[SAMPLES_MAX], bare[SAMPLES_MAX];
	for (size_t i = 0; i < samples; i++) {
		times[i] = cancel_to_return(waits, kind);
		bare[i] = write_to_return(waits);
	}
	lsp_time p99 = p99_of(times, samples), bare99 = p99_of(bare, samples);
	print_message("%-20s median %6.3f ms, 99th percentile %6.3f ms, most %6.3f ms "
		      "(a bare wake up: 99th percentile %.3f ms)\n",
		wait_names[kind], (double)times[samples / 2] / 1e6, (double)p99 / 1e6,
		(double)times[samples - 1] / 1e6, (double)bare99 / 1e6);
	lsp_time allowed = 10 * LSP_MILLISECOND;
	if (last && bare99 > LSP_MILLISECOND)
		allowed += 4 * bare99;
	return p99 <= allowed;
}

static void from_cancel_to_return_every_wait_takes_10_ms_at_most(void **state)
{
	size_t samples = full_counts() ? SAMPLES_MAX : SANITIZED ? 30 : 200;
	struct waits waits;
	waits_init(&waits);
	for (int kind = 0; kind < WAIT_KINDS; kind++) {
		bool quick = false;
		for (int round = 0; round < 3 && !quick; round++)
			quick = wait_is_quick(&waits, (enum wait_kind)kind, samples, round == 2) ||
				SANITIZED;
		assert_true(quick);
	}
	waits_done(&waits);
}

int main(void)
{
	alarm(full_counts() ? 1800 : 300); /* a join that hangs ends the test */
	lsp_log_set_sink(swallow, NULL);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_trees_lose_nothing_double_nothing_and_never_hang),
		cmocka_unit_test(a_million_short_tasks_leave_memory_flat),
		cmocka_unit_test(from_cancel_to_return_every_wait_takes_10_ms_at_most),
	};
	return cmocka_run_group_tests_name("task/stress", tests, NULL, NULL);
}
