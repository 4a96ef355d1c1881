/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * view.c - a reader's view of the file.
 *
 * New checkpoints change nothing of what there was, but prune does: between two queries rows may
 * have moved to another checkpoint, and a path's number may have become another path's.
 */
#include "systracker/catalog/internal.h"

/* Where somebody else has committed since. */
static int forget_old(struct st_catalog *c, struct st_error *err)
{
  ST_AUTO_RESET *s = st_sql_fixed(c, ST_DATA_VERSION, err);

  if (!s || st_sql_step(c, s, err) < 0)
    return -1;
  int64_t before = c->version;
  c->version = sqlite3_column_int64(s, 0);
  if (c->version == before)
    return 0;
  st_owners_forget(c);
  c->has_last_path = false;
  c->manifests.checked = false;
  return st_gaps_load(c, err);
}

static int begin(struct st_view *view, struct st_catalog *c, bool hold, struct st_error *err)
{
  view->c = NULL;
  if (c->writer || !sqlite3_get_autocommit(c->db))
    return 0;
  if (hold) {
    if (st_sql_exec(c, "BEGIN", err) < 0)
      return -1;
    view->c = c;
  }
  return forget_old(c, err);
}

/* Without a WAL, who reads on in a pager would keep writers waiting. */
int st_view_begin(struct st_view *view, struct st_catalog *c, struct st_error *err)
{
  return begin(view, c, c->wal, err);
}

int st_view_hold(struct st_view *view, struct st_catalog *c, struct st_error *err)
{
  return begin(view, c, true, err);
}

void st_view_end(struct st_view *view)
{
  if (view->c)
    sqlite3_exec(view->c->db, "COMMIT", NULL, NULL, NULL);
}

int st_catalog_hold(struct st_catalog *c, struct st_error *err)
{
  if (c->held || c->writer || !sqlite3_get_autocommit(c->db))
    return 0;
  if (st_sql_exec(c, "BEGIN", err) < 0)
    return -1;
  c->held = true;
  if (forget_old(c, err) < 0) {
    st_catalog_let_go(c);
    return -1;
  }
  return 0;
}

void st_catalog_let_go(struct st_catalog *c)
{
  if (c->held)
    sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL);
  c->held = false;
}
