/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/base/mapped.h"

#include <errno.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "systracker/base/cleanup.h"

/* What the handler looks at; a thread sees its own faults alone. */
static _Thread_local struct st_mapped *volatile opened;

static struct {
  pthread_mutex_t mutex;
  struct sigaction before; /* what is done with a SIGBUS that is none of ours */
} bus = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* ---- SIGBUS ---------------------------------------------------------------------------------- */

static size_t page_size(void)
{
  return (size_t)sysconf(_SC_PAGESIZE);
}

/* With the rest of its last page. */
static size_t extent(const struct st_mapped *m)
{
  return (m->length + page_size() - 1) & ~(page_size() - 1);
}

static struct st_mapped *find(uintptr_t address)
{
  for (struct st_mapped *m = opened; m; m = m->next) {
    if (address - (uintptr_t)m->data < extent(m))
      return m;
  }
  return NULL;
}

/* All behind it will be missing, too, most likely: so that there is one fault, not one a page. */
static bool fill(struct st_mapped *m, uintptr_t address)
{
  uintptr_t from = address & ~(uintptr_t)(page_size() - 1);
  size_t length = (uintptr_t)m->data + extent(m) - from;
  m->hurt = true;
  return mmap((void *)from, length, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
         MAP_FAILED;
}

/* Not ours: what else was to happen does, once the same instruction has faulted again; what
 * somebody sent is sent again. */
static void hand_on(const siginfo_t *info)
{
  bool sent = info->si_code <= 0;
  if (sent && bus.before.sa_handler == SIG_IGN)
    return;
  sigaction(SIGBUS, &bus.before, NULL);
  if (sent)
    raise(SIGBUS);
}

/* Calls nothing that is not safe in a handler: mmap(2) and sysconf(3) of a page take no lock. */
static void on_bus(int number, siginfo_t *info, void *context)
{
  (void)number;
  (void)context;
  int saved = errno;
  uintptr_t address = (uintptr_t)info->si_addr;
  struct st_mapped *m = info->si_code > 0 ? find(address) : NULL;
  if (!m || !fill(m, address))
    hand_on(info);
  errno = saved;
}

/* Once; and again, where somebody has put another handler in its place. */
static int install(void)
{
  struct sigaction now, ours = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigemptyset(&ours.sa_mask);
  if (sigaction(SIGBUS, NULL, &now) < 0)
    return -errno;
  if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_bus)
    return 0;
  bus.before = now;
  return sigaction(SIGBUS, &ours, NULL) < 0 ? -errno : 0;
}

static int guard(void)
{
  pthread_mutex_lock(&bus.mutex);
  int e = install();
  pthread_mutex_unlock(&bus.mutex);
  return e;
}

/* A fault whose signal is blocked kills. */
static void unblock(void)
{
  static _Thread_local bool unblocked;
  sigset_t set;
  if (unblocked)
    return;
  sigemptyset(&set);
  sigaddset(&set, SIGBUS);
  unblocked = pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0;
}

/* ---- A content ------------------------------------------------------------------------------- */

/* The page cache is what is mapped there, and a page is as good as what is read. */
static bool is_known(unsigned long type)
{
  static const unsigned long known[] = {
      EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC,       BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC,
      TMPFS_MAGIC,      OVERLAYFS_SUPER_MAGIC, SQUASHFS_MAGIC,    EROFS_SUPER_MAGIC_V1,
  };
  for (size_t i = 0; i < ST_COUNT(known); i++) {
    if (type == known[i])
      return true;
  }
  return false;
}

/* tmpfs gives a hole that is looked at through a mapping a page, which stays: the file would not be
 * sparse any more, and memory be used up.  A layer of overlayfs may be a tmpfs. */
static bool would_fill_holes(int fd, unsigned long type)
{
  struct stat s;
  if (type != TMPFS_MAGIC && type != OVERLAYFS_SUPER_MAGIC)
    return false;
  return fstat(fd, &s) < 0 || s.st_blocks < s.st_size / 512 + (s.st_size % 512 != 0);
}

static bool is_mappable(int fd)
{
  struct statfs fs;
  return fstatfs(fd, &fs) == 0 && is_known((unsigned long)fs.f_type) &&
         !would_fill_holes(fd, (unsigned long)fs.f_type);
}

int st_mapped_open(struct st_mapped *m, int fd, uint64_t length)
{
  *m = (struct st_mapped){.length = (size_t)length};
  if (length == 0)
    return 0;
  if (length > PTRDIFF_MAX - page_size())
    return -EFBIG;
  if (!is_mappable(fd))
    return -EOPNOTSUPP;
  int e = guard();
  if (e < 0)
    return e;
  unblock();
  void *data = mmap(NULL, m->length, PROT_READ, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED)
    return -errno;
  m->data = data;
  m->next = opened;
  atomic_signal_fence(memory_order_seq_cst);
  opened = m;
  return 0;
}

void st_mapped_fetch(struct st_mapped *m)
{
  if (m->data)
    madvise((void *)m->data, m->length, MADV_WILLNEED);
}

bool st_mapped_is_whole(const struct st_mapped *m)
{
  atomic_signal_fence(memory_order_seq_cst);
  return !m->hurt;
}

static void forget(const struct st_mapped *m)
{
  struct st_mapped *before = NULL;
  for (struct st_mapped *x = opened; x && x != m; x = x->next)
    before = x;
  if (before)
    before->next = m->next;
  else
    opened = m->next;
}

void st_mapped_close(struct st_mapped *m)
{
  if (!m->data)
    return;
  atomic_signal_fence(memory_order_seq_cst);
  munmap((void *)m->data, m->length);
  forget(m);
  *m = (struct st_mapped){0};
}
