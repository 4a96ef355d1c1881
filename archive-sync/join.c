/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/join.h"

#include <fcntl.h>
#include <string.h>

#include "systracker/base/base64.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"

#define SCHEME "https://"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define TOKEN_MAX 128

bool st_join_is_remote(const char *url)
{
  return strncmp(url, SCHEME, strlen(SCHEME)) == 0;
}

char *st_join_shown(const char *url)
{
  return st_join_is_remote(url) ? st_memdup(url, strcspn(url, "#")) : st_strdup(url);
}

char *st_join_take(char *argument)
{
  char *copy = st_strdup(argument);
  char *behind = strchr(argument, '#');
  if (behind && st_join_is_remote(copy))
    memset(behind + 1, 0, strlen(behind + 1));
  return copy;
}

void st_join_copy(struct st_join *to, const struct st_join *from)
{
  *to = *from;
  to->address = st_strdup(from->address);
  to->token = from->token ? st_strdup(from->token) : NULL;
}

void st_join_clear(struct st_join *join)
{
  if (join->token)
    explicit_bzero(join->token, strlen(join->token));
  free(join->token);
  free(join->address);
}

/* No user, no query: names, numbers, and a path where a proxy has one. */
static int take_address(struct st_join *j, const char *url, size_t n, struct st_error *err)
{
  const char *host = url + strlen(SCHEME);
  size_t name = strcspn(host, "/#"), all = strspn(host, LETTERS "-._~:[]/%");
  while (n > strlen(SCHEME) + name && url[n - 1] == '/')
    n--;
  ST_AUTO_FREE char *address = st_memdup(url, n);
  if (name == 0 || strspn(host, LETTERS "-._:[]") < name || all < strcspn(host, "#"))
    return st_fail(err, 0, "this is no address of an archive's server: https://HOST:PORT is (%s)",
                   st_quote(address));
  j->address = st_steal(&address);
  return 0;
}

static int take_pin(struct st_join *j, const char *text, size_t n, struct st_error *err)
{
  ST_AUTO_BUFFER pin = ST_BUFFER_INIT;
  if (n == 0)
    return 0;
  if (!st_unbase64url(&pin, text, n) || pin.length != sizeof(j->pin))
    return st_fail(err, 0,
                   "the join string is damaged: what is behind the # is DIGEST.TOKEN, and this is "
                   "no digest of a key (%s)",
                   st_quote(j->address));
  memcpy(j->pin, pin.data, sizeof(j->pin));
  j->pinned = true;
  return 0;
}

static int take_token(struct st_join *j, const char *text, struct st_error *err)
{
  size_t n = strlen(text);
  if (n > TOKEN_MAX || (*text != 'j' && *text != 'r') || strspn(text, LETTERS "-_") != n)
    return st_fail(err, 0,
                   "the join string is damaged: a token begins with j or r, and has letters, "
                   "numbers, - and _ (%s)",
                   st_quote(j->address));
  j->token = st_strdup(text);
  return 0;
}

int st_join_parse(struct st_join *ret, const char *url, const char *behind, struct st_error *err)
{
  ST_AUTO_JOIN j = {0};
  const char *own = strchr(url, '#'), *hash = behind ? strchr(behind, '#') : NULL;
  if (!st_join_is_remote(url))
    return st_fail(err, 0, "an archive's server is reached by https:// alone (%s)", st_quote(url));
  if (take_address(&j, url, own ? (size_t)(own - url) : strlen(url), err) < 0)
    return -1;
  const char *text = own ? own + 1 : hash ? hash + 1 : behind ? behind : "";
  size_t pin = strcspn(text, ".");
  if (take_pin(&j, text, pin, err) < 0 || (text[pin] && take_token(&j, text + pin + 1, err) < 0))
    return -1;
  *ret = j;
  j = (struct st_join){0};
  return 0;
}

char *st_join_server(const struct st_join *join)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  if (join->pinned) {
    st_buffer_append_string(&out, "key:");
    st_base64url(&out, join->pin, sizeof(join->pin));
    return st_buffer_steal(&out, NULL);
  }
  const char *host = join->address + strlen(SCHEME);
  bool six = *host == '[';
  host += six;
  st_buffer_append_string(&out, "name:");
  for (size_t n = strcspn(host, six ? "]/" : ":/"); n > 0; n--, host++)
    st_buffer_append_byte(&out, (uint8_t)(*host >= 'A' && *host <= 'Z' ? *host + 32 : *host));
  return st_buffer_steal(&out, NULL);
}

int st_join_read(const char *path, char **ret, struct st_error *err)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  ST_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0)
    return st_fail(err, errno, "cannot read the join string (%s)", st_quote(path));
  if (st_read_all(fd, ST_JOIN_FILE_MAX, &text, err) < 0)
    return st_wrap(err, "the join string in %s", st_quote(path));
  *ret = st_memdup(text.data ? text.data : "", text.data ? strcspn(text.data, " \t\r\n") : 0);
  explicit_bzero(text.data, text.length);
  return 0;
}
