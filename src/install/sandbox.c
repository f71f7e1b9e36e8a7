#include "install/sandbox.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define DOMAIN "install"

/* ---- Landlock ---- */

/*
 * The kernel's names for what came after the headers that Debian 12 ships (Linux 6.1: version 2 and
 * the struct's first field alone). The numbers are ABI: Documentation/userspace-api/landlock.rst.
 */
struct ruleset_attr {
	uint64_t handled_access_fs;
	uint64_t handled_access_net; /* version 4 */
	uint64_t scoped;             /* version 6 */
};

#define FS_EXECUTE (1u << 0)
#define FS_WRITE_FILE (1u << 1)
#define FS_READ_FILE (1u << 2)
#define FS_READ_DIR (1u << 3)
#define FS_REMOVE_DIR (1u << 4)
#define FS_REMOVE_FILE (1u << 5)
#define FS_MAKE_DIR (1u << 7)
#define FS_MAKE_REG (1u << 8)
#define FS_MAKE_SYM (1u << 12)
#define FS_VERSION_1 ((1u << 13) - 1)
#define FS_REFER (1u << 13)     /* version 2 */
#define FS_TRUNCATE (1u << 14)  /* version 3 */
#define FS_IOCTL_DEV (1u << 15) /* version 5 */
#define NET_ALL 3u              /* bind and connect by TCP */
#define SCOPE_ALL 3u            /* abstract Unix sockets, signals */

static int allow_below(int ruleset, int fd, uint64_t access)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};
	return (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

static int allow_path(int ruleset, const char *path, uint64_t access)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0) /* not on this machine */
		return errno == ENOENT ? 0 : -1;
	struct stat st;
	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		access &= FS_READ_FILE | FS_WRITE_FILE | FS_EXECUTE;
	return allow_below(ruleset, fd, access);
}

static int allow_foreign(int ruleset, const char *readable)
{
	static const char *const programs[] = {
		"/usr", "/bin", "/lib", "/lib32", "/lib64", "/opt", "/etc", "/nix", "/gnu"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(programs); i++)
		if (allow_path(ruleset, programs[i], FS_READ_FILE | FS_READ_DIR | FS_EXECUTE) < 0)
			return -1;
	if (allow_path(ruleset, "/dev/null", FS_READ_FILE | FS_WRITE_FILE) < 0 ||
		allow_path(ruleset, "/dev/urandom", FS_READ_FILE) < 0 ||
		allow_path(ruleset, "/proc/self", FS_READ_FILE | FS_READ_DIR) < 0)
		return -1;
	return readable ? allow_path(ruleset, readable, FS_READ_FILE | FS_READ_DIR) : 0;
}

static int landlock(const struct lsp_sandbox *sandbox, int *ret_version, struct lsp_error *err)
{
	int version =
		(int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version <= 0) { /* the kernel has none, or it is switched off */
		*ret_version = 0;
		return 0;
	}
	struct ruleset_attr attr = {.handled_access_fs = FS_VERSION_1};
	attr.handled_access_fs |= version >= 2 ? FS_REFER : 0;
	attr.handled_access_fs |= version >= 3 ? FS_TRUNCATE : 0;
	attr.handled_access_fs |= version >= 5 ? FS_IOCTL_DEV : 0;
	attr.handled_access_net = version >= 4 ? NET_ALL : 0;
	attr.scoped = version >= 6 ? SCOPE_ALL : 0;
	size_t size = version >= 6 ? sizeof attr : version >= 4 ? 16 : 8;
	_cleanup_close_ int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	uint64_t write = FS_WRITE_FILE | FS_READ_FILE | FS_READ_DIR | FS_REMOVE_DIR |
			 FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG | FS_MAKE_SYM | FS_REFER |
			 FS_TRUNCATE;
	if (ruleset < 0 ||
		(sandbox->target_fd >= 0 && allow_below(ruleset, sandbox->target_fd,
						    write & attr.handled_access_fs) < 0) ||
		(sandbox->foreign && allow_foreign(ruleset, sandbox->readable) < 0) ||
		syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return lsp_error_errno(err, DOMAIN, errno, "cannot enter the sandbox (Landlock)");
	*ret_version = version;
	return 0;
}

/* ---- seccomp ---- */

/* clang-format off */
/* What libarchive, its decoders, the C library and extract.c need. */
static const int allowed[] = {
	SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(writev),
	SCMP_SYS(pwrite64), SCMP_SYS(lseek), SCMP_SYS(close), SCMP_SYS(fcntl), SCMP_SYS(dup),
	SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(statx),
	SCMP_SYS(fstatfs), SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(getdents64),
	SCMP_SYS(readlinkat), SCMP_SYS(mkdirat), SCMP_SYS(unlinkat), SCMP_SYS(symlinkat),
	SCMP_SYS(ftruncate), SCMP_SYS(fchmod), SCMP_SYS(utimensat), SCMP_SYS(sync_file_range),
	SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect),
	SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(futex), SCMP_SYS(getrandom),
	SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getpid),
	SCMP_SYS(gettid), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(sysinfo),
	SCMP_SYS(uname), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(tgkill),
	SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(membarrier),
	SCMP_SYS(rseq), SCMP_SYS(set_robust_list), SCMP_SYS(_llseek), SCMP_SYS(fstat64),
	SCMP_SYS(fstatat64), SCMP_SYS(mmap2), SCMP_SYS(fcntl64), SCMP_SYS(ftruncate64),
	SCMP_SYS(clock_gettime64), SCMP_SYS(futex_time64), SCMP_SYS(utimensat_time64),
};

/* What no tool needs to take an archive apart. */
static const int forbidden[] = {
	SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen),
	SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(sendto), SCMP_SYS(sendmsg),
	SCMP_SYS(sendmmsg), SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_getfd), SCMP_SYS(kcmp), SCMP_SYS(mount),
	SCMP_SYS(umount2), SCMP_SYS(move_mount), SCMP_SYS(open_tree), SCMP_SYS(fsopen),
	SCMP_SYS(fsmount), SCMP_SYS(mount_setattr), SCMP_SYS(pivot_root), SCMP_SYS(chroot),
	SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(keyctl), SCMP_SYS(add_key),
	SCMP_SYS(request_key), SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd),
	SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(reboot), SCMP_SYS(swapon),
	SCMP_SYS(swapoff), SCMP_SYS(settimeofday), SCMP_SYS(clock_settime),
	SCMP_SYS(clock_adjtime), SCMP_SYS(adjtimex), SCMP_SYS(sethostname),
	SCMP_SYS(setdomainname), SCMP_SYS(acct), SCMP_SYS(quotactl), SCMP_SYS(mknod),
	SCMP_SYS(mknodat), SCMP_SYS(setxattr), SCMP_SYS(lsetxattr), SCMP_SYS(fsetxattr),
	SCMP_SYS(open_by_handle_at), SCMP_SYS(name_to_handle_at), SCMP_SYS(ioperm),
	SCMP_SYS(iopl), SCMP_SYS(kill), SCMP_SYS(tkill), SCMP_SYS(setuid), SCMP_SYS(setgid),
	SCMP_SYS(setreuid), SCMP_SYS(setregid), SCMP_SYS(setresuid), SCMP_SYS(setresgid),
};
/* clang-format on */

static int add_rules(scmp_filter_ctx filter, uint32_t action, const int *list, size_t count)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (list[i] == __NR_SCMP_ERROR)
			continue;
		r = seccomp_rule_add(filter, action, list[i], 0);
		if (r == -EDOM || r == -EINVAL) /* not on this architecture */
			r = 0;
	}
	return r;
}

static int restrict_calls(bool foreign, struct lsp_error *err)
{
	scmp_filter_ctx filter = seccomp_init(foreign ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM));
	if (!filter)
		return lsp_error_no_memory(err, DOMAIN);
	int r = foreign ? add_rules(filter, SCMP_ACT_ERRNO(EPERM), forbidden,
				  LSP_ARRAY_SIZE(forbidden))
			: add_rules(filter, SCMP_ACT_ALLOW, allowed, LSP_ARRAY_SIZE(allowed));
	if (r == 0 && !foreign)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, (scmp_datum_t)FICLONE));
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	if (r < 0)
		return lsp_error_errno(err, DOMAIN, -r, "cannot enter the sandbox (seccomp)");
	return 0;
}

/* ---- Limits ---- */

static int limit(int resource, uint64_t value)
{
	struct rlimit now;
	if (getrlimit((__rlimit_resource_t)resource, &now) < 0)
		return -1;
	rlim_t wanted = LSP_MIN((rlim_t)value, now.rlim_max);
	struct rlimit next = {wanted, wanted};
	return setrlimit((__rlimit_resource_t)resource, &next);
}

/* AddressSanitizer maps terabytes that it never touches. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHADOW_MEMORY true
#elif defined(__has_feature)
#define SHADOW_MEMORY (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SHADOW_MEMORY false
#endif

int lsp_sandbox_enter(const struct lsp_sandbox *sandbox, int *ret_landlock, struct lsp_error *err)
{
	if (limit(RLIMIT_CORE, 0) < 0 || limit(RLIMIT_NOFILE, 256) < 0 ||
		(sandbox->memory && !SHADOW_MEMORY && limit(RLIMIT_AS, sandbox->memory) < 0) ||
		(sandbox->file_size && limit(RLIMIT_FSIZE, sandbox->file_size) < 0))
		return lsp_error_errno(err, DOMAIN, errno, "cannot enter the sandbox (limits)");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return lsp_error_errno(err, DOMAIN, errno, "cannot give up new privileges");
	int r = landlock(sandbox, ret_landlock, err);
	return r < 0 ? r : restrict_calls(sandbox->foreign, err);
}
