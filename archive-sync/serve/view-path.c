/* SPDX-License-Identifier: GPL-2.0-or-later */
/* view-path.c - one path at a checkpoint, and what became of it. */
#include <string.h>

#include "archive-sync/serve/view-internal.h"
#include "systracker/base/escape.h"
#include "systracker/tracker/pathfacts.h"

/* ---- At a checkpoint ----------------------------------------------------------------------------
 */

void st_view_entry_clear(struct st_view_entry *e)
{
  for (size_t i = 0; i < e->ncolumns; i++)
    free(e->columns[i].value);
  free(e->columns);
  free(e->package);
  free(e->unobserved);
  json_decref(e->json);
  *e = (struct st_view_entry){0};
}

static void add_column(struct st_view_entry *e, const char *table, const struct st_column *column,
                       const struct st_value *value)
{
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  st_render_value(column, value, &words);
  e->columns = st_realloc(e->columns, e->ncolumns + 1, sizeof(*e->columns));
  e->columns[e->ncolumns++] =
      (struct st_view_column){table, column->name, st_buffer_steal(&words, NULL)};
}

/* The columns that others look for by their names. */
static void note_column(struct st_view_entry *e, const char *name, const struct st_value *v)
{
  if (strcmp(name, "type") == 0 && v->type == ST_TEXT && v->u.bytes.length == 1)
    e->type = *(const char *)v->u.bytes.data;
  if (strcmp(name, "size") == 0 && v->type == ST_INTEGER)
    e->size = v->u.integer;
  if (strcmp(name, "digest") == 0 && v->type == ST_ID && !v->u.id.keyed)
    st_hex(e->digest, v->u.id.digest, ST_DIGEST_SIZE);
}

static void add_fact(struct st_view_entry *e, const struct st_path_facts *f,
                     const struct st_fact_row *fact)
{
  const struct st_table *d = &fact->table->declaration;
  bool hidden = st_path_facts_hide(f, fact);
  e->expected &= fact->expected;
  for (size_t i = 1; i < d->ncolumns; i++) {
    const struct st_value *v = &fact->values[i];
    if (v->type == ST_NULL || (d->columns[i].flags & ST_DERIVED) || (hidden && v->type != ST_TEXT))
      continue;
    note_column(e, d->columns[i].name, v);
    if (v->type != ST_ID || !(d->columns[i].flags & ST_OBJECT))
      add_column(e, fact->table->name, &d->columns[i], v);
  }
}

int st_hostview_entry(struct st_hostview *v, int64_t number, const char *path,
                      struct st_view_entry *ret, struct st_error *err)
{
  ST_AUTO_PATH_FACTS f = {0};
  *ret = (struct st_view_entry){.size = -1};
  if (st_path_facts_read(v->t, number, path, &f, err) < 0)
    return -1;
  ret->present = f.count > 0;
  ret->secret = f.secret;
  ret->expected = f.count > 0;
  for (size_t i = 0; i < f.count; i++)
    add_fact(ret, &f, f.facts[i]);
  ret->package = f.package.name ? st_packaged_name(&f.package) : NULL;
  ret->source = st_path_facts_source(&f);
  ret->unobserved = f.unobserved ? st_strdup(f.unobserved) : NULL;
  ret->json = json_object();
  json_object_set_new(ret->json, "path", st_json_path(path));
  st_path_facts_json(&f, ret->json);
  return 0;
}

/* ---- History ------------------------------------------------------------------------------------
 */

struct history {
  struct st_hostview *v;
  struct st_view_span span;
  st_view_event_fn *fn;
  void *arg;
  size_t n;
  bool *more;
};

static int on_event(void *arg, const struct st_history_event *event, struct st_error *err)
{
  struct history *h = arg;
  ST_AUTO_STRINGS words = {0};
  size_t n = h->n++;
  if (n < h->span.offset)
    return 0;
  if (!st_view_span_has(h->span, n)) {
    *h->more = true;
    return 1;
  }
  if (st_history_words(h->v->t, event, false, &words, err) < 0)
    return -1;
  ST_AUTO_FREE char *message =
      event->cp->message ? st_escaped(event->cp->message, strlen(event->cp->message)) : NULL;
  const struct st_view_event told = {
      .number = event->cp->number,
      .before = event->before,
      .time = event->cp->time,
      .letter = event->group->letter,
      .secret = event->group->secret,
      .words = &words,
      .message = message,
      .json = st_history_json(h->v->t, event, false),
  };
  int r = h->fn(h->arg, &told, err);
  json_decref(told.json);
  return r;
}

int st_hostview_history(struct st_hostview *v, const char *path, struct st_view_span span,
                        st_view_event_fn *fn, void *arg, bool *ret_more, struct st_error *err)
{
  struct history h = {.v = v, .span = span, .fn = fn, .arg = arg, .more = ret_more};
  *ret_more = false;
  return st_history_each(v->t, path, false, on_event, &h, err) < 0 ? -1 : 0;
}
