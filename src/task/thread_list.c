/*
 * What is running: the registry's own entries, and the threads of the process that nobody spawned
 * here. To tell those apart while threads come and go, our tids are collected before and after
 * /proc is read, the second time waiting for every new thread of ours to have written its tid.
 */
#include "base/text.h"
#include "task/registry_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static enum lsp_task_state state_of(const struct lsp_task *task)
{
	if (task->interrupted)
		return LSP_TASK_INTERRUPTED;
	return lsp_cancel_requested(task->token) ? LSP_TASK_STOPPING : LSP_TASK_RUNNING;
}

static void wait_for_tids(struct lsp_tasks *tasks)
{
	for (struct lsp_task *task = tasks->first; task;) {
		if (task->tid) {
			task = task->next;
			continue;
		}
		pthread_cond_wait(&tasks->started, &tasks->lock);
		task = tasks->first;
	}
}

int lsp_tasks_snapshot(struct lsp_tasks *tasks, struct lsp_task_info **ret_infos, size_t *ret_count,
	struct lsp_error *err)
{
	lsp_time now = lsp_now(tasks->clock);
	size_t count = 0;
	pthread_mutex_lock(&tasks->lock);
	wait_for_tids(tasks);
	for (struct lsp_task *task = tasks->first; task; task = task->next)
		count++;
	struct lsp_task_info *infos = calloc(count + 1, sizeof *infos), *info = infos;
	for (struct lsp_task *task = tasks->first; infos && task; task = task->next) {
		if (task->leaving)
			continue;
		memcpy(info->name, task->name, sizeof info->name);
		info->kind = task->kind;
		info->state = state_of(task);
		info->age = lsp_time_left(task->since, now);
		info->tid = task->tid;
		info->activity = task->form == LSP_TASK_ACTIVITY;
		info++;
	}
	pthread_mutex_unlock(&tasks->lock);
	if (!infos)
		return lsp_error_no_memory(err, "task");
	*ret_count = (size_t)(info - infos);
	*ret_infos = infos;
	return 0;
}

size_t lsp_tasks_count(struct lsp_tasks *tasks)
{
	pthread_mutex_lock(&tasks->lock);
	size_t running = tasks->running;
	pthread_mutex_unlock(&tasks->lock);
	return running;
}

/* ---- Foreign threads --------------------------------------------------------------------- */

struct tids {
	pid_t *list;
	size_t count, capacity;
};

static void tids_done(struct tids *tids)
{
	free(tids->list);
}

static int add_tid(struct tids *tids, pid_t tid, struct lsp_error *err)
{
	if (tids->count == tids->capacity) {
		size_t wanted = LSP_MAX(2 * tids->capacity, (size_t)64);
		pid_t *list = reallocarray(tids->list, wanted, sizeof *list);
		if (!list)
			return lsp_error_no_memory(err, "task");
		tids->list = list;
		tids->capacity = wanted;
	}
	tids->list[tids->count++] = tid;
	return 0;
}

static bool has_tid(const struct tids *tids, pid_t tid)
{
	for (size_t i = 0; i < tids->count; i++)
		if (tids->list[i] == tid)
			return true;
	return false;
}

static int add_tids_of(struct lsp_tasks *tasks, struct tids *tids, struct lsp_error *err)
{
	int r = 0;
	pthread_mutex_lock(&tasks->lock);
	wait_for_tids(tasks);
	for (struct lsp_task *task = tasks->first; task && r == 0; task = task->next)
		if (task->form != LSP_TASK_ACTIVITY)
			r = add_tid(tids, task->tid, err);
	pthread_mutex_unlock(&tasks->lock);
	return r;
}

static int add_our_tids(struct tids *tids, struct lsp_error *err)
{
	int r = 0;
	pthread_mutex_lock(&lsp_registries.lock);
	for (struct lsp_tasks *at = lsp_registries.first; at && r == 0; at = at->next_registry)
		r = add_tids_of(at, tids, err);
	pthread_mutex_unlock(&lsp_registries.lock);
	return r;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int add_process_tids(struct tids *tids, struct lsp_error *err)
{
	_cleanup_(close_dir) DIR *dir = opendir("/proc/self/task");
	if (!dir)
		return lsp_error_errno(err, "task", errno, "cannot open \"/proc/self/task\"");
	struct dirent *entry;
	int r = 0;
	while (r == 0 && (entry = readdir(dir))) {
		uint64_t tid;
		if (lsp_text_to_u64(entry->d_name, &tid, NULL) == 0)
			r = add_tid(tids, (pid_t)tid, err);
	}
	return r;
}

/* The thread's name; false when it is gone. */
static bool read_name(pid_t tid, char name[LSP_TASK_NAME_MAX])
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/task/%d/comm", (int)tid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, name, LSP_TASK_NAME_MAX - 1);
	if (size <= 0)
		return false;
	name[size] = '\0';
	name[strcspn(name, "\n")] = '\0';
	return true;
}

/* The full name of the task whose thread has this name. */
static void find_owner(struct lsp_tasks *tasks, struct lsp_task_info *info)
{
	pthread_mutex_lock(&tasks->lock);
	for (struct lsp_task *task = tasks->first; task; task = task->next)
		if (task->form == LSP_TASK_THREAD && strncmp(task->name, info->name, 15) == 0)
			memcpy(info->owner, task->name, sizeof info->owner);
	pthread_mutex_unlock(&tasks->lock);
}

int lsp_tasks_foreign(struct lsp_tasks *tasks, struct lsp_task_info **ret_infos, size_t *ret_count,
	struct lsp_error *err)
{
	_cleanup_(tids_done) struct tids ours = {0}, all = {0};
	int r = add_our_tids(&ours, err);
	if (r == 0)
		r = add_process_tids(&all, err);
	if (r == 0)
		r = add_our_tids(&ours, err);
	if (r < 0)
		return r;
	struct lsp_task_info *infos = calloc(all.count + 1, sizeof *infos);
	if (!infos)
		return lsp_error_no_memory(err, "task");
	size_t count = 0;
	for (size_t i = 0; i < all.count; i++) {
		struct lsp_task_info *info = &infos[count];
		if (has_tid(&ours, all.list[i]) || !read_name(all.list[i], info->name))
			continue;
		info->kind = LSP_TASK_FOREIGN;
		info->tid = all.list[i];
		find_owner(tasks, info);
		count++;
	}
	*ret_infos = infos;
	*ret_count = count;
	return 0;
}
