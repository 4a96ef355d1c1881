/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <rpm/rpmdb.h>

#include "plugins/rpm_track/rpm/verbs.h"

int rpm_verb_cookie(const struct rpm_call *call, struct st_buffer *out, struct st_error *err)
{
  ST_AUTO_RPM_DATABASE db = {0};
  ST_AUTO_RPMTS ts = NULL;
  if (rpm_root_enter(RPM_ROOT_FD, call->words, err) < 0)
    return -1;
  int r = rpm_database_find(call->argc > 1 ? call->argv[1] : NULL, &db, err);
  if (r != 0)
    return r < 0 ? r : RPM_EXIT_NONE;
  if (rpm_database_read(&db, call->words, &ts, err) < 0)
    return -1;
  ST_AUTO_FREE char *cookie = rpmdbCookie(rpmtsGetRdb(ts));
  if (!cookie || call->words->error.length > 0)
    return rpm_words_fail(call->words, err, "rpm's database has no list of names");
  rpm_put(out, cookie);
  return RPM_EXIT_OK;
}
