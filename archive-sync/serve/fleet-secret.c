/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fleet-secret.c - what a host calls a secret since today, and was gone before: its last digest was
 * of a plain content, and would tell it to who can guess that. */
#include <string.h>

#include "archive-sync/serve/fleet-internal.h"
#include "systracker/tracker/core.h"

/* Of the paths that are gone and have a digest, those that the rules name: ids. */
static int find_secrets(struct st_fleet *f, int64_t host, const struct st_rules *rules,
                        struct st_buffer *out, struct st_error *err)
{
  ST_AUTO_FLEET_STATEMENT *s = st_fleet_prepare(
      f->db,
      "SELECT p.id, p.path FROM fact t INDEXED BY fact_gone CROSS JOIN path p ON p.id = t.path"
      " WHERE t.host = ?1 AND t.until IS NOT NULL AND t.digest IS NOT NULL",
      err);
  int r = s ? 0 : -1;
  if (s)
    sqlite3_bind_int64(s, 1, host);
  while (r == 0 && (r = st_fleet_step(s, err)) == 1) {
    const char *bytes = sqlite3_column_blob(s, 1);
    int64_t id = sqlite3_column_int64(s, 0);
    ST_AUTO_FREE char *path = st_memdup(bytes ? bytes : "", (size_t)sqlite3_column_bytes(s, 1));
    if (*path == '/' && st_rules_match(rules, path, false))
      st_buffer_append(out, &id, sizeof(id));
    r = 0;
  }
  return r;
}

static int hide(struct st_fleet *f, int64_t host, const struct st_buffer *ids, struct st_error *err)
{
  ST_AUTO_FLEET_STATEMENT *s = st_fleet_prepare(
      f->db, "UPDATE fact SET digest = NULL, rest = NULL WHERE path = ?1 AND host = ?2", err);
  if (!s)
    return -1;
  for (size_t at = 0; at < ids->length; at += sizeof(int64_t)) {
    int64_t id;
    memcpy(&id, ids->data + at, sizeof(id));
    sqlite3_bind_int64(s, 1, id);
    sqlite3_bind_int64(s, 2, host);
    if (st_fleet_run(s, err) < 0)
      return -1;
  }
  return 0;
}

int st_fleet_hide_secrets(struct st_fleet *f, int64_t host, struct st_catalog *c,
                          struct st_error *err)
{
  ST_CLEANUP(st_rules_freep) struct st_rules *rules = st_rules_new();
  ST_AUTO_BUFFER ids = ST_BUFFER_INIT;
  if (st_core_secret_rules(c, rules, err) < 0 || find_secrets(f, host, rules, &ids, err) < 0)
    return -1;
  return ids.length > 0 ? hide(f, host, &ids, err) : 0;
}
