/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/process.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"

#define PROGRAM_PATH "/usr/sbin:/usr/bin:/sbin:/bin"
#define DIFF_SECONDS 60

extern char **environ;

/* ---- Starting ------------------------------------------------------------------------ */

static bool is_program(const char *path)
{
  struct stat st;
  return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

/* Where the program is; NULL when it is nowhere.  malloc'ed. */
static char *find_program(const char *name)
{
  if (strchr(name, '/'))
    return *name == '/' && is_program(name) ? st_strdup(name) : NULL;
  for (const char *dir = PROGRAM_PATH; *dir;) {
    size_t n = strcspn(dir, ":");
    ST_AUTO_FREE char *path = st_format("%.*s/%s", (int)n, dir, name);
    if (is_program(path))
      return st_steal(&path);
    dir += n + (dir[n] == ':');
  }
  return NULL;
}

/* Signals as a program expects them: nothing ignored, nothing blocked, a group of its own. */
static int set_attributes(posix_spawnattr_t *attr, bool own_group)
{
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
  if (own_group)
    flags |= POSIX_SPAWN_SETPGROUP;
  int r = posix_spawnattr_setsigdefault(attr, &all);
  if (!r)
    r = posix_spawnattr_setsigmask(attr, &none);
  if (!r)
    r = posix_spawnattr_setpgroup(attr, 0);
  return r ? r : posix_spawnattr_setflags(attr, flags);
}

#define EXTRA 2 /* descriptors besides 0 to 2; -1: none */

/* What is open in the child: nothing, our pipe, nothing, and perhaps two more as 3 and 4. */
static int set_files(posix_spawn_file_actions_t *files, int out, const int extra[EXTRA])
{
  int r = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);
  if (!r)
    r = posix_spawn_file_actions_adddup2(files, out, 1);
  if (!r)
    r = posix_spawn_file_actions_addopen(files, 2, "/dev/null", O_WRONLY, 0);
  int next = 3;
  for (; !r && extra && next < 3 + EXTRA && extra[next - 3] >= 0; next++)
    r = posix_spawn_file_actions_adddup2(files, extra[next - 3], next);
#if __GLIBC_PREREQ(2, 34) /* what a library left open without close-on-exec */
  if (!r)
    r = posix_spawn_file_actions_addclosefrom_np(files, next);
#endif
  return r;
}

/* Returns 0 or an errno value. */
static int spawn(pid_t *ret, const char *path, char *const argv[], int out, const int extra[EXTRA])
{
  static char *const environment[] = {"PATH=" PROGRAM_PATH, "LC_ALL=C", "LANG=C", NULL};
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attr;
  int r = posix_spawn_file_actions_init(&files);
  if (r)
    return r;
  r = posix_spawnattr_init(&attr);
  if (!r) {
    r = set_files(&files, out, extra);
    if (!r)
      r = set_attributes(&attr, true);
    if (!r)
      r = posix_spawn(ret, path, &files, &attr, argv, environment);
    posix_spawnattr_destroy(&attr);
  }
  posix_spawn_file_actions_destroy(&files);
  return r;
}

/* ---- Waiting --------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits for the descriptor until the deadline (0: none).  1 ready, 0 too late, -1 errno. */
static int wait_for(int fd, int64_t deadline)
{
  for (;;) {
    int64_t left = deadline ? deadline - now_ms() : -1;
    if (deadline && left <= 0)
      return 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int r = poll(&p, 1, left > INT_MAX ? INT_MAX : (int)left);
    if (r > 0)
      return 1;
    if (r < 0 && errno != EINTR)
      return -1;
  }
}

static int too_late(const char *name, struct st_error *err)
{
  return st_fail(err, 0, "%s took too long and was ended", st_quote(name));
}

/* Reads what it prints, to the end. */
static int collect(int fd, const char *name, size_t max, int64_t deadline, struct st_buffer *out,
                   struct st_error *err)
{
  for (;;) {
    int r = wait_for(fd, deadline);
    if (!r)
      return too_late(name, err);
    st_buffer_reserve(out, 65536);
    ssize_t n = r < 0 ? -1 : read(fd, out->data + out->length, 65536);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return st_fail(err, errno, "cannot read what %s prints", st_quote(name));
    if (!n)
      return 0;
    if ((size_t)n > max - out->length)
      return st_fail(err, 0, "%s printed more than %zu bytes", st_quote(name), max);
    out->length += (size_t)n;
    out->data[out->length] = 0;
  }
}

/* Its end, which may come long after it closed its output. */
static int await_end(pid_t pid, const char *name, int64_t deadline, struct st_error *err)
{
  ST_AUTO_CLOSE int fd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (fd < 0)
    return st_fail(err, errno, "cannot wait for %s", st_quote(name));
  int r = wait_for(fd, deadline);
  if (r < 0)
    return st_fail(err, errno, "cannot wait for %s", st_quote(name));
  return r ? 0 : too_late(name, err);
}

/* The exit status, 128 + N for a signal, or -1. */
static int reap(pid_t pid)
{
  int status;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR)
      return -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Takes what it prints until it ends; past the deadline it is killed, with its group. */
static int finish(pid_t pid, int from, const char *name, size_t max, int64_t deadline,
                  struct st_buffer *out, struct st_error *err)
{
  int r = collect(from, name, max, deadline, out, err);
  if (!r)
    r = await_end(pid, name, deadline, err);
  if (r < 0)
    kill(-pid, SIGKILL);
  int status = reap(pid);
  if (r < 0)
    return -1;
  return status < 0 ? st_fail(err, errno, "cannot wait for %s", st_quote(name)) : status;
}

static int64_t deadline_in(unsigned seconds)
{
  return seconds ? now_ms() + (int64_t)seconds * 1000 : 0;
}

/* Starts it; `*ret_from`: what it prints.  `program`: where it is, or its name.  `extra`:
 * descriptors of 10 or more that it gets as 3 and 4, or NULL. */
static int start(const char *program, char *const argv[], const int extra[EXTRA], pid_t *ret,
                 int *ret_from, struct st_error *err)
{
  const char *name = argv[0];
  ST_AUTO_FREE char *path = find_program(program);
  if (!path) {
    st_fail(err, ENOENT, "cannot run %s", st_quote(name));
    return -ENOENT;
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0)
    return st_fail(err, errno, "cannot run %s", st_quote(name));
  ST_AUTO_CLOSE int from = ends[0];
  int r = spawn(ret, path, argv, ends[1], extra);
  close(ends[1]);
  if (r)
    return st_fail(err, r, "cannot run %s", st_quote(name));
  *ret_from = st_steal_fd(&from);
  return 0;
}

/* Runs it to its end; see st_run. */
static int run(const char *program, char *const argv[], const int extra[EXTRA], size_t max,
               unsigned seconds, struct st_buffer *out, struct st_error *err)
{
  int64_t deadline = deadline_in(seconds);
  ST_AUTO_CLOSE int from = -1;
  pid_t pid;
  int r = start(program, argv, extra, &pid, &from, err);
  return r < 0 ? r : finish(pid, from, argv[0], max, deadline, out, err);
}

int st_run(char *const argv[], size_t max, unsigned seconds, char **ret, size_t *length,
           struct st_error *err)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  int status = run(argv[0], argv, NULL, max, seconds, &out, err);
  if (status >= 0)
    *ret = st_buffer_steal(&out, length);
  return status;
}

int st_run_with(const char *path, char *const argv[], int fd, size_t max, unsigned seconds,
                char **ret, size_t *length, struct st_error *err)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  ST_AUTO_CLOSE int high = fcntl(fd, F_DUPFD_CLOEXEC, 10);
  if (high < 0)
    return st_fail(err, errno, "cannot run %s", st_quote(argv[0]));
  int status = run(path, argv, (int[]){high, -1}, max, seconds, &out, err);
  if (status >= 0)
    *ret = st_buffer_steal(&out, length);
  return status;
}

int st_run_to(const char *path, char *const argv[], int fd, int out_fd, size_t max,
              unsigned seconds, char **ret, size_t *length, struct st_error *err)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  ST_AUTO_CLOSE int first = fcntl(fd, F_DUPFD_CLOEXEC, 10);
  ST_AUTO_CLOSE int second = fcntl(out_fd, F_DUPFD_CLOEXEC, 10);
  if (first < 0 || second < 0)
    return st_fail(err, errno, "cannot run %s", st_quote(argv[0]));
  int status = run(path, argv, (int[]){first, second}, max, seconds, &out, err);
  if (status >= 0)
    *ret = st_buffer_steal(&out, length);
  return status;
}

/* ---- In another root --------------------------------------------------------------------- */

/* Of an ELF program: its class and machine; false: it is none, a script for example. */
static bool read_machine(int fd, unsigned *ret_class, unsigned *ret_machine)
{
  unsigned char h[20];
  if (pread(fd, h, sizeof(h), 0) != (ssize_t)sizeof(h) || memcmp(h, ELFMAG, SELFMAG) != 0)
    return false;
  *ret_class = h[EI_CLASS];
  *ret_machine = h[EI_DATA] == ELFDATA2MSB ? h[18] << 8 | h[19] : h[19] << 8 | h[18];
  return true;
}

static const char *machine_name(unsigned machine)
{
  static const struct {
    unsigned machine;
    const char *name;
  } names[] = {{EM_386, "i386"},       {EM_X86_64, "x86_64"}, {EM_ARM, "arm"},
               {EM_AARCH64, "arm64"},  {EM_RISCV, "riscv"},   {EM_PPC64, "ppc64"},
               {EM_S390, "s390"},      {EM_MIPS, "mips"},     {EM_PPC, "powerpc"},
               {EM_SPARCV9, "sparc64"}};
  for (size_t i = 0; i < ST_COUNT(names); i++)
    if (names[i].machine == machine)
      return names[i].name;
  return "an unknown machine";
}

/* Also where the kernel would emulate it: a restore by an emulator is none that was tested. */
static int check_machine(int fd, const char *name, struct st_error *err)
{
  unsigned class, machine, own_class, own;
  ST_AUTO_CLOSE int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (self < 0 || !read_machine(self, &own_class, &own) || !read_machine(fd, &class, &machine))
    return 0;
  if ((class == own_class && machine == own) || (own == EM_X86_64 && machine == EM_386))
    return 0;
  return st_fail(err, 0, "cannot run %s of the other root: it is for %s, this machine is %s",
                 st_quote(name), machine_name(machine), machine_name(own));
}

static bool is_program_in(int root, const char *path, int *ret)
{
  struct stat st;
  *ret = st_open_in(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
  if (*ret < 0)
    return false;
  if (!fstat(*ret, &st) && S_ISREG(st.st_mode) && (st.st_mode & 0111))
    return true;
  close(*ret);
  return false;
}

/* As find_program, below the root; -ENOENT: nowhere. */
static int find_in(int root, const char *name, char **ret, struct st_error *err)
{
  for (const char *dir = *name == '/' ? ":" : PROGRAM_PATH; *dir;) {
    size_t n = strcspn(dir, ":");
    ST_AUTO_FREE char *path =
        *name == '/' ? st_strdup(name) : st_format("%.*s/%s", (int)n, dir, name);
    ST_AUTO_CLOSE int fd = -1;
    if (is_program_in(root, path, &fd)) {
      *ret = st_steal(&path);
      return check_machine(fd, name, err);
    }
    dir += n + (dir[n] == ':');
  }
  st_fail(err, ENOENT, "cannot run %s of the other root", st_quote(name));
  return -ENOENT;
}

/* What the child is to do, made ready before the fork: behind it only system calls are made. */
struct entry_of_root {
  int root, out, trouble; /* `trouble`: where a struct trouble goes; closed by execve */
  const char *folder;     /* the root's path; checked against `root` */
  const char *path;       /* of the program, within the root */
  char *const *argv;
};

enum step { STEP_NAMESPACE, STEP_FOLDER, STEP_CHROOT, STEP_PROC, STEP_DEV, STEP_FILES, STEP_EXEC };

struct trouble {
  enum step step;
  int code; /* errno */
};

/* The path may have been moved since the descriptor was opened. */
static int enter_folder(const struct entry_of_root *e)
{
  struct stat here, wanted;
  if (chdir(e->folder) < 0 || stat(".", &here) < 0 || fstat(e->root, &wanted) < 0)
    return -1;
  if (here.st_dev == wanted.st_dev && here.st_ino == wanted.st_ino)
    return 0;
  errno = ESTALE;
  return -1;
}

/* A root without the folder has no use for it. */
static int mount_proc(void)
{
  struct stat st;
  if (stat("/proc/self", &st) == 0 || stat("/proc", &st) < 0)
    return 0;
  return mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

static bool has_null(void)
{
  struct stat st;
  int fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
  if (fd < 0)
    return false;
  bool is = !fstat(fd, &st) && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
  close(fd);
  return is;
}

/* As many devices as packages' scripts use, where the root has none that work. */
static int mount_dev(void)
{
  static const struct {
    const char *path;
    unsigned minor, major;
  } nodes[] = {{"/dev/null", 3, 1},   {"/dev/zero", 5, 1},    {"/dev/full", 7, 1},
               {"/dev/random", 8, 1}, {"/dev/urandom", 9, 1}, {"/dev/tty", 0, 5}};
  struct stat st;
  if (has_null() || stat("/dev", &st) < 0)
    return 0;
  if (mount("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=1m") < 0)
    return -1;
  umask(0);
  for (size_t i = 0; i < ST_COUNT(nodes); i++)
    if (mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) < 0)
      return -1;
  return symlink("/proc/self/fd", "/dev/fd");
}

/* Descriptors 0 to 2; 3 is the trouble, and nothing else is open. */
static int arrange_files(const struct entry_of_root *e)
{
  int null = open("/dev/null", O_RDONLY);
  if (null < 0)
    return -1;
  if (dup2(null, 0) < 0 || dup2(e->out, 1) < 0 || dup2(e->out, 2) < 0 ||
      dup3(e->trouble, 3, O_CLOEXEC) < 0)
    return -1;
  syscall(SYS_close_range, 4U, ~0U, 0U); /* Linux 5.9; all of ours are close-on-exec besides */
  return 0;
}

static void default_signals(void)
{
  sigset_t none;
  struct sigaction action = {.sa_handler = SIG_DFL};
  for (int n = 1; n < NSIG; n++)
    sigaction(n, &action, NULL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn static void give_up(int fd, enum step step)
{
  const struct trouble t = {step, errno};
  ssize_t n = write(fd, &t, sizeof(t)); /* a pipe takes it whole */
  _exit(n == (ssize_t)sizeof(t) ? 127 : 126);
}

/* The child.  Its mounts are its own and go with it.  They are made within the root, so that no
 * symlink of the root leads them out of it. */
_Noreturn static void enter_root(const struct entry_of_root *e)
{
  static char *const environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:" PROGRAM_PATH,
                                      "LC_ALL=C",
                                      "LANG=C",
                                      "HOME=/root",
                                      "DEBIAN_FRONTEND=noninteractive",
                                      NULL};
  int trouble = e->trouble;
  setpgid(0, 0);
  default_signals();
  if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
    give_up(trouble, STEP_NAMESPACE);
  if (enter_folder(e) < 0)
    give_up(trouble, STEP_FOLDER);
  if (chroot(".") < 0 || chdir("/") < 0)
    give_up(trouble, STEP_CHROOT);
  if (mount_proc() < 0)
    give_up(trouble, STEP_PROC);
  if (mount_dev() < 0)
    give_up(trouble, STEP_DEV);
  umask(022);
  if (arrange_files(e) < 0)
    give_up(trouble, STEP_FILES);
  execve(e->path, e->argv, environment);
  give_up(3, STEP_EXEC);
}

/* Whether it was started; the pipe is closed by then. */
static int hear_trouble(int fd, const char *name, struct st_error *err)
{
  static const char *const steps[] = {
      [STEP_NAMESPACE] = "no mount namespace of its own",
      [STEP_FOLDER] = "the root is no longer where it was",
      [STEP_CHROOT] = "its root cannot be changed",
      [STEP_PROC] = "/proc cannot be mounted",
      [STEP_DEV] = "/dev cannot be made",
      [STEP_FILES] = "its output cannot be joined",
      [STEP_EXEC] = "it cannot be started",
  };
  struct trouble t;
  ssize_t n;
  do
    n = read(fd, &t, sizeof(t));
  while (n < 0 && errno == EINTR);
  if (n != (ssize_t)sizeof(t))
    return 0;
  return st_fail(err, t.code, "cannot run %s of the other root: %s", st_quote(name),
                 (unsigned)t.step < ST_COUNT(steps) ? steps[t.step] : "it failed");
}

/* Two pipes, their ends out of the way of 0 to 3. */
static int make_pipe(int ends[2])
{
  int low[2];
  if (pipe2(low, O_CLOEXEC) < 0)
    return -1;
  for (int i = 0; i < 2; i++) {
    ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 10);
    close(low[i]);
  }
  return ends[0] < 0 || ends[1] < 0 ? -1 : 0;
}

static int run_in(struct entry_of_root *e, size_t max, int64_t deadline, struct st_buffer *out,
                  struct st_error *err)
{
  const char *name = e->argv[0];
  int output[2] = {-1, -1}, trouble[2] = {-1, -1};
  bool ready = make_pipe(output) == 0 && make_pipe(trouble) == 0;
  ST_AUTO_CLOSE int from = output[0];
  ST_AUTO_CLOSE int heard = trouble[0];
  ST_AUTO_CLOSE int to = output[1];
  ST_AUTO_CLOSE int told = trouble[1];
  e->out = to;
  e->trouble = told;
  pid_t pid = ready ? fork() : -1;
  if (pid < 0)
    return st_fail(err, errno, "cannot run %s", st_quote(name));
  if (pid == 0)
    enter_root(e);
  setpgid(pid, pid); /* whoever comes first, before anybody kills the group */
  close(st_steal_fd(&to));
  close(st_steal_fd(&told));
  if (hear_trouble(heard, name, err) < 0) {
    reap(pid);
    return -1;
  }
  return finish(pid, from, name, max, deadline, out, err);
}

int st_run_in(int root, char *const argv[], size_t max, unsigned seconds, char **ret,
              size_t *length, struct st_error *err)
{
  char link[32], folder[PATH_MAX];
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  ST_AUTO_FREE char *path = NULL;
  if (geteuid() != 0)
    return st_fail(err, 0, "cannot run %s of the other root: only root may", st_quote(argv[0]));
  int r = find_in(root, argv[0], &path, err);
  if (r < 0)
    return r;
  snprintf(link, sizeof(link), "/proc/self/fd/%d", root);
  ssize_t n = readlink(link, folder, sizeof(folder) - 1);
  if (n < 0)
    return st_fail(err, errno, "cannot tell where the other root is");
  folder[n] = 0;
  struct entry_of_root e = {.root = root, .folder = folder, .path = path, .argv = argv};
  int status = run_in(&e, max, deadline_in(seconds), &out, err);
  if (status >= 0)
    *ret = st_buffer_steal(&out, length);
  return status;
}

int st_enter_root(int root, struct st_error *err)
{
  char link[32], folder[PATH_MAX];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", root);
  ssize_t n = readlink(link, folder, sizeof(folder) - 1);
  if (n < 0)
    return st_fail(err, errno, "cannot tell where the other root is");
  folder[n] = 0;
  const struct entry_of_root e = {.root = root, .folder = folder};
  if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
    return st_fail(err, errno, "cannot enter the root: no mount namespace of its own");
  if (enter_folder(&e) < 0)
    return st_fail(err, errno, "cannot enter the root: it is no longer where it was");
  if (chroot(".") < 0 || chdir("/") < 0)
    return st_fail(err, errno, "cannot enter the root");
  if (mount_proc() < 0 || mount_dev() < 0)
    return st_fail(err, errno, "cannot enter the root: no /proc or /dev can be made");
  umask(022);
  return 0;
}

/* ---- diff -------------------------------------------------------------------------------- */

/* A memory file with this content, its number out of the way of 3 and 4. */
static int memory_file(const void *data, size_t length, struct st_error *err)
{
  ST_AUTO_CLOSE int fd = memfd_create("systracker", MFD_CLOEXEC);
  if (fd < 0)
    return st_fail(err, errno, "cannot make a memory file");
  if (st_write_all(fd, data, length, err) < 0)
    return st_wrap(err, "a memory file");
  int high = fcntl(fd, F_DUPFD_CLOEXEC, 10);
  return high < 0 ? st_fail(err, errno, "cannot make a memory file") : high;
}

/* Each line may stand there once from each side, with a sign and, being short, a hunk's head. */
static size_t diff_limit(size_t a, size_t b)
{
  size_t sum;
  if (__builtin_add_overflow(a, b, &sum) || __builtin_mul_overflow(sum, (size_t)8, &sum) ||
      __builtin_add_overflow(sum, (size_t)65536, &sum))
    return SIZE_MAX;
  return sum;
}

int st_diff_start(struct st_diff **ret, const void *old, size_t old_length, const char *old_label,
                  const void *new_, size_t new_length, const char *new_label, struct st_error *err)
{
  *ret = NULL;
  if (old_length == new_length && (!new_length || !memcmp(old, new_, new_length)))
    return 0;
  ST_AUTO_CLOSE int before = memory_file(old, old_length, err);
  ST_AUTO_CLOSE int after = before < 0 ? -1 : memory_file(new_, new_length, err);
  if (after < 0)
    return st_wrap(err, "cannot compare");
  ST_AUTO_FREE char *from = st_strdup(old_label);
  ST_AUTO_FREE char *to = st_strdup(new_label);
  char *argv[] = {"diff", "-a", "-u", "-L", from, "-L", to, "--", "/dev/fd/3", "/dev/fd/4", NULL};
  struct st_diff d = {.limit = diff_limit(old_length, new_length)};
  if (start(argv[0], argv, (int[]){before, after}, &d.pid, &d.from, err) < 0)
    return st_wrap(err, "cannot compare");
  *ret = st_memdup(&d, sizeof(d));
  return 1;
}

int st_diff_finish(struct st_diff *diff, struct st_buffer *out, struct st_error *err)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  ST_AUTO_CLOSE int from = diff->from;
  int64_t deadline = deadline_in(DIFF_SECONDS);
  int status = finish(diff->pid, from, "diff", diff->limit, deadline, &text, err);
  free(diff);
  if (status < 0)
    return st_wrap(err, "cannot compare");
  if (status > 1)
    return st_fail(err, 0, "cannot compare: diff ended with status %d", status);
  st_buffer_append(out, text.data, text.length);
  return status;
}

void st_diff_end(struct st_diff *diff)
{
  if (!diff)
    return;
  close(diff->from);
  kill(-diff->pid, SIGKILL);
  reap(diff->pid);
  free(diff);
}

int st_unified_diff(const void *old, size_t old_length, const char *old_label, const void *new_,
                    size_t new_length, const char *new_label, struct st_buffer *out,
                    struct st_error *err)
{
  struct st_diff *diff;
  int r = st_diff_start(&diff, old, old_length, old_label, new_, new_length, new_label, err);
  return r <= 0 ? r : st_diff_finish(diff, out, err);
}

bool st_is_binary(const void *data, size_t length)
{
  return length && memchr(data, 0, length < 8000 ? length : 8000);
}

/* ---- The pager ------------------------------------------------------------------------------ */

/* The words of the pager's command, none where none is wanted. */
static void pager_words(struct st_strings *words)
{
  const char *command = secure_getenv("SYSTRACKER_PAGER");
  if (!command)
    command = secure_getenv("PAGER");
  if (!command)
    command = "less";
  ST_AUTO_FREE char *copy = st_strdup(command);
  char *rest = NULL;
  for (char *word = strtok_r(copy, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest))
    st_strings_add(words, word);
}

/* Returns the pid, or -1: it could not be started, and then there is none. */
static pid_t spawn_pager(char *const argv[], int in)
{
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attr;
  pid_t pid = -1;
  if (posix_spawn_file_actions_init(&files))
    return -1;
  if (!posix_spawnattr_init(&attr)) {
    if (posix_spawn_file_actions_adddup2(&files, in, 0) || set_attributes(&attr, false) ||
        posix_spawnp(&pid, argv[0], &files, &attr, argv, environ))
      pid = -1;
    posix_spawnattr_destroy(&attr);
  }
  posix_spawn_file_actions_destroy(&files);
  return pid;
}

pid_t st_pager_start(void)
{
  ST_AUTO_STRINGS words = {0};
  if (!isatty(STDOUT_FILENO))
    return -1;
  pager_words(&words);
  if (!words.count || !strcmp(words.items[0], "cat"))
    return -1;
  setenv("LESS", "FRX", 0);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0)
    return -1;
  fflush(stdout);
  pid_t pid = spawn_pager(words.items, ends[0]);
  if (pid > 0)
    dup2(ends[1], STDOUT_FILENO);
  close(ends[0]);
  close(ends[1]);
  return pid;
}

void st_pager_end(pid_t pid)
{
  if (pid <= 0)
    return;
  fflush(stdout);
  int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (null >= 0)
    dup2(null, STDOUT_FILENO); /* the pager sees the end of its input */
  else
    close(STDOUT_FILENO);
  if (null >= 0)
    close(null);
  /* An interrupt is the pager's to handle, as long as it has the terminal. */
  struct sigaction ignore = {.sa_handler = SIG_IGN}, saved;
  sigaction(SIGINT, &ignore, &saved);
  reap(pid);
  sigaction(SIGINT, &saved, NULL);
}

/* ---- Keys in memory -------------------------------------------------------------------- */

/* Leaks are looked for by a thread that traces the others. */
#ifdef __SANITIZE_ADDRESS__
#define DUMPABLE 1
#else
#define DUMPABLE 0
#endif

/* A limit of no core would be inherited by all that a restore starts. */
void st_leave_no_core(void)
{
  prctl(PR_SET_DUMPABLE, DUMPABLE, 0, 0, 0);
}

unsigned st_processors(unsigned most)
{
  cpu_set_t cpus;
  int n = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
  return n < 1 ? 1 : (unsigned)n < most ? (unsigned)n : most;
}
