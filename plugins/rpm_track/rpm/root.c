/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/rpm_track/rpm/root.h"

#include <fcntl.h>
#include <rpm/rpmdb.h>
#include <rpm/rpmlib.h>
#include <rpm/rpmmacro.h>
#include <sched.h>
#include <string.h>

#include "plugins/rpm_track/rpm/readonly.h"
#include "systracker/base/escape.h"

/* ---- What librpm says --------------------------------------------------------------------------
 */

/* Its lines as one, with one space between two words. */
static void put_line(struct st_buffer *out, const char *text)
{
  static const char spaces[] = " \n\t";
  for (text += strspn(text, spaces); *text; text += strspn(text, spaces)) {
    size_t n = strcspn(text, spaces);
    if (out->length > 0)
      st_buffer_append_byte(out, ' ');
    st_escape_message(out, text, n);
    text += n;
  }
}

static int take(rpmlogRec rec, rpmlogCallbackData data)
{
  struct rpm_words *words = data;
  rpmlogLvl least = words->strict ? RPMLOG_WARNING : RPMLOG_ERR;
  if (rpmlogRecPriority(rec) > least || words->error.length > 0)
    return 0;
  static const char prefix[] = "error: ";
  const char *text = rpmlogRecMessage(rec);
  if (strncmp(text, prefix, sizeof(prefix) - 1) == 0)
    text += sizeof(prefix) - 1;
  put_line(&words->error, text);
  return 0; /* not to be printed */
}

void rpm_words_take(struct rpm_words *words)
{
  rpmlogSetCallback(take, words);
}

int rpm_words_fail(const struct rpm_words *words, struct st_error *err, const char *what)
{
  if (words->error.length == 0)
    return st_fail(err, 0, "%s", what);
  return st_fail(err, 0, "%s: %s", what, words->error.data);
}

/* ---- The root ------------------------------------------------------------------------------ */

static bool is_own_root(int fd)
{
  struct stat a, b;
  return fstat(fd, &a) == 0 && stat("/", &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int rpm_root_enter(int fd, const struct rpm_words *words, struct st_error *err)
{
  if (rpmReadConfigFiles(NULL, NULL) != 0)
    return rpm_words_fail(words, err, "cannot read rpm's configuration");
  if (is_own_root(fd))
    return 0;
  if (fchdir(fd) < 0)
    return st_fail(err, errno, "cannot enter the root");
  int r = chroot(".");
  if (r < 0 && errno == EPERM && unshare(CLONE_NEWUSER) == 0)
    r = chroot(".");
  if (r < 0 || chdir("/") < 0)
    return st_fail(err, errno, "cannot enter the root");
  return 0;
}

/* ---- The database -------------------------------------------------------------------------- */

static const char *const folders[] = {"/usr/lib/sysimage/rpm", "/var/lib/rpm", "/usr/share/rpm"};

/* Berkeley DB is read by code of rpm's own since 4.16. */
static const char *bdb_backend(void)
{
  int major = 0, minor = 0;
  if (sscanf(RPMVERSION, "%d.%d", &major, &minor) < 2)
    return "bdb_ro";
  return major > 4 || minor >= 16 ? "bdb_ro" : "bdb";
}

void rpm_database_free(struct rpm_database *db)
{
  free(db->folder);
  *db = (struct rpm_database){0};
}

/* The newest form wins: a conversion leaves the old file behind at times. */
static bool find_in(const char *folder, struct rpm_database *ret)
{
  const struct {
    const char *file, *backend;
  } forms[] = {{"rpmdb.sqlite", "sqlite"}, {"Packages.db", "ndb"}, {"Packages", bdb_backend()}};
  ST_AUTO_CLOSE int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  struct stat st;
  for (size_t i = 0; fd >= 0 && i < ST_COUNT(forms); i++) {
    if (fstatat(fd, forms[i].file, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
      continue;
    *ret = (struct rpm_database){st_strdup(folder), forms[i].file, forms[i].backend};
    return true;
  }
  return false;
}

int rpm_database_find(const char *folder, struct rpm_database *ret, struct st_error *err)
{
  *ret = (struct rpm_database){0};
  if (folder && *folder != '/')
    return st_fail(err, 0, "the database's folder is not an absolute path (%s)", st_quote(folder));
  if (folder)
    return find_in(folder, ret) ? 0 : 1;
  for (size_t i = 0; i < ST_COUNT(folders); i++) {
    if (find_in(folders[i], ret))
      return 0;
  }
  return 1;
}

/* In a macro's body a percent sign begins another. */
static void define(const char *name, const char *value)
{
  ST_AUTO_BUFFER body = ST_BUFFER_INIT;
  for (; *value; value++) {
    if (*value == '%')
      st_buffer_append_byte(&body, '%');
    st_buffer_append_byte(&body, (uint8_t)*value);
  }
  rpmPushMacro(NULL, name, NULL, body.data, RMIL_CMDLINE);
}

void rpm_database_use(const struct rpm_database *db)
{
  define("_dbpath", db->folder);
  define("_db_backend", db->backend);
}

/* Instead of one of a kind that it does not know, librpm opens an empty one and only warns. */
static bool open_strictly(rpmts ts, struct rpm_words *words)
{
  words->strict = true;
  int r = rpmtsOpenDB(ts, O_RDONLY);
  words->strict = false;
  return r == 0 && words->error.length == 0;
}

int rpm_database_read(const struct rpm_database *db, struct rpm_words *words, rpmts *ret,
                      struct st_error *err)
{
  ST_AUTO_FREE char *what = st_format("cannot read rpm's database, which is of the kind %s (%s/%s)",
                                      db->backend, st_quote(db->folder), db->file);
  if (rpm_readonly_sqlite(err) < 0)
    return -1;
  rpm_database_use(db);
  ST_AUTO_RPMTS ts = rpmtsCreate();
  if (!ts || rpmtsSetRootDir(ts, "/") != 0)
    return rpm_words_fail(words, err, what);
  /* Each header's own digest is proved; whom the signatures are from is not asked. */
  rpmtsSetVSFlags(ts, RPMVSF_MASK_NOSIGNATURES | RPMVSF_NEEDPAYLOAD);
  if (!open_strictly(ts, words))
    return rpm_words_fail(words, err, what);
  *ret = ts;
  ts = NULL;
  return 0;
}

static void read_log_head(const struct rpm_database *db, uint8_t out[32])
{
  ST_AUTO_FREE char *path = st_format("%s/%s-wal", db->folder, db->file);
  ST_AUTO_CLOSE int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  memset(out, 0, 32);
  if (fd >= 0 && pread(fd, out, 32, 0) < 32)
    memset(out, 0, 32);
}

int rpm_database_identity(const struct rpm_database *db, struct rpm_identity *ret,
                          struct st_error *err)
{
  ST_AUTO_FREE char *path = st_format("%s/%s", db->folder, db->file);
  if (lstat(path, &ret->st) < 0)
    return st_fail(err, errno, "cannot look at rpm's database (%s)", st_quote(path));
  read_log_head(db, ret->log);
  return 0;
}

bool rpm_identity_equal(const struct rpm_identity *a, const struct rpm_identity *b)
{
  return a->st.st_dev == b->st.st_dev && a->st.st_ino == b->st.st_ino &&
         a->st.st_size == b->st.st_size && a->st.st_mtim.tv_sec == b->st.st_mtim.tv_sec &&
         a->st.st_mtim.tv_nsec == b->st.st_mtim.tv_nsec &&
         memcmp(a->log, b->log, sizeof(a->log)) == 0;
}
