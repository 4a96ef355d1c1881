/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/serve/view-internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/tracker/render.h"

/* ---- Open and close -----------------------------------------------------------------------------
 */

bool st_view_is_host(const char *text)
{
  size_t n = strspn(text, "0123456789abcdef");
  const char *number = text + ST_HOST_ID_SIZE - 1 + strlen("/epoch-");
  if (n != ST_HOST_ID_SIZE - 1)
    return false;
  return text[n] == 0 || (strncmp(text + n, "/epoch-", 7) == 0 && *number && strlen(number) < 19 &&
                          strspn(number, "0123456789") == strlen(number));
}

static bool has_catalog(const struct st_archive *a, const char *host)
{
  ST_AUTO_FREE char *path = st_format("hosts/%s/catalog.db", host);
  return faccessat(a->dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int append(void *arg, const void *data, size_t n, struct st_error *err)
{
  struct st_buffer *out = arg;
  if (n > 1024 || out->length > 1024)
    return st_fail(err, 0, "too long for a name");
  st_buffer_append(out, data, n);
  return 0;
}

static char *find_name(struct st_hostview *v)
{
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  if (v->latest == 0 || st_catalog_held(v->t->catalog, v->latest) != ST_HELD ||
      st_tracker_content(v->t, v->latest, "/etc/hostname", false, append, &text, &ignored) != 0 ||
      text.length == 0)
    return st_strdup("");
  return st_escaped(text.data, strcspn(text.data, " \t\n"));
}

int st_hostview_open(struct st_hostview **ret, struct st_archive *a, const char *host,
                     struct st_error *err)
{
  if (!st_view_is_host(host) || !has_catalog(a, host)) {
    st_refuse(err, "there is no such host in the archive (%s)", st_quote(host));
    return 1;
  }
  const struct st_tracker_options options = {.archive = a->path, .host = host};
  ST_AUTO_HOSTVIEW *v = st_calloc(1, sizeof(*v));
  v->host = st_strdup(host);
  if (st_tracker_open(&v->t, &options, ST_TRACKER_LOOK, err) < 0)
    return st_wrap(err, "host %s", host);
  if (st_catalog_hold(v->t->catalog, err) < 0)
    return -1;
  v->latest = st_catalog_latest(v->t->catalog);
  v->name = find_name(v);
  *ret = st_steal(&v);
  return 0;
}

void st_hostview_close(struct st_hostview *v)
{
  if (v->pool)
    st_hostviews_return(v->pool, v);
  else
    st_hostview_free(v);
}

void st_hostview_free(struct st_hostview *v)
{
  if (v->t)
    st_tracker_close(v->t);
  if (v->counts)
    st_view_counts_free(v->counts);
  free(v->host);
  free(v->name);
  free(v);
}

int st_hostview_resolve(struct st_hostview *v, const char *text, int64_t *ret, struct st_error *err)
{
  struct st_checkpoint cp = {0};
  if (v->latest == 0) {
    st_refuse(err, "the host has sent no checkpoint yet");
    return 1;
  }
  if (st_catalog_resolve(v->t->catalog, text, ret, err) < 0)
    return 1;
  int r = st_catalog_checkpoint(v->t->catalog, *ret, &cp, err);
  st_checkpoint_clear(&cp);
  return r < 0 ? 1 : 0;
}

/* ---- Checkpoints --------------------------------------------------------------------------------
 */

static char *words_of(struct st_hostview *v, const struct st_checkpoint *cp)
{
  if (cp->held != ST_HELD)
    return st_strdup("not here");
  if (cp->number == 1)
    return st_format("the baseline: %" PRId64 " facts", cp->begun);
  if (st_catalog_before(v->t->catalog, cp->number) == 0)
    return st_format("%" PRId64 " facts, all there were", cp->begun);
  if (cp->begun == 0 && cp->ended == 0)
    return st_strdup("nothing changed");
  return st_format("%" PRId64 " began, %" PRId64 " ended", cp->begun, cp->ended);
}

static int tell_checkpoint(struct st_hostview *v, int64_t number, st_view_checkpoint_fn *fn,
                           void *arg, struct st_error *err)
{
  ST_CLEANUP(st_checkpoint_clear) struct st_checkpoint cp = {0};
  if (st_catalog_checkpoint(v->t->catalog, number, &cp, err) < 0)
    return -1;
  ST_AUTO_FREE char *words = words_of(v, &cp);
  return fn(arg, &cp, words, err);
}

size_t st_view_span_limit(struct st_view_span span)
{
  return span.limit == 0 || span.limit > ST_VIEW_LIMIT ? ST_VIEW_LIMIT : span.limit;
}

bool st_view_span_has(struct st_view_span span, size_t n)
{
  return n >= span.offset && n - span.offset < st_view_span_limit(span);
}

int st_hostview_checkpoints(struct st_hostview *v, struct st_view_span span,
                            st_view_checkpoint_fn *fn, void *arg, size_t *ret_total,
                            struct st_error *err)
{
  size_t n = 0;
  int r = 0;
  for (int64_t number = v->latest; number > 0 && r == 0; number--) {
    if (st_catalog_held(v->t->catalog, number) == ST_PRUNED)
      continue;
    if (st_view_span_has(span, n))
      r = tell_checkpoint(v, number, fn, arg, err);
    n++;
  }
  *ret_total = n;
  return r;
}

/* ---- What one covers ----------------------------------------------------------------------------
 */

/* All columns of the row that say something. */
static int add_row(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  const struct st_table *d = &fact->table->declaration;
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  (void)err;
  for (size_t i = 0; i < d->ncolumns; i++) {
    const struct st_value *value = &fact->values[i];
    if (value->type == ST_NULL || (value->type != ST_INTEGER && value->u.bytes.length == 0))
      continue;
    st_buffer_append_string(&words, words.length > 0 ? " " : "");
    st_render_value(&d->columns[i], value, &words);
  }
  st_strings_take(arg, st_buffer_steal(&words, NULL));
  return 0;
}

static int add_mount(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  const struct st_column *columns = fact->table->declaration.columns;
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  (void)err;
  if (fact->table->declaration.ncolumns < 3)
    return 0;
  st_render_value(&columns[0], &fact->values[0], &words);
  st_buffer_append_byte(&words, ' ');
  st_render_value(&columns[1], &fact->values[1], &words);
  if (fact->values[2].type != ST_INTEGER || fact->values[2].u.integer == 0)
    st_buffer_append_string(&words, ", not entered");
  st_strings_take(arg, st_buffer_steal(&words, NULL));
  return 0;
}

/* The whole of a plug-in, or a path, and why. */
static int add_missed(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  const struct st_column *columns = fact->table->declaration.columns;
  const struct st_value *v = fact->values;
  ST_AUTO_BUFFER what = ST_BUFFER_INIT;
  ST_AUTO_BUFFER why = ST_BUFFER_INIT;
  (void)err;
  if (fact->table->declaration.ncolumns < 3 || v[0].type != ST_TEXT || v[1].type != ST_PATH)
    return 0;
  st_render_value(&columns[2], &v[2], &why);
  if (v[1].u.bytes.length > 0)
    st_render_value(&columns[1], &v[1], &what);
  if (v[0].u.bytes.length > 0) {
    st_buffer_append_string(&what, what.length > 0 ? ", by plug-in " : "plug-in ");
    st_render_value(&columns[0], &v[0], &what);
  }
  st_strings_take(arg, st_format("%s: %s", what.data ? what.data : "all", why.data));
  return 0;
}

static int each_core(struct st_hostview *v, int64_t number, const char *table, st_fact_fn *fn,
                     struct st_strings *out, struct st_error *err)
{
  const struct st_catalog_table *found = st_catalog_table(v->t->catalog, table);
  return found ? st_catalog_each(v->t->catalog, number, found, NULL, fn, out, err) : 0;
}

int st_hostview_scope(struct st_hostview *v, int64_t number, struct st_view_scope *ret,
                      struct st_error *err)
{
  *ret = (struct st_view_scope){0};
  if (each_core(v, number, ST_CORE_PLUGIN, add_row, &ret->plugins, err) < 0 ||
      each_core(v, number, ST_CORE_MOUNT, add_mount, &ret->mounts, err) < 0 ||
      each_core(v, number, ST_CORE_UNOBSERVED, add_missed, &ret->missed, err) < 0) {
    st_view_scope_clear(ret);
    return -1;
  }
  return 0;
}

void st_view_scope_clear(struct st_view_scope *s)
{
  st_strings_free(&s->plugins);
  st_strings_free(&s->mounts);
  st_strings_free(&s->missed);
}
