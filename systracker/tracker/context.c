/* SPDX-License-Identifier: GPL-2.0-or-later */
/* context.c - what plug-ins may ask about themselves and the root (plugin.h). */
#include <fcntl.h>
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/process.h"
#include "systracker/base/text.h"
#include "systracker/tracker/tracker.h"

static const struct st_option *declared(const struct st_context *ctx, const char *name)
{
  for (const struct st_option *o = ctx->plugin->options; o && o->name; o++) {
    if (strcmp(o->name, name) == 0)
      return o;
  }
  return NULL;
}

static const struct st_conf_option *written(const struct st_context *ctx, const char *name)
{
  return ctx->conf ? st_conf_option(ctx->conf, name) : NULL;
}

const char *st_option_list(const struct st_context *ctx, const char *name, size_t n)
{
  const struct st_conf_option *w = written(ctx, name);
  if (w)
    return n < w->values.count ? w->values.items[n] : NULL;
  const struct st_option *d = declared(ctx, name);
  return d && n == 0 ? d->fallback : NULL;
}

const char *st_option_string(const struct st_context *ctx, const char *name)
{
  return st_option_list(ctx, name, 0);
}

/* The configuration was checked when it was read, so what does not parse here is no number. */
int64_t st_option_number(const struct st_context *ctx, const char *name)
{
  const struct st_option *d = declared(ctx, name);
  const char *text = st_option_string(ctx, name);
  if (!d || !text)
    return 0;
  uint64_t size;
  int64_t number;
  if (d->type == ST_OPT_SIZE)
    return st_parse_size(text, &size, NULL) == 0 && size <= INT64_MAX ? (int64_t)size : 0;
  return st_parse_number(text, &number, NULL) == 0 ? number : 0;
}

bool st_option_bool(const struct st_context *ctx, const char *name)
{
  const char *text = st_option_string(ctx, name);
  bool value;
  return text && st_parse_bool(text, &value, NULL) == 0 && value;
}

int st_context_root(const struct st_context *ctx)
{
  return ctx->root;
}

bool st_context_is_live_root(const struct st_context *ctx)
{
  return ctx->live_root;
}

int st_open_in_root(const struct st_context *ctx, const char *path, struct st_error *err)
{
  int fd = st_open_in(ctx->root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
  if (fd < 0) {
    st_fail(err, -fd, "cannot open a file (%s)", st_quote(path));
    return fd;
  }
  return fd;
}

int st_read_in_root(const struct st_context *ctx, const char *path, size_t max, char **ret,
                    size_t *length, struct st_error *err)
{
  ST_AUTO_CLOSE int fd = st_open_in_root(ctx, path, err);
  if (fd < 0)
    return fd;
  ST_AUTO_BUFFER content = ST_BUFFER_INIT;
  if (st_read_all(fd, max, &content, err) < 0)
    return st_wrap(err, "cannot read a file (%s)", st_quote(path));
  *ret = st_buffer_steal(&content, length);
  return 0;
}

int st_run_in_root(const struct st_context *ctx, char *const argv[], size_t max, unsigned seconds,
                   char **ret, size_t *length, struct st_error *err)
{
  if (ctx->live_root)
    return st_run(argv, max, seconds, ret, length, err);
  return st_run_in(ctx->root, argv, max, seconds, ret, length, err);
}

int st_run_own(const struct st_context *ctx, char *const argv[], size_t max, unsigned seconds,
               char **ret, size_t *length, struct st_error *err)
{
  if (strchr(argv[0], '/'))
    return st_fail(err, 0, "cannot run %s: a bare name is asked for", st_quote(argv[0]));
  ST_AUTO_FREE char *folder = st_host_libexec_dir();
  ST_AUTO_FREE char *path = st_format("%s/%s", folder, argv[0]);
  return st_run_with(path, argv, ctx->root, max, seconds, ret, length, err);
}

bool st_unchanged(const struct st_context *ctx, const void *fingerprint, size_t length)
{
  struct st_memo *memo = ctx->memo;
  st_digest(memo->given, fingerprint, length);
  memo->has_given = true;
  memo->was_same = memo->has_known && memcmp(memo->given, memo->known, ST_DIGEST_SIZE) == 0;
  return memo->was_same;
}

/* ---- Package files ---------------------------------------------------------------------- */

const struct st_packages *st_tracker_packages(struct st_tracker *t, struct st_error *err)
{
  if (!t->packages && st_packages_open(&t->packages, t->store_dir, err) < 0)
    return NULL;
  return t->packages;
}

void st_tracker_forget_packages(struct st_tracker *t)
{
  if (t->packages)
    st_packages_close(st_steal(&t->packages));
}

int st_package_file(const struct st_context *ctx, const char *name, const char *version,
                    const char *architecture, struct st_error *err)
{
  const struct st_package *package = NULL;
  if (ctx->tracker->store_dir >= 0) {
    const struct st_packages *packages = st_tracker_packages(ctx->tracker, err);
    if (!packages)
      return -1;
    package = st_packages_find(packages, name, version, architecture);
  }
  if (package)
    return st_packages_read(ctx->tracker->packages, package, err);
  st_fail(err, 0, "the file of this package is not kept (%s)", st_quote(name));
  return -ENOENT;
}
