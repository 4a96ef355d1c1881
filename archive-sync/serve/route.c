/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/serve/route.h"

#include <string.h>

#include "archive-sync/serve/url.h"

/* A pattern and a path are compared segment by segment.  Words stand for themselves, as they are
 * sent: no other spelling of them is taken. */
static bool fits(const char *pattern, const char *path)
{
  while (*pattern == '/' && *path == '/') {
    size_t p = strcspn(++pattern, "/"), s = strcspn(++path, "/");
    if (strncmp(pattern, "**", p) == 0 && p == 2)
      return true;
    bool any = p == 1 && *pattern == '*';
    if (any ? s == 0 : p != s || strncmp(pattern, path, p) != 0)
      return false;
    pattern += p;
    path += s;
  }
  return *pattern == 0 && *path == 0;
}

static size_t weight(const char *pattern)
{
  size_t n = 0;
  for (const char *p = pattern; *p; p++)
    n += *p != '*';
  return n;
}

static bool is_method(const struct st_route *route, const char *method)
{
  return strcmp(route->method, method) == 0 ||
         (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

static void add_method(struct st_strings *allow, const char *method)
{
  if (!st_strings_has(allow, method))
    st_strings_add(allow, method);
  if (strcmp(method, "GET") == 0 && !st_strings_has(allow, "HEAD"))
    st_strings_add(allow, "HEAD");
}

static char *join(const struct st_strings *methods)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  for (size_t i = 0; i < methods->count; i++)
    st_buffer_printf(&text, "%s%s", i ? ", " : "", methods->items[i]);
  return st_buffer_steal(&text, NULL);
}

/* "ID" or "ID~N" as "ID" or "ID/epoch-N"; NULL: it is neither. */
static char *host_part(const char *part)
{
  const size_t id = ST_HOST_ID_SIZE - 1;
  if (strspn(part, "0123456789abcdef") != id || (part[id] != 0 && part[id] != '~'))
    return NULL;
  if (part[id] == 0)
    return st_strdup(part);
  const char *epoch = part + id + 1;
  size_t n = strlen(epoch);
  if (n == 0 || n > 9 || strspn(epoch, "0123456789") != n || *epoch == '0')
    return NULL;
  return st_format("%.*s/epoch-%s", (int)id, part, epoch);
}

static bool take_part(struct st_request *r, const char *text, size_t length, bool rest)
{
  char *part = r->nparts < ST_REQUEST_PARTS ? st_url_decode(text, length, false) : NULL;
  if (part)
    r->parts[r->nparts++] = part;
  return part && (rest || !strchr(part, '/'));
}

static enum st_route_result take_parts(struct st_request *r)
{
  const char *pattern = r->route->pattern, *path = r->path;
  while (*pattern == '/') {
    size_t p = strcspn(++pattern, "/"), s = strcspn(++path, "/");
    bool rest = p == 2 && strncmp(pattern, "**", 2) == 0;
    if (*pattern == '*' && !take_part(r, path, rest ? strlen(path) : s, rest))
      return ST_ROUTE_MALFORMED;
    pattern += p;
    path += s;
  }
  if (!(r->route->flags & ST_ROUTE_HOST))
    return ST_ROUTE_FOUND;
  char *host = r->nparts > 0 ? host_part(r->parts[0]) : NULL;
  if (!host)
    return ST_ROUTE_NONE;
  free(r->parts[0]);
  r->parts[0] = host;
  return ST_ROUTE_FOUND;
}

enum st_route_result st_route_find(const struct st_route *const *tables, struct st_request *r,
                                   char **ret_allow)
{
  ST_AUTO_STRINGS allow = {0};
  const struct st_route *best = NULL;
  for (; *tables; tables++)
    for (const struct st_route *route = *tables; route->method; route++) {
      if (!fits(route->pattern, r->path))
        continue;
      r->page = r->page || (route->flags & ST_ROUTE_PAGE);
      add_method(&allow, route->method);
      if (is_method(route, r->method) && (!best || weight(route->pattern) > weight(best->pattern)))
        best = route;
    }
  if (!best && allow.count == 0)
    return ST_ROUTE_NONE;
  if (!best) {
    *ret_allow = join(&allow);
    return ST_ROUTE_METHOD;
  }
  r->route = best;
  r->page = best->flags & ST_ROUTE_PAGE;
  return take_parts(r);
}

void st_route_clear(struct st_request *r)
{
  for (size_t i = 0; i < r->nparts; i++)
    free(r->parts[i]);
  r->nparts = 0;
}
