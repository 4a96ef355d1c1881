/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/rpm_track/rpm/list.h"

#include <fcntl.h>
#include <rpm/rpmdb.h>
#include <rpm/rpmtag.h>
#include <rpm/rpmtd.h>
#include <string.h>

#include "plugins/rpm_track/rpm/files.h"
#include "plugins/rpm_track/rpm/verbs.h"
#include "systracker/base/escape.h"

#define TRIES 5
#define PUBLIC_KEY "gpg-pubkey" /* of which rpm makes packages without files */

/* ---- One package --------------------------------------------------------------------------- */

/* What dnf never upgrades in place, by what packages provide (libdnf's `installonlypkgs`); and
 * rpm's keys, which are packages of one name. */
static bool is_install_only(const char *provided)
{
  static const char *const names[] = {"kernel",
                                      "kernel-PAE",
                                      "installonlypkg(kernel)",
                                      "installonlypkg(kernel-module)",
                                      "installonlypkg(vm)",
                                      "multiversion(kernel)"};
  for (size_t i = 0; i < ST_COUNT(names); i++) {
    if (strcmp(provided, names[i]) == 0)
      return true;
  }
  return false;
}

static bool comes_beside(Header h, const char *name)
{
  struct rpmtd_s provides;
  bool found = strcmp(name, PUBLIC_KEY) == 0;
  if (found || !headerGet(h, RPMTAG_PROVIDENAME, &provides, HEADERGET_MINMEM))
    return found;
  for (const char *s; !found && (s = rpmtdNextString(&provides));)
    found = is_install_only(s);
  rpmtdFreeData(&provides);
  return found;
}

static int put_package(const struct rpm_files_of *of, Header h, struct st_buffer *out,
                       struct st_buffer *notes, struct st_error *err)
{
  ST_AUTO_RPM_FILES files = {0};
  ST_AUTO_FREE char *version = headerGetAsString(h, RPMTAG_EVR);
  if (rpm_files_put(of, h, &files, notes, err) < 0)
    return -1;
  rpm_put(out, LIST_PACKAGE);
  rpm_put(out, of->package);
  rpm_put(out, headerGetString(h, RPMTAG_ARCH));
  rpm_put(out, version);
  rpm_put(out, headerGetString(h, RPMTAG_VENDOR));
  rpm_put_number(out, (int64_t)headerGetNumber(h, RPMTAG_INSTALLTIME));
  rpm_put_number(out, (int64_t)headerGetNumber(h, RPMTAG_INSTALLTID));
  rpm_put(out, headerGetString(h, RPMTAG_SHA256HEADER));
  rpm_put(out, strcmp(of->package, PUBLIC_KEY) == 0 ? headerGetString(h, RPMTAG_DESCRIPTION) : "");
  rpm_put(out, files.flags.data);
  rpm_put(out, comes_beside(h, of->package) ? "1" : "0");
  rpm_put_number(out, (int64_t)files.count);
  st_buffer_append(out, files.fields.length ? files.fields.data : "", files.fields.length);
  return 0;
}

/* ---- All ----------------------------------------------------------------------------------- */

struct listing {
  const struct rpm_call *call;
  const struct rpm_database *db;
  struct st_buffer *out;
};

static inline void end_iterator(rpmdbMatchIterator *mi)
{
  rpmdbFreeIterator(*mi);
}

/* librpm passes over a header that it cannot read, and only says so: here that is a failure. */
static int put_packages(const struct listing *l, rpmts ts, struct st_error *err)
{
  ST_AUTO_BUFFER notes = ST_BUFFER_INIT;
  ST_CLEANUP(st_accounts_freep) struct st_accounts *accounts = NULL;
  ST_CLEANUP(rpm_paths_freep) struct rpm_paths *paths = rpm_paths_new();
  ST_AUTO_CLOSE int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  const struct rpm_words *words = l->call->words;
  if (root < 0 || st_accounts_read(&accounts, root, err) < 0)
    return root < 0 ? st_fail(err, errno, "cannot open the root") : -1;
  ST_CLEANUP(end_iterator)
  rpmdbMatchIterator mi = rpmtsInitIterator(ts, RPMDBI_PACKAGES, NULL, 0);
  for (Header h; mi && words->error.length == 0 && (h = rpmdbNextIterator(mi));) {
    const char *name = headerGetString(h, RPMTAG_NAME);
    const struct rpm_files_of of = {paths, accounts, name};
    if (!name)
      return st_fail(err, 0, "a package without a name is in rpm's database");
    if (put_package(&of, h, l->out, &notes, err) < 0)
      return -1;
  }
  if (words->error.length > 0)
    return rpm_words_fail(words, err, "cannot read rpm's database");
  st_buffer_append(l->out, notes.length ? notes.data : "", notes.length);
  return 0;
}

static int put_list(const struct listing *l, struct st_error *err)
{
  ST_AUTO_RPMTS ts = NULL;
  if (rpm_database_read(l->db, l->call->words, &ts, err) < 0)
    return -1;
  ST_AUTO_FREE char *cookie = rpmdbCookie(rpmtsGetRdb(ts));
  st_buffer_clear(&l->call->words->error); /* without its index of names there is none */
  rpm_put(l->out, LIST_MAGIC);
  rpm_put(l->out, LIST_VERSION);
  rpm_put(l->out, cookie);
  if (put_packages(l, ts, err) < 0)
    return -1;
  rpm_put(l->out, LIST_END);
  return 0;
}

/* As nothing is locked, what was read counts only where rpm wrote nothing meanwhile. */
static int put_settled(const struct listing *l, struct st_error *err)
{
  struct rpm_identity before, after;
  for (int i = 0; i < TRIES; i++) {
    st_buffer_clear(l->out);
    st_buffer_clear(&l->call->words->error);
    st_error_clear(err);
    if (rpm_database_identity(l->db, &before, err) < 0)
      return -1;
    int r = put_list(l, err);
    ST_AUTO_ERROR gone = ST_ERROR_INIT;
    if (rpm_database_identity(l->db, &after, &gone) == 0 && rpm_identity_equal(&before, &after))
      return r;
  }
  return st_fail(err, 0, "rpm's database kept changing while it was read (%s)",
                 st_quote(l->db->folder));
}

int rpm_verb_list(const struct rpm_call *call, struct st_buffer *out, struct st_error *err)
{
  ST_AUTO_RPM_DATABASE db = {0};
  if (rpm_root_enter(RPM_ROOT_FD, call->words, err) < 0)
    return -1;
  int r = rpm_database_find(call->argc > 1 ? call->argv[1] : NULL, &db, err);
  if (r != 0)
    return r < 0 ? r : RPM_EXIT_NONE;
  return put_settled(&(struct listing){call, &db, out}, err) < 0 ? -1 : RPM_EXIT_OK;
}
