/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/test-host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int (*host_run)(char *const argv[], char **ret, size_t *length);
const char *host_packages;

/* ---- What the plug-in calls ------------------------------------------------------------- */

int st_fail(struct st_error *err, int code, const char *fmt, ...)
{
  va_list ap;
  if (!err)
    return -1;
  va_start(ap, fmt);
  int n = vsnprintf(err->message, sizeof(err->message), fmt, ap);
  va_end(ap);
  if (code && n >= 0 && (size_t)n < sizeof(err->message))
    snprintf(err->message + n, sizeof(err->message) - (size_t)n, ": %s", strerror(code));
  return -1;
}

void st_log(enum st_log_level level, const char *fmt, ...)
{
  (void)level;
  (void)fmt;
}

static const struct st_option *declared(const char *name)
{
  const struct st_option *o = st_plugin_register()->options;
  for (; o && o->name; o++) {
    if (strcmp(o->name, name) == 0)
      return o;
  }
  fail_msg("option %s was not declared", name);
  return NULL;
}

const char *st_option_list(const struct st_context *ctx, const char *name, size_t n)
{
  const struct st_option *d = declared(name);
  for (const struct host_option *o = ctx->options; o && o->name; o++) {
    if (strcmp(o->name, name) != 0)
      continue;
    for (size_t i = 0; o->values[i]; i++) {
      if (i == n)
        return o->values[i];
    }
    return NULL;
  }
  return n == 0 ? d->fallback : NULL;
}

const char *st_option_string(const struct st_context *ctx, const char *name)
{
  return st_option_list(ctx, name, 0);
}

int64_t st_option_number(const struct st_context *ctx, const char *name)
{
  const char *text = st_option_string(ctx, name);
  char *end = NULL;
  int64_t n = text ? strtoll(text, &end, 10) : 0;
  return end && *end == 'M' ? n << 20 : n;
}

bool st_option_bool(const struct st_context *ctx, const char *name)
{
  const char *text = st_option_string(ctx, name);
  return text && strcmp(text, "true") == 0;
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
  assert_int_equal(path[0], '/');
  int fd = openat(ctx->root, path + 1, O_RDONLY | O_CLOEXEC);
  if (fd >= 0)
    return fd;
  int code = errno;
  st_fail(err, code, "cannot open a file");
  return -code;
}

int st_read_in_root(const struct st_context *ctx, const char *path, size_t max, char **ret,
                    size_t *length, struct st_error *err)
{
  struct stat st;
  int fd = st_open_in_root(ctx, path, err);
  if (fd < 0)
    return fd;
  assert_int_equal(fstat(fd, &st), 0);
  assert_true((size_t)st.st_size <= max);
  *ret = calloc(1, (size_t)st.st_size + 1);
  *length = (size_t)st.st_size;
  assert_int_equal(read(fd, *ret, *length), *length);
  close(fd);
  return 0;
}

int st_run(char *const argv[], size_t max, unsigned seconds, char **ret, size_t *length,
           struct st_error *err)
{
  assert_true(max > 0 && seconds > 0);
  int r = host_run ? host_run(argv, ret, length) : -EIO;
  return r < 0 ? (st_fail(err, -r, "cannot run a program"), r) : r;
}

int st_run_own(const struct st_context *ctx, char *const argv[], size_t max, unsigned seconds,
               char **ret, size_t *length, struct st_error *err)
{
  (void)ctx;
  return st_run(argv, max, seconds, ret, length, err);
}

/* Tests tell the two apart by the programs. */
int st_run_in_root(const struct st_context *ctx, char *const argv[], size_t max, unsigned seconds,
                   char **ret, size_t *length, struct st_error *err)
{
  (void)ctx;
  return st_run(argv, max, seconds, ret, length, err);
}

static void say(char *to, size_t *length, const char *fmt, va_list ap)
{
  int n = vsnprintf(to + *length, HOST_MOST - *length, fmt, ap);
  assert_true(n >= 0 && (size_t)n < HOST_MOST - *length);
  *length += (size_t)n;
}

int st_say(struct st_text *out, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  say(out->words, &out->length, fmt, ap);
  va_end(ap);
  return 0;
}

/* Enough to see that it was asked for. */
int st_say_column(struct st_text *out, const struct st_change *change, size_t column)
{
  return st_say(out, "[%s]", change->declaration->columns[column].name);
}

int st_say_bytes(struct st_text *out, const void *data, size_t length)
{
  for (size_t i = 0; i < length; i++) {
    unsigned char c = ((const unsigned char *)data)[i];
    st_say(out, c < ' ' || c == 127 ? "\\x%02x" : "%c", c);
  }
  return 0;
}

/* Lines of facts and manifests. */
struct notes {
  char *lines;
  size_t *length;
};

static ST_PRINTF(2, 3) void note(struct notes out, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  say(out.lines, out.length, fmt, ap);
  va_end(ap);
}

static void note_value(struct notes out, const struct st_value *v)
{
  if (v->type == ST_NULL)
    note(out, "|-");
  else if (v->type == ST_INTEGER)
    note(out, "|%lld", (long long)v->u.integer);
  else if (v->type == ST_ID)
    note(out, "|%s:%02x", v->u.id.keyed ? "secret" : "id", v->u.id.digest[0]);
  else
    note(out, "|%.*s", (int)v->u.bytes.length, (const char *)v->u.bytes.data);
}

static void note_row(struct notes out, const char *table, const struct st_value *row, size_t n)
{
  note(out, "%s", table);
  for (size_t i = 0; i < n; i++)
    note_value(out, &row[i]);
  note(out, "\n");
}

/* As the real host: every row is of a declared table, with its columns and their types. */
static void check_row(const char *table, const struct st_value *row, size_t n)
{
  const struct st_table *t = st_plugin_register()->tables;
  while (t->name && strcmp(t->name, table) != 0)
    t++;
  assert_non_null(t->name);
  assert_int_equal(t->ncolumns, n);
  for (size_t i = 0; i < n; i++)
    assert_true(row[i].type == t->columns[i].type ||
                (row[i].type == ST_NULL && !(t->columns[i].flags & ST_KEY)));
}

int st_fact(struct st_facts *out, const char *table, const struct st_value *row, size_t ncolumns,
            struct st_error *err)
{
  (void)err;
  check_row(table, row, ncolumns);
  note_row((struct notes){out->lines, &out->length}, table, row, ncolumns);
  out->count++;
  return 0;
}

bool (*host_unchanged)(const void *fingerprint, size_t length);

bool st_unchanged(const struct st_context *ctx, const void *fingerprint, size_t length)
{
  (void)ctx;
  return host_unchanged && host_unchanged(fingerprint, length);
}

int st_keep(struct st_facts *out, const char *table, const char *column, const struct st_value *row,
            size_t ncolumns, const void *data, size_t length, struct st_id *ret,
            struct st_error *err)
{
  (void)column;
  (void)err;
  check_row(table, row, ncolumns);
  *ret = host_id(false, length > 0 ? *(const uint8_t *)data : 0);
  out->kept++;
  return 0;
}

int st_expect(struct st_manifest *out, const char *full_table, const struct st_value *row,
              size_t ncolumns, struct st_error *err)
{
  (void)err;
  note_row((struct notes){out->lines, &out->length}, full_table, row, ncolumns);
  return 0;
}

void st_manifest_observed(struct st_manifest *out)
{
  note((struct notes){out->lines, &out->length}, "observed\n");
}

int st_package_file(const struct st_context *ctx, const char *name, const char *version,
                    const char *architecture, struct st_error *err)
{
  char path[512];
  (void)ctx;
  snprintf(path, sizeof(path), "%s/%s_%s_%s", host_packages ? host_packages : "/nonexistent", name,
           version, architecture);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd >= 0)
    return fd;
  st_fail(err, 0, "no package file is kept (%s)", name);
  return -ENOENT;
}

int st_plan_action(struct st_plan *out, const char *words, bool possible, const void *data,
                   size_t length, struct st_error *err)
{
  (void)err;
  assert_true(length <= sizeof(out->data));
  if (length > 0)
    memcpy(out->data, data, length);
  out->data_length = length;
  st_say(&out->text, "%s: %s\n", possible ? "yes" : "no", words);
  return 0;
}

/* ---- What tests call --------------------------------------------------------------------- */

void *host_open(const struct st_context *ctx)
{
  struct st_error err = {0};
  void *self = NULL;
  if (st_plugin_register()->open(ctx, &self, &err) < 0)
    fail_msg("open: %s", err.message);
  return self;
}

void host_open_fails(const struct st_context *ctx, const char *words)
{
  struct st_error err = {0};
  void *self = NULL;
  assert_true(st_plugin_register()->open(ctx, &self, &err) < 0);
  if (!strstr(err.message, words))
    fail_msg("\"%s\" does not say \"%s\"", err.message, words);
}

static struct st_change change_of(const char *table, const struct st_value *before,
                                  const struct st_value *after)
{
  const struct st_table *t = st_plugin_register()->tables;
  while (table && strcmp(t->name, table) != 0)
    assert_non_null((++t)->name);
  return (struct st_change){.table = "any", .declaration = t, .before = before, .after = after};
}

const char *host_explain_in(const char *table, void *self, const struct st_value *before,
                            const struct st_value *after)
{
  static struct st_text text;
  struct st_error err = {0};
  struct st_change change = change_of(table, before, after);
  text.length = 0;
  text.words[0] = 0;
  assert_int_equal(st_plugin_register()->explain(self, &change, &text, &err), 0);
  return text.words;
}

const char *host_explain(void *self, const struct st_value *before, const struct st_value *after)
{
  return host_explain_in(NULL, self, before, after);
}

static struct st_plan planned;

const char *host_plan_in(const char *table, void *self, const struct st_value *before,
                         const struct st_value *after)
{
  struct st_error err = {0};
  struct st_change change = change_of(table, before, after);
  planned.text.length = 0;
  planned.text.words[0] = 0;
  planned.data_length = 0;
  assert_int_equal(st_plugin_register()->plan(self, &change, &planned, &err), 0);
  return planned.text.words;
}

const char *host_plan(void *self, const struct st_value *before, const struct st_value *after)
{
  return host_plan_in(NULL, self, before, after);
}

const char *host_plan_data(size_t *length)
{
  *length = planned.data_length;
  return planned.data;
}

const char *host_entry(void *self, const struct st_entry *entry)
{
  static struct st_facts facts;
  struct st_error err = {0};
  facts = (struct st_facts){0};
  assert_int_equal(st_plugin_register()->entry(self, entry, &facts, &err), 0);
  return facts.lines;
}

struct st_id host_id(bool keyed, uint8_t byte)
{
  struct st_id id = {.keyed = keyed};
  memset(id.digest, byte, sizeof(id.digest));
  return id;
}

/* ---- The man page ------------------------------------------------------------------------ */

/* The whole page, malloc'ed.  automake says where the sources are. */
static char *read_page(void)
{
  char path[512];
  const char *top = getenv("srcdir"), *name = st_plugin_register()->name;
  size_t size = 0;
  char *text = NULL;
  snprintf(path, sizeof(path), "%s/plugins/%s/systracker-%s.8", top ? top : ".", name, name);
  FILE *f = fopen(path, "re");
  if (!f)
    fail_msg("%s: %s", path, strerror(errno));
  assert_true(getdelim(&text, &size, 0, f) > 0);
  fclose(f);
  return text;
}

static void expect_in(const char *page, const char *what)
{
  if (!strstr(page, what))
    fail_msg("the man page does not say \"%s\"", what);
}

static void check_option(const char *page, const struct st_option *o)
{
  char item[128], fallback[128];
  snprintf(item, sizeof(item), "\n.It Cm %s No = ", o->name);
  snprintf(fallback, sizeof(fallback), "\nDefault: %s.\n", o->fallback ? o->fallback : "none");
  expect_in(page, item);
  const char *words = strstr(page, item) + 1;
  const char *end = strstr(words, "\n.It "), *said = strstr(words, fallback);
  if (!said || (end && said > end))
    fail_msg("the man page does not say of %s: %s", o->name, fallback + 1);
}

static void check_table(const char *page, const struct st_table *t)
{
  char name[128];
  snprintf(name, sizeof(name), "%s_%s", st_plugin_register()->name, t->name);
  expect_in(page, name);
  const char *facts = strstr(page, "\n.Sh FACTS\n");
  assert_non_null(facts);
  for (size_t i = 0; i < t->ncolumns; i++)
    expect_in(facts, t->columns[i].name);
}

void host_test_manpage(void **state)
{
  (void)state;
  const struct st_plugin *p = st_plugin_register();
  size_t declared_count = 0, documented = 0;
  char *page = read_page();
  for (const struct st_option *o = p->options; o && o->name; o++, declared_count++)
    check_option(page, o);
  for (const char *s = page; (s = strstr(s, "\n.It Cm ")); s++)
    documented++;
  assert_int_equal(documented, declared_count);
  for (const struct st_table *t = p->tables; t->name; t++)
    check_table(page, t);
  free(page);
}
