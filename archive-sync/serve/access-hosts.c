/* SPDX-License-Identifier: GPL-2.0-or-later */
/* access-hosts.c - the hosts there are: kept, listed, approved, denied. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "archive-sync/serve/access-inside.h"
#include "systracker/base/escape.h"

static const char *const states[] = {"pending", "approved", "denied"};

const char *st_host_state_name(enum st_host_state s)
{
  return states[s];
}

/* ---- In memory ----------------------------------------------------------------------------------
 */

struct st_host *st_access_find_host(struct st_access *a, const char *id)
{
  uint64_t i;
  return a->by_id && st_set_get(a->by_id, id, strlen(id), &i) ? a->hosts[i] : NULL;
}

struct st_host *st_access_new_host(struct st_access *a, const char *id)
{
  ST_GROW(a->hosts, a->nhosts, a->hosts_size);
  if (!a->by_id)
    a->by_id = st_set_new();
  struct st_host *h = st_calloc(1, sizeof(*h));
  st_access_copy(h->is.id, sizeof(h->is.id), id);
  st_set_add(a->by_id, id, strlen(id), a->nhosts);
  return a->hosts[a->nhosts++] = h;
}

static void free_host(struct st_host *h)
{
  free(h->nonces);
  explicit_bzero(h->sessions, sizeof(h->sessions));
  free(h);
}

void st_access_free_hosts(struct st_access *a)
{
  for (size_t i = 0; i < a->nhosts; i++)
    free_host(a->hosts[i]);
  free(a->hosts);
  if (a->by_id)
    st_set_free(a->by_id);
}

/* "INSTANCE ADDRESS\n" of each; the file is ours, but nothing is believed about lengths. */
static void read_left(struct st_host *h, const char *text)
{
  memset(h->left, 0, sizeof(h->left));
  for (size_t i = 0; i < ST_ACCESS_LEFT && text && *text; i++) {
    size_t n = strcspn(text, " \n");
    if (n == ST_INSTANCE_SIZE - 1)
      memcpy(h->left[i].instance, text, n);
    text += n + (text[n] == ' ');
    n = strcspn(text, "\n");
    if (n < ST_ACCESS_ADDRESS_SIZE)
      memcpy(h->left[i].address, text, n);
    text += n + (text[n] == '\n');
  }
}

static void read_host(struct st_host *h, sqlite3_stmt *s)
{
#define TEXT(column) ((const char *)sqlite3_column_text(s, column))
  h->found = true;
  h->has_key = sqlite3_column_bytes(s, 1) == ST_PUBLIC_KEY_SIZE;
  if (h->has_key)
    memcpy(h->key, sqlite3_column_blob(s, 1), ST_PUBLIC_KEY_SIZE);
  int64_t state = sqlite3_column_int64(s, 2);
  h->is.state = state == ST_HOST_PENDING || state == ST_HOST_APPROVED ? (enum st_host_state)state
                                                                      : ST_HOST_DENIED;
  h->is.since = sqlite3_column_int64(s, 3);
  st_access_copy(h->is.by, sizeof(h->is.by), TEXT(4));
  st_access_copy(h->is.address, sizeof(h->is.address), TEXT(5));
  h->is.bytes = sqlite3_column_int64(s, 6);
  st_access_copy(h->is.continues, sizeof(h->is.continues), TEXT(7));
  st_access_copy(h->instance, sizeof(h->instance), TEXT(8));
  read_left(h, TEXT(9));
  h->returns = sqlite3_column_int64(s, 10);
  h->is.twins = sqlite3_column_int64(s, 11);
  st_access_copy(h->is.twin, sizeof(h->is.twin), TEXT(12));
#undef TEXT
}

static void link_continued(struct st_access *a)
{
  for (size_t i = 0; i < a->nhosts; i++)
    a->hosts[i]->is.continued[0] = 0;
  for (size_t i = 0; i < a->nhosts; i++) {
    struct st_host *h = a->hosts[i];
    struct st_host *old = *h->is.continues ? st_access_find_host(a, h->is.continues) : NULL;
    if (old)
      memcpy(old->is.continued, h->is.id, sizeof(old->is.continued));
  }
}

/* Sessions live on with the hosts that are still there. */
static void drop_lost(struct st_access *a)
{
  size_t kept = 0;
  st_set_free(a->by_id);
  a->by_id = st_set_new();
  for (size_t i = 0; i < a->nhosts; i++) {
    struct st_host *h = a->hosts[i];
    if (!h->found) {
      free_host(h);
      continue;
    }
    st_set_add(a->by_id, h->is.id, strlen(h->is.id), kept);
    a->hosts[kept++] = h;
  }
  a->nhosts = kept;
}

int st_access_load_hosts(struct st_access *a, struct st_error *err)
{
  ST_AUTO_ACCESS_STMT *s = NULL;
  size_t found = 0;
  int r;
  if (st_access_prepare(a, &s,
                        "SELECT id, key, state, since, by, address, bytes, continues, instance,"
                        " earlier, returns, twins, twin FROM host",
                        err) < 0)
    return -1;
  for (size_t i = 0; i < a->nhosts; i++)
    a->hosts[i]->found = false;
  for (; (r = sqlite3_step(s)) == SQLITE_ROW; found++) {
    const char *id = (const char *)sqlite3_column_text(s, 0);
    struct st_host *h = id ? st_access_find_host(a, id) : NULL;
    read_host(h ? h : st_access_new_host(a, id ? id : ""), s);
  }
  if (r != SQLITE_DONE)
    return st_access_fail(a, "cannot read", err);
  if (found != a->nhosts)
    drop_lost(a);
  link_continued(a);
  return 0;
}

/* ---- Asking -------------------------------------------------------------------------------------
 */

bool st_access_host(struct st_access *a, const char *id, struct st_access_host *ret)
{
  ST_AUTO_ERROR ignored = ST_ERROR_INIT; /* what was read last */
  ST_ACCESS_HOLD(a);
  st_access_refresh(a, &ignored);
  const struct st_host *h = st_access_find_host(a, id);
  if (h)
    *ret = h->is;
  return h != NULL;
}

static int compare_hosts(const void *a, const void *b)
{
  return strcmp(((const struct st_access_host *)a)->id, ((const struct st_access_host *)b)->id);
}

int st_access_hosts(struct st_access *a, int state, st_access_host_fn *fn, void *arg,
                    struct st_error *err)
{
  ST_AUTO_FREE struct st_access_host *list = NULL;
  size_t n = 0;
  {
    ST_ACCESS_HOLD(a);
    if (st_access_refresh(a, err) < 0)
      return -1;
    list = st_calloc(a->nhosts + 1, sizeof(*list));
    for (size_t i = 0; i < a->nhosts; i++)
      if (state < 0 || a->hosts[i]->is.state == (enum st_host_state)state)
        list[n++] = a->hosts[i]->is;
  }
  qsort(list, n, sizeof(*list), compare_hosts);
  for (size_t i = 0; i < n; i++)
    if (fn(arg, &list[i], err) < 0)
      return -1;
  return 0;
}

/* ---- Approving ----------------------------------------------------------------------------------
 */

static int check_id(const char *id, struct st_error *err)
{
  uint8_t raw[(ST_HOST_ID_SIZE - 1) / 2];
  if (st_unhex(raw, sizeof(raw), id))
    return 0;
  return st_refuse(err, "a host's id has 32 hexadecimal digits (%s)", st_quote(id));
}

static int set_state(struct st_access *a, const char *id, enum st_host_state state, const char *by,
                     struct st_error *err)
{
  int changes;
  ST_AUTO_FREE char *said =
      st_format("%s by %s", state == ST_HOST_APPROVED ? "approved" : "denied", by);
  ST_ACCESS_HOLD(a);
  ST_AUTO_ACCESS_CHANGE *in = NULL;
  if (check_id(id, err) < 0 || st_access_start(a, false, &in, err) < 0 ||
      st_access_run(a, err, &changes,
                    "UPDATE host SET state = ?, by = ?, returns = 0, twins = 0, twin = '',"
                    " earlier = '' WHERE id = ?",
                    "iss", (int64_t)state, said, id) < 0)
    return -1;
  if (changes == 0 &&
      st_access_run(a, err, NULL,
                    "INSERT INTO host VALUES (?, NULL, ?, ?, ?, '', 0, '', '', '', 0, 0, '')",
                    "siis", id, (int64_t)state, (int64_t)time(NULL), said) < 0)
    return -1;
  if (st_access_commit(&in, err) < 0)
    return -1;
  st_access_note(a, false, "the host %s is %s", id, said);
  a->seen = -1;
  return st_access_refresh(a, err);
}

int st_access_approve(struct st_access *a, const char *id, const char *by, struct st_error *err)
{
  return set_state(a, id, ST_HOST_APPROVED, by, err);
}

int st_access_deny(struct st_access *a, const char *id, const char *by, struct st_error *err)
{
  return set_state(a, id, ST_HOST_DENIED, by, err);
}
