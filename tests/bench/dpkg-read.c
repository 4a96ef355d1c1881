/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dpkg-read.c - what it costs dpkg_track to read dpkg's database:
 *
 *   dpkg-read ROOT TIMES             `collect`, and each package's paths with their digests
 *   dpkg-read ROOT TIMES unchanged   `collect`, being told that nothing changed
 *
 * The plug-in's own sources, with a host that only counts.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/dpkg_track/database.h"
#include "plugins/dpkg_track/listing.h"

struct st_context {
  int root;
};

struct st_error {
  char message[512];
};

struct st_facts {
  size_t count;
};

static bool told_unchanged;

static void die(const char *what)
{
  fprintf(stderr, "dpkg-read: %s\n", what);
  exit(2);
}

/* ---- The host ----------------------------------------------------------------------------------
 */

int st_fail(struct st_error *err, int code, const char *fmt, ...)
{
  va_list ap;
  (void)code;
  va_start(ap, fmt);
  if (err)
    vsnprintf(err->message, sizeof(err->message), fmt, ap);
  va_end(ap);
  return -1;
}

void st_log(enum st_log_level level, const char *fmt, ...)
{
  (void)level;
  fprintf(stderr, "dpkg-read: %s\n", fmt);
}

const char *st_option_string(const struct st_context *ctx, const char *name)
{
  (void)ctx;
  return strcmp(name, "admindir") == 0 ? "/var/lib/dpkg" : NULL;
}

int64_t st_option_number(const struct st_context *ctx, const char *name)
{
  (void)ctx;
  (void)name;
  return 1;
}

int st_context_root(const struct st_context *ctx)
{
  return ctx->root;
}

bool st_context_is_live_root(const struct st_context *ctx)
{
  (void)ctx;
  return false;
}

int st_open_in_root(const struct st_context *ctx, const char *path, struct st_error *err)
{
  int fd = openat(ctx->root, path + 1, O_RDONLY | O_CLOEXEC), code = errno;
  return fd < 0 ? (st_fail(err, code, "cannot open a file"), -code) : fd;
}

int st_read_in_root(const struct st_context *ctx, const char *path, size_t max, char **ret,
                    size_t *length, struct st_error *err)
{
  struct stat st;
  int fd = st_open_in_root(ctx, path, err);
  if (fd < 0)
    return fd;
  if (fstat(fd, &st) < 0 || (size_t)st.st_size > max)
    die(path);
  *length = (size_t)st.st_size;
  *ret = malloc(*length + 1);
  if (!*ret || read(fd, *ret, *length) != st.st_size)
    die(path);
  (*ret)[*length] = 0;
  close(fd);
  return 0;
}

bool st_unchanged(const struct st_context *ctx, const void *fingerprint, size_t length)
{
  (void)ctx;
  (void)fingerprint;
  (void)length;
  return told_unchanged;
}

int st_fact(struct st_facts *out, const char *table, const struct st_value *row, size_t ncolumns,
            struct st_error *err)
{
  (void)table;
  (void)row;
  (void)ncolumns;
  (void)err;
  out->count++;
  return 0;
}

/* ---- What is not measured -----------------------------------------------------------------------
 */

int st_run_in_root(const struct st_context *ctx, char *const argv[], size_t max, unsigned seconds,
                   char **ret, size_t *length, struct st_error *err)
{
  (void)ctx, (void)argv, (void)max, (void)seconds, (void)ret, (void)length;
  return st_fail(err, 0, "nothing is run here");
}
int st_package_file(const struct st_context *ctx, const char *name, const char *version,
                    const char *architecture, struct st_error *err)
{
  (void)ctx, (void)name, (void)version, (void)architecture, (void)err;
  return -ENOENT;
}
struct st_prover *st_prover_new(const struct st_context *ctx)
{
  (void)ctx;
  return NULL;
}

void st_prover_free(struct st_prover *prover)
{
  (void)prover;
}

void st_prove(struct st_prover *prover, struct st_proof *list, size_t count)
{
  (void)prover;
  (void)list;
  (void)count;
}

int st_expect(struct st_manifest *out, const char *full_table, const struct st_value *row,
              size_t ncolumns, struct st_error *err)
{
  (void)out, (void)full_table, (void)row, (void)ncolumns, (void)err;
  return 0;
}
void st_manifest_observed(struct st_manifest *out)
{
  (void)out;
}
int st_say(struct st_text *out, const char *fmt, ...)
{
  (void)out, (void)fmt;
  return 0;
}
int st_say_bytes(struct st_text *out, const void *data, size_t length)
{
  (void)out, (void)data, (void)length;
  return 0;
}
int st_say_column(struct st_text *out, const struct st_change *change, size_t column)
{
  (void)out, (void)change, (void)column;
  return 0;
}
int st_plan_action(struct st_plan *out, const char *words, bool possible, const void *data,
                   size_t length, struct st_error *err)
{
  (void)out, (void)words, (void)possible, (void)data, (void)length, (void)err;
  return 0;
}

/* ---- Reading ------------------------------------------------------------------------------------
 */

struct count {
  size_t facts, packages, paths, sums, conffiles;
};

static void read_package(int info, const struct package *p, struct count *c)
{
  struct listing l;
  struct conffile conf;
  int r = listing_read(&l, info, p, NULL);
  if (r < 0)
    die("a list cannot be read");
  c->paths += l.count;
  for (size_t i = 0; i < l.count; i++)
    c->sums += l.items[i].md5 != NULL;
  for (const char *at = NULL; conffile_next(p, &at, &conf);)
    c->conffiles += listing_find(&l, conf.path, conf.length) != NULL;
  listing_clear(&l);
}

static void read_all(struct dpkg_track *d, struct count *c)
{
  struct st_facts facts = {0};
  struct st_error err = {0};
  *c = (struct count){0};
  int r = st_plugin_register()->collect(d, &facts, &err);
  if (r != (told_unchanged ? ST_UNCHANGED : 0))
    die(err.message);
  c->facts = facts.count;
  c->packages = d->database.packages.count;
  int info = st_open_in_root(d->ctx, d->info, &err);
  for (size_t i = 0; i < c->packages; i++)
    read_package(info, &d->database.packages.items[i], c);
  close(info);
}

int main(int argc, char **argv)
{
  struct count c = {0};
  struct st_error err = {0};
  void *self = NULL;
  struct st_context ctx = {.root = argc > 2 ? open(argv[1], O_RDONLY | O_DIRECTORY) : -1};
  told_unchanged = argc == 4 && strcmp(argv[3], "unchanged") == 0;
  if (ctx.root < 0 || (argc == 4 && !told_unchanged))
    die("usage: dpkg-read ROOT TIMES [unchanged]");
  if (st_plugin_register()->open(&ctx, &self, &err) < 0)
    die(err.message);
  for (long i = strtol(argv[2], NULL, 10); i > 0; i--)
    read_all(self, &c);
  printf("%zu facts, %zu packages, %zu conffiles, %zu paths, %zu md5sums\n", c.facts, c.packages,
         c.conffiles, c.paths, c.sums);
  st_plugin_register()->close(self);
  return 0;
}
