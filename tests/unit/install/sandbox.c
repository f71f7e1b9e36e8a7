/*
 * What the sandbox of an unpacker leaves to whoever is in it. Each trial is a process of its own,
 * as a sandbox cannot be left: its exit status is the answer.
 */
#include "world.h"

#include "install/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sys/xattr.h>

enum answer { DONE, REFUSED, OTHER, NO_LANDLOCK, NO_SANDBOX };

/* errno of what was tried in the sandbox: 0 is done, EPERM and EACCES are refused. */
static enum answer in_sandbox(struct world *world, bool foreign, int (*try)(struct world *world))
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int landlock = 0;
		struct lsp_sandbox sandbox = {.target_fd = world->game_fd,
			.foreign = foreign,
			.memory = 256u << 20,
			.file_size = 1 << 20};
		if (lsp_sandbox_enter(&sandbox, &landlock, NULL) < 0)
			_exit(NO_SANDBOX);
		int tried = try(world);
		if (tried == 0 && !landlock)
			_exit(NO_LANDLOCK);
		_exit(tried == 0 ? DONE : tried == EPERM || tried == EACCES ? REFUSED : OTHER);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_not_equal(WEXITSTATUS(status), NO_SANDBOX);
	return (enum answer)WEXITSTATUS(status);
}

static int close_or_errno(int fd)
{
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int write_inside(struct world *world)
{
	int fd = openat(world->game_fd, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, "x", 1) != 1)
		return errno;
	close(fd);
	return 0;
}

static int write_beside(struct world *world)
{
	return close_or_errno(openat(world->root_fd, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
}

static int read_elsewhere(struct world *world)
{
	(void)world;
	return close_or_errno(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int open_socket(struct world *world)
{
	(void)world;
	return close_or_errno(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static int start_process(struct world *world)
{
	(void)world;
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : 0;
}

static int signal_parent(struct world *world)
{
	(void)world;
	return kill(getppid(), 0) < 0 ? errno : 0;
}

static int make_device(struct world *world)
{
	return mknodat(world->game_fd, "pipe", S_IFIFO | 0600, 0) < 0 ? errno : 0;
}

static int set_attribute(struct world *world)
{
	int fd = openat(world->game_fd, "new", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	int r = fsetxattr(fd, "user.a", "b", 1, 0) < 0 ? errno : 0;
	close(fd);
	return r;
}

/* With foreign programs only what no unpacker needs is refused; our own has what it needs. */
static void assert_refused(struct world *world, const char *what, int (*try)(struct world *world),
	bool by_landlock, bool foreign_too)
{
	for (int foreign = 0; foreign < (foreign_too ? 2 : 1); foreign++) {
		enum answer answer = in_sandbox(world, foreign, try);
		if (answer == NO_LANDLOCK && by_landlock)
			print_message("%s: this kernel has no Landlock\n", what);
		else if (answer != REFUSED)
			fail_msg("%s: %d", what, answer);
	}
}

static void what_an_unpacker_needs_works(void **state)
{
	enum answer answer = in_sandbox(*state, false, write_inside);
	assert_true(answer == DONE || answer == NO_LANDLOCK);
	answer = in_sandbox(*state, true, write_inside);
	assert_true(answer == DONE || answer == NO_LANDLOCK);
}

static void files_elsewhere_are_out_of_reach(void **state)
{
	assert_refused(*state, "a file beside the target", write_beside, true, true);
	assert_refused(*state, "a file of the system", read_elsewhere, true, false);
}

static void sockets_processes_signals_devices_and_attributes_are_refused(void **state)
{
	assert_refused(*state, "a socket", open_socket, false, true);
	assert_refused(*state, "another process", start_process, false, false);
	assert_refused(*state, "a signal", signal_parent, false, true);
	assert_refused(*state, "a FIFO", make_device, false, true);
	assert_refused(*state, "an attribute", set_attribute, false, true);
}

static int take_memory(struct world *world)
{
	(void)world;
	void *memory = mmap(
		NULL, (size_t)1 << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return memory == MAP_FAILED ? EPERM : 0;
}

static int dump_and_descriptors(struct world *world)
{
	struct rlimit core, files, size;
	(void)world;
	if (getrlimit(RLIMIT_CORE, &core) < 0 || getrlimit(RLIMIT_NOFILE, &files) < 0 ||
		getrlimit(RLIMIT_FSIZE, &size) < 0)
		return errno == EPERM ? 0 : errno;
	return core.rlim_max == 0 && files.rlim_max <= 256 && size.rlim_max == 1 << 20 ? 0 : EPERM;
}

static void memory_files_and_dumps_are_limited(void **state)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_int_equal(in_sandbox(*state, false, take_memory), REFUSED);
#else
	(void)take_memory; /* sanitizers need all of the address space */
#endif
	assert_int_not_equal(in_sandbox(*state, true, dump_and_descriptors), REFUSED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_an_unpacker_needs_works),
		TEST(files_elsewhere_are_out_of_reach),
		TEST(sockets_processes_signals_devices_and_attributes_are_refused),
		TEST(memory_files_and_dumps_are_limited),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
