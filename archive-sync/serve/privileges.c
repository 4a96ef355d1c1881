/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/serve/privileges.h"

#include <grp.h>
#include <pwd.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "systracker/base/buffer.h"
#include "systracker/base/escape.h"

struct account {
  uid_t uid;
  gid_t gid;
  char *name; /* NULL: the owner's number has no name */
};

static void account_clear(struct account *a)
{
  free(a->name);
}

static void take_account(struct account *a, const struct passwd *p)
{
  a->uid = p->pw_uid;
  a->gid = p->pw_gid;
  a->name = st_strdup(p->pw_name);
}

static int find_named(const char *user, struct account *ret, struct st_error *err)
{
  const struct passwd *p = getpwnam(user);
  if (!p)
    return st_refuse(err, "there is no user %s", st_quote(user));
  take_account(ret, p);
  return 0;
}

static int find_owner(int dirfd, struct account *ret, struct st_error *err)
{
  struct stat st;
  if (fstat(dirfd, &st) < 0)
    return st_fail(err, errno, "cannot look at the archive's folder");
  const struct passwd *p = st.st_uid ? getpwuid(st.st_uid) : getpwnam(ST_SERVE_USER);
  if (p)
    take_account(ret, p);
  else if (st.st_uid)
    *ret = (struct account){st.st_uid, st.st_gid, NULL};
  else
    return st_refuse(err, "the archive belongs to root, and there is no user " ST_SERVE_USER
                          ": give it to another user, or say --user (root, if it must be)");
  return 0;
}

static int become(const struct account *a, struct st_error *err)
{
  int r = a->name ? initgroups(a->name, a->gid) : setgroups(0, NULL);
  if (r < 0 || setresgid(a->gid, a->gid, a->gid) < 0 || setresuid(a->uid, a->uid, a->uid) < 0)
    return st_fail(err, errno, "cannot become the user %s", a->name ? a->name : "of the archive");
  if (a->uid != 0 && (setuid(0) == 0 || geteuid() == 0))
    return st_fail(err, 0, "root's rights could not be given up");
  return 0;
}

static int choose_capabilities(cap_t caps)
{
  static const cap_value_t kept[] = {CAP_DAC_OVERRIDE, CAP_FOWNER};
  if (geteuid() != 0)
    return 0;
  return cap_set_flag(caps, CAP_PERMITTED, 2, kept, CAP_SET) < 0 ||
                 cap_set_flag(caps, CAP_EFFECTIVE, 2, kept, CAP_SET) < 0
             ? -1
             : 0;
}

static void free_caps(cap_t *caps)
{
  if (*caps)
    cap_free(*caps);
}

/* Where it stays root, what is about files is kept.  Where there are none, nothing is called that a
 * filter of system calls may forbid. */
static int drop_capabilities(struct st_error *err)
{
  ST_CLEANUP(free_caps) cap_t wanted = cap_init();
  ST_CLEANUP(free_caps) cap_t there = cap_get_proc();
  if (!wanted || !there || choose_capabilities(wanted) < 0)
    return st_fail(err, errno, "cannot tell what capabilities there are");
  if (cap_compare(wanted, there) != 0 && cap_set_proc(wanted) < 0)
    return st_fail(err, errno, "cannot give capabilities up");
  return 0;
}

/* Leaks are looked for by a thread that traces the others. */
#ifdef __SANITIZE_ADDRESS__
#define DUMPABLE 1
#else
#define DUMPABLE 0
#endif

static int seal(struct st_error *err)
{
  const struct rlimit none = {0, 0};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, DUMPABLE, 0, 0, 0) < 0 ||
      setrlimit(RLIMIT_CORE, &none) < 0)
    return st_fail(err, errno, "cannot close the process to others");
  return 0;
}

int st_privileges_drop(int archive_dirfd, const char *user, struct st_error *err)
{
  ST_CLEANUP(account_clear) struct account a = {0};
  if (user && find_named(user, &a, err) < 0)
    return -1;
  if (geteuid() != 0 && user && a.uid != geteuid())
    return st_refuse(err, "only root can become the user %s", st_quote(user));
  if (geteuid() == 0 && !user && find_owner(archive_dirfd, &a, err) < 0)
    return -1;
  if (geteuid() == 0 && become(&a, err) < 0)
    return -1;
  return drop_capabilities(err) < 0 ? -1 : seal(err);
}

int st_privileges_follow(int archive_dirfd, struct st_error *err)
{
  ST_CLEANUP(account_clear) struct account a = {0};
  struct stat st;
  if (geteuid() != 0)
    return 0;
  if (fstat(archive_dirfd, &st) < 0)
    return st_fail(err, errno, "cannot look at the archive's folder");
  if (st.st_uid == 0)
    return 0;
  return find_owner(archive_dirfd, &a, err) < 0 ? -1 : become(&a, err);
}
