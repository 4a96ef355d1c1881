/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plugin.c - rpm's own plug-in: hands each package file that is being installed to
 * systracker-rpm-hook, which keeps it.
 *
 * It runs inside rpm or dnf, so it does next to nothing: it starts the hook before the transaction,
 * and for each package passes the descriptor that rpm itself has open.  A hook that is gone, killed
 * or slow costs a line in rpm's log, and whatever happens here the answer is RPMRC_OK.
 *
 * rpmplugin.h is installed from rpm 4.20 on only, and the table of hooks has no version; its last
 * three, which are called for each file, have changed (4.18).  They stay NULL, so one layout fits
 * 4.12 to 6.0.  The hooks for a package run chrooted: everything is open before.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rpm/header.h>
#include <rpm/rpmlog.h>
#include <rpm/rpmmacro.h>
#include <rpm/rpmte.h>
#include <rpm/rpmts.h>

#include "plugins/rpm_track/hook/messages.h"

#define HOOK_NAME "systracker-rpm-hook"
#define MACRO "%{?__transaction_systracker}"
#define ENVIRONMENT_MAX 16
#define SEND_MS 5000 /* for a hook that does not take what it is sent */
#define END_MS 10000 /* for it to end; it goes on without us then */
#define FDS_MAX 4096 /* descriptors that are looked at */

/* As rpmplugin.h has it, without what must stay NULL. */
struct rpmPluginHooks_s {
  rpmRC (*init)(rpmPlugin plugin, rpmts ts);
  void (*cleanup)(rpmPlugin plugin);
  rpmRC (*tsm_pre)(rpmPlugin plugin, rpmts ts);
  rpmRC (*tsm_post)(rpmPlugin plugin, rpmts ts, int res);
  rpmRC (*psm_pre)(rpmPlugin plugin, rpmte te);
  rpmRC (*psm_post)(rpmPlugin plugin, rpmte te, int res);
  void *others[6];
};

/* rpm runs one transaction at a time in a process, and has no place of ours from 4.12 on. */
static struct {
  int socket;   /* -1: nothing is to be kept */
  rpmte *seen;  /* whose files were sent */
  size_t nseen; /* room for as many as the transaction has */
} state = {.socket = -1};

/* ---- The roots --------------------------------------------------------------------------------
 */

static bool same_folder(const char *a, const char *b)
{
  struct stat x, y;
  return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* The macro is "PATH/systracker.so [ROOT[=STORE]...]"; without a root it serves "/".  Whether it
 * serves this one; `store` (of PATH_MAX) gets its store, "" for the configured one. */
static bool serves(const char *root, char *store)
{
  char *macro = rpmExpand(MACRO, NULL);
  char *rest = macro, *word;
  size_t roots = 0;
  bool found = false;
  *store = 0;
  strsep(&rest, " \t\n");
  while (!found && (word = strsep(&rest, " \t\n"))) {
    char *equals = strchr(word, '=');
    if (!*word)
      continue;
    roots++;
    if (equals)
      *equals = 0;
    found = same_folder(*word ? word : "/", root);
    if (found && equals)
      snprintf(store, PATH_MAX, "%s", equals + 1);
  }
  free(macro);
  return found || (roots == 0 && same_folder("/", root));
}

/* ---- The hook ---------------------------------------------------------------------------------
 */

/* A clean environment, but for where SysTracker is. */
static void choose_environment(char *ret[ENVIRONMENT_MAX])
{
  size_t n = 0;
  ret[n++] = (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  ret[n++] = (char *)"LC_ALL=C";
  for (char **e = environ; *e && n < ENVIRONMENT_MAX - 1; e++)
    if (strncmp(*e, "SYSTRACKER_", 11) == 0)
      ret[n++] = *e;
  ret[n] = NULL;
}

static int spawn_hook(pid_t *ret, int socket, char *path, const char *root, char *store)
{
  char *argv[] = {path, (char *)root, *store ? store : NULL, NULL};
  char *environment[ENVIRONMENT_MAX];
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attr;
  sigset_t all, none;
  choose_environment(environment);
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attr);
  posix_spawn_file_actions_adddup2(&files, socket, 0);
  posix_spawn_file_actions_adddup2(&files, 2, 1); /* what it says is no output of rpm's */
  posix_spawnattr_setsigdefault(&attr, &all);
  posix_spawnattr_setsigmask(&attr, &none);
  posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  int r = posix_spawn(ret, path, &files, &attr, argv, environment);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attr);
  return r;
}

/* The hook goes into the background by itself, so that no child of ours is left behind. */
static int start_hook(const char *root, char *store)
{
  int pair[2], status = 0;
  char path[PATH_MAX];
  const char *folder = secure_getenv("SYSTRACKER_LIBEXECDIR");
  pid_t pid;
  snprintf(path, sizeof(path), "%s/%s", folder ? folder : ST_PROGRAMDIR, HOOK_NAME);
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
    return errno;
  int r = spawn_hook(&pid, pair[1], path, root, store);
  close(pair[1]);
  while (r == 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
    ;
  if (r == 0 && status == 0) {
    state.socket = pair[0];
    return 0;
  }
  close(pair[0]);
  return r ? r : ECHILD;
}

static void give_up(const char *why)
{
  rpmlog(RPMLOG_WARNING, "systracker: package files are not kept: %s\n", why);
  if (state.socket >= 0)
    close(state.socket);
  state.socket = -1;
}

/* Waits until the hook takes more, or ends.  0: it did not in time. */
static int wait_hook(short events, int ms)
{
  struct pollfd p = {.fd = state.socket, .events = events};
  int r;
  do
    r = poll(&p, 1, ms);
  while (r < 0 && errno == EINTR);
  return r;
}

/* One message; `fd` -1: none goes with it. */
static void tell(char letter, rpmte te, int fd)
{
  char text[MESSAGE_MAX];
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control = {0};
  const char *architecture = rpmteA(te);
  int n = snprintf(text, sizeof(text), "%c%c%s%c%s%c%s", letter, 0, rpmteN(te), 0, rpmteEVR(te), 0,
                   architecture ? architecture : "noarch");
  if (n < 0 || (size_t)n >= sizeof(text))
    return; /* nothing has such a name */
  struct iovec piece = {text, (size_t)n + 1};
  struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
  if (fd >= 0) {
    message.msg_control = control.space;
    message.msg_controllen = sizeof(control.space);
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
  }
  if (wait_hook(POLLOUT, SEND_MS) == 0)
    give_up("the hook does not take any more");
  else if (sendmsg(state.socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
    give_up(strerror(errno));
}

/* ---- Package files ------------------------------------------------------------------------------
 */

static uint32_t big_endian(const unsigned char *p)
{
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

#define LEAD 96       /* bytes before the signature header */
#define INTRO 16      /* of a header: magic, number of entries, length of the data */
#define INDEX 16      /* an entry: tag, type, offset in the data, count; each of 4 bytes */
#define INDEX_MAX 256 /* entries of a signature header; there are about ten */

/* Whether it is an open package file whose signature header has this digest of the header, a text,
 * at `tag` (rpm's doc/manual/format.md). */
static bool is_file_of(int fd, uint32_t tag, const char *digest)
{
  unsigned char start[LEAD + INTRO], entry[INDEX];
  char text[130];
  struct stat st;
  size_t n = strlen(digest);
  if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
      pread(fd, start, sizeof(start), 0) != (ssize_t)sizeof(start) ||
      memcmp(start, "\xed\xab\xee\xdb", 4) != 0 || memcmp(start + LEAD, "\x8e\xad\xe8", 3) != 0)
    return false;
  uint32_t count = big_endian(start + LEAD + 8);
  off_t data = LEAD + INTRO + (off_t)count * INDEX;
  for (uint32_t i = 0; i < count && i < INDEX_MAX; i++) {
    if (pread(fd, entry, sizeof(entry), LEAD + INTRO + (off_t)i * INDEX) != (ssize_t)sizeof(entry))
      return false;
    if (big_endian(entry) == tag)
      return n < sizeof(text) &&
             pread(fd, text, n + 1, data + big_endian(entry + 8)) == (ssize_t)n + 1 && !text[n] &&
             strcmp(text, digest) == 0;
  }
  return false;
}

/* rpm has opened it; its number is nowhere to be asked for.  -1: it is not open. */
static int find_file(rpmte te)
{
  struct rlimit limit = {.rlim_cur = 1024};
  Header header = rpmteHeader(te);
  const char *sha256 = header ? headerGetString(header, RPMTAG_SHA256HEADER) : NULL;
  const char *digest = sha256 ? sha256 : header ? headerGetString(header, RPMTAG_SHA1HEADER) : NULL;
  int found = -1;
  getrlimit(RLIMIT_NOFILE, &limit);
  int most = limit.rlim_cur > FDS_MAX ? FDS_MAX : (int)limit.rlim_cur;
  for (int fd = 3; digest && found < 0 && fd < most; fd++)
    if (is_file_of(fd, sha256 ? 273 /* RPMSIGTAG_SHA256 */ : 269 /* _SHA1 */, digest))
      found = fd;
  if (header)
    headerFree(header);
  return found;
}

static bool was_seen(rpmte te)
{
  for (size_t i = 0; i < state.nseen; i++)
    if (state.seen[i] == te)
      return true;
  return false;
}

static bool is_installed(rpmte te)
{
  return rpmteType(te) == TR_ADDED && !rpmteIsSource(te);
}

/* ---- What rpm calls ---------------------------------------------------------------------------
 */

static rpmRC tsm_pre(rpmPlugin plugin, rpmts ts)
{
  char store[PATH_MAX];
  (void)plugin;
  if (state.socket >= 0)
    give_up("another transaction began");
  if (rpmtsFlags(ts) & (RPMTRANS_FLAG_TEST | RPMTRANS_FLAG_BUILD_PROBS))
    return RPMRC_OK;
  const char *root = rpmtsRootDir(ts) ? rpmtsRootDir(ts) : "/";
  if (!serves(root, store))
    return RPMRC_OK;
  free(state.seen);
  state.nseen = 0;
  state.seen = calloc((size_t)rpmtsNElements(ts) + 1, sizeof(*state.seen));
  int r = state.seen ? start_hook(root, store) : ENOMEM;
  if (r)
    give_up(r == ECHILD ? "the hook failed" : strerror(r));
  return RPMRC_OK;
}

/* Called for other than the installation, too, when no file is open. */
static rpmRC psm_pre(rpmPlugin plugin, rpmte te)
{
  (void)plugin;
  if (state.socket < 0 || !is_installed(te) || was_seen(te))
    return RPMRC_OK;
  int fd = find_file(te);
  if (fd >= 0) {
    state.seen[state.nseen++] = te;
    tell(MESSAGE_PACKAGE, te, fd);
  }
  return RPMRC_OK;
}

/* The hook keeps files while rpm goes on; it is given a moment to come to its end. */
static rpmRC tsm_post(rpmPlugin plugin, rpmts ts, int res)
{
  (void)plugin;
  for (int i = 0; i < rpmtsNElements(ts) && state.socket >= 0; i++) {
    rpmte te = rpmtsElement(ts, i);
    if (is_installed(te) && !rpmteFailed(te) && res == 0 && !was_seen(te))
      tell(MESSAGE_UNSEEN, te, -1);
  }
  if (state.socket >= 0) {
    shutdown(state.socket, SHUT_WR);
    if (wait_hook(POLLIN, END_MS) == 0)
      rpmlog(RPMLOG_WARNING, "systracker: package files are still being kept\n");
    close(state.socket);
    state.socket = -1;
  }
  return RPMRC_OK;
}

static void cleanup(rpmPlugin plugin)
{
  (void)plugin;
  if (state.socket >= 0)
    close(state.socket);
  free(state.seen);
  state.socket = -1;
  state.seen = NULL;
  state.nseen = 0;
}

__attribute__((visibility("default"))) extern struct rpmPluginHooks_s systracker_hooks;
struct rpmPluginHooks_s systracker_hooks = {
    .cleanup = cleanup,
    .tsm_pre = tsm_pre,
    .tsm_post = tsm_post,
    .psm_pre = psm_pre,
};
