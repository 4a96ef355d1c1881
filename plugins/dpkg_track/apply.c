/* SPDX-License-Identifier: GPL-2.0-or-later */
/* apply.c - actions carried out with the root's own tools, and whether they were. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/dpkg_track/action.h"
#include "plugins/dpkg_track/database.h"
#include "plugins/dpkg_track/lines.h"

#define MOST_OUTPUT ((size_t)1 << 20) /* bytes that a tool may print */
#define SECONDS 600                   /* that it may take: apt-mark waits for a lock */
#define MOST_ARGUMENTS 4096

/* ---- Whether it is so -------------------------------------------------------------------- */

static const struct choice *find_choice(const struct alternative *a, const char *path)
{
  for (size_t i = 0; i < a->count; i++) {
    if (strcmp(a->choices[i].path, path) == 0)
      return &a->choices[i];
  }
  return NULL;
}

static bool choice_is(const struct alternative *a, const char *const *f)
{
  const struct choice *c = find_choice(a, f[1]);
  return c && strcmp(a->link, f[2]) == 0 && c->priority == strtol(f[3], NULL, 10) &&
         strcmp(c->slaves, f[4]) == 0;
}

/* The rest of it, where there is such an alternative.  1, 0 or negative. */
static int alternative_is(const struct dpkg_track *d, const struct alternative *there,
                          const struct action *a, struct st_error *err)
{
  char value[PATH_MAX];
  const char *const *f = a->field;
  if (a->kind == ACTION_CHOICE)
    return choice_is(there, f);
  if (a->kind == ACTION_NO_CHOICE)
    return !find_choice(there, f[1]);
  if (a->kind == ACTION_NO_ALTERNATIVE)
    return 0;
  if (read_value(d, f[0], value, err) < 0)
    return -1;
  return strcmp(there->mode, f[1]) == 0 && strcmp(value, f[2]) == 0;
}

static int alternative_holds(const struct dpkg_track *d, const struct action *a,
                             struct st_error *err)
{
  struct alternative there;
  char *text;
  int r = read_alternative(d, a->field[0], &there, &text, err);
  if (r == -ENOENT)
    r = a->kind == ACTION_NO_CHOICE || a->kind == ACTION_NO_ALTERNATIVE;
  else if (r >= 0)
    r = alternative_is(d, &there, a, err);
  alternative_free(&there);
  free(text);
  return r;
}

static bool same_diversion(const struct diversion *v, const char *const *f)
{
  return strcmp(v->to, f[1]) == 0 && strcmp(v->package, f[2]) == 0;
}

/* `*ret_other`: the path is diverted, otherwise than it should be. */
static int diversion_holds(const struct dpkg_track *d, const struct action *a, bool *ret_other,
                           struct st_error *err)
{
  struct diversions all;
  char *text;
  int r = read_diversions(d, &all, &text, err);
  if (r >= 0) {
    const struct diversion *v = diversions_find(&all, a->field[0]);
    bool none = a->kind == ACTION_NO_DIVERSION || a->kind == ACTION_UNDIVERT;
    r = none ? !v : v && same_diversion(v, a->field);
    *ret_other = v && !r;
  }
  free(all.items);
  free(text);
  return r;
}

static bool same_override(const struct statoverride *o, const char *const *f)
{
  return strcmp(o->owner, f[1]) == 0 && strcmp(o->group, f[2]) == 0 &&
         o->mode == strtoul(f[3], NULL, 8);
}

static int statoverride_holds(const struct dpkg_track *d, const struct action *a, bool *ret_other,
                              struct st_error *err)
{
  struct statoverrides all;
  char *text;
  int r = read_statoverrides(d, &all, &text, err);
  if (r >= 0) {
    const struct statoverride *o = statoverrides_find(&all, a->field[0]);
    r = a->kind == ACTION_NO_STATOVERRIDE ? !o : o && same_override(o, a->field);
    *ret_other = o && !r;
  }
  free(all.items);
  free(text);
  return r;
}

/* NULL: it is not installed. */
static const struct package *find_package(const struct packages *packages, const struct action *a)
{
  for (size_t i = 0; i < packages->count; i++) {
    const struct package *p = &packages->items[i];
    if (p->installed && strcmp(p->name, a->field[0]) == 0 &&
        strcmp(p->architecture, a->field[1]) == 0)
      return p;
  }
  return NULL;
}

static bool package_is(const struct package *p, const struct action *a)
{
  const char *want = a->field[2];
  size_t n = strlen(want);
  if (a->kind == ACTION_MARK)
    return p->automatic == (strcmp(want, "auto") == 0);
  return strncmp(p->state, want, n) == 0 && p->state[n] == ' ';
}

/* `*ret_held`: its selection is a hold. */
static int package_holds(const struct dpkg_track *d, const struct action *a, bool *ret_held,
                         struct st_error *err)
{
  struct database db = {0};
  int r = database_read(d, &db, err);
  const struct package *p = r >= 0 ? find_package(&db.packages, a) : NULL;
  if (r == -ENOENT || (r >= 0 && !p))
    r = st_fail(err, 0, "package %s is not installed", a->field[0]);
  if (p) {
    r = package_is(p, a);
    *ret_held = strncmp(p->state, "hold ", 5) == 0;
  }
  database_free(&db);
  return r;
}

/* 1, 0 or negative.  `*ret_other`: something else is in the way of it, see above. */
static int holds(const struct dpkg_track *d, const struct action *a, bool *ret_other,
                 struct st_error *err)
{
  *ret_other = false;
  switch (a->kind) {
  case ACTION_CHOICE:
  case ACTION_NO_CHOICE:
  case ACTION_ALTERNATIVE:
  case ACTION_NO_ALTERNATIVE:
    return alternative_holds(d, a, err);
  case ACTION_DIVERT:
  case ACTION_UNDIVERT:
  case ACTION_DIVERSION:
  case ACTION_NO_DIVERSION:
    return diversion_holds(d, a, ret_other, err);
  case ACTION_STATOVERRIDE:
  case ACTION_NO_STATOVERRIDE:
    return statoverride_holds(d, a, ret_other, err);
  default:
    return package_holds(d, a, ret_other, err);
  }
}

/* ---- Running the tools -------------------------------------------------------------------- */

/* The last line that a tool printed, cut to what is harmless. */
static const char *last_line(char *text)
{
  size_t n = strlen(text);
  while (n > 0 && text[n - 1] == '\n')
    text[--n] = 0;
  char *line = strrchr(text, '\n');
  line = line ? line + 1 : text;
  for (char *c = line; *c; c++)
    *c = *c < ' ' || *c == 127 ? '?' : *c;
  return line;
}

static int run(const struct dpkg_track *d, const char *const *argv, struct st_error *err)
{
  char *out = NULL;
  size_t length;
  int r = st_run_in_root(d->ctx, (char *const *)argv, MOST_OUTPUT, SECONDS, &out, &length, err);
  if (r > 0) {
    const char *why = last_line(out);
    r = st_fail(err, 0, "%s ended with status %d%s%.300s", argv[0], r, *why ? ": " : "", why);
  }
  free(out);
  return r;
}

/* "--admindir" and its value, for the tools that have another folder below dpkg's. */
#define RUN(d, ...) run(d, (const char *const[]){__VA_ARGS__, NULL}, err)
#define RUN_ALTERNATIVES(d, ...)                                                                   \
  RUN(d, "update-alternatives", "--admindir", (d)->alternatives, __VA_ARGS__)
#define RUN_DIVERT(d, ...)                                                                         \
  RUN(d, "dpkg-divert", "--admindir", (d)->folder, "--no-rename", __VA_ARGS__)
#define RUN_STATOVERRIDE(d, ...) RUN(d, "dpkg-statoverride", "--admindir", (d)->folder, __VA_ARGS__)

static const char *cut_line(char **rest)
{
  char *line = *rest;
  *rest += strcspn(line, "\n");
  *(*rest)++ = 0;
  return line;
}

/* `slaves` is cut into its lines, which were counted and found whole by action_ok. */
static int install_choice(const struct dpkg_track *d, const struct action *a, char *slaves,
                          struct st_error *err)
{
  const char *const *f = a->field;
  const char *argv[MOST_ARGUMENTS] = {
      "update-alternatives", "--admindir", d->alternatives, "--install", f[2], f[0], f[1], f[3]};
  for (size_t n = 8; *slaves; n += 4) {
    if (n + 4 >= MOST_ARGUMENTS)
      return st_fail(err, 0, "an alternative with too many slaves");
    argv[n] = "--slave";
    argv[n + 2] = cut_line(&slaves);
    argv[n + 1] = cut_line(&slaves);
    argv[n + 3] = cut_line(&slaves);
  }
  return run(d, argv, err);
}

static int apply_choice(const struct dpkg_track *d, const struct action *a, struct st_error *err)
{
  char *slaves = strdup(a->field[4]);
  if (!slaves)
    return st_fail(err, 0, "out of memory");
  int r = install_choice(d, a, slaves, err);
  free(slaves);
  return r;
}

/* Files are where the checkpoint has them, so that nothing is to be renamed. */
static int apply_diversion(const struct dpkg_track *d, const struct action *a, bool other,
                           struct st_error *err)
{
  const char *const *f = a->field;
  if ((other || a->kind == ACTION_NO_DIVERSION) && RUN_DIVERT(d, "--remove", f[0]) < 0)
    return -1;
  if (a->kind == ACTION_NO_DIVERSION)
    return 0;
  if (strcmp(f[2], ":") == 0)
    return RUN_DIVERT(d, "--local", "--divert", f[1], "--add", f[0]);
  return RUN_DIVERT(d, "--package", f[2], "--divert", f[1], "--add", f[0]);
}

/* The folder of a path, and its last part; -ENOENT: no such folder. */
static int open_folder(const struct dpkg_track *d, const char *path, const char **ret_name,
                       struct st_error *err)
{
  char folder[PATH_MAX];
  const char *slash = strrchr(path, '/');
  *ret_name = slash + 1;
  if (!**ret_name || slash - path >= PATH_MAX)
    return st_fail(err, 0, "a path that no file has");
  snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path), path);
  return st_open_in_root(d->ctx, folder, err);
}

/* What lies at one path comes to lie at the other, over what is there; nothing where nothing does,
 * as after a restore that was killed here.  dpkg-divert would refuse to overwrite; what is
 * overwritten was in the checkpoint before. */
static int move_file(const struct dpkg_track *d, const char *from, const char *to,
                     struct st_error *err)
{
  const char *old_name, *new_name;
  struct stat st;
  int old = open_folder(d, from, &old_name, err);
  if (old < 0)
    return old == -ENOENT ? 0 : old;
  int r = fstatat(old, old_name, &st, AT_SYMLINK_NOFOLLOW);
  int new = r == 0 ? open_folder(d, to, &new_name, err) : -1;
  if (r < 0)
    r = errno == ENOENT ? 0 : st_fail(err, errno, "cannot look at %.300s", from);
  else if (S_ISDIR(st.st_mode))
    r = st_fail(err, 0, "a folder cannot be diverted (%.300s)", from);
  else if (new < 0 || renameat(old, old_name, new, new_name) < 0)
    r = new < 0 ? new : st_fail(err, errno, "cannot rename %.300s", from);
  if (new >= 0)
    close(new);
  close(old);
  return r;
}

/* The file first: a restore that is killed in between finds the diversion, and goes on. */
static int end_diversion(const struct dpkg_track *d, const char *path, struct st_error *err)
{
  struct diversions all;
  char *text;
  int r = read_diversions(d, &all, &text, err);
  const struct diversion *v = r >= 0 ? diversions_find(&all, path) : NULL;
  if (v) {
    r = move_file(d, v->to, path, err);
    if (r >= 0)
      r = RUN_DIVERT(d, "--remove", path);
  }
  free(all.items);
  free(text);
  return r;
}

static int apply_renaming(const struct dpkg_track *d, const struct action *a, struct st_error *err)
{
  const char *const *f = a->field;
  if (end_diversion(d, f[0], err) < 0)
    return -1;
  if (a->kind == ACTION_UNDIVERT)
    return 0;
  if (move_file(d, f[0], f[1], err) < 0)
    return -1;
  return RUN_DIVERT(d, "--local", "--divert", f[1], "--add", f[0]);
}

/* Nor is --update asked for: owners and modes are put back with the entries. */
static int apply_statoverride(const struct dpkg_track *d, const struct action *a, bool other,
                              struct st_error *err)
{
  const char *const *f = a->field;
  if ((other || a->kind == ACTION_NO_STATOVERRIDE) && RUN_STATOVERRIDE(d, "--remove", f[0]) < 0)
    return -1;
  if (a->kind == ACTION_NO_STATOVERRIDE)
    return 0;
  return RUN_STATOVERRIDE(d, "--add", f[1], f[2], f[3], f[0]);
}

static int apply_package(const struct dpkg_track *d, const struct action *a, bool held,
                         struct st_error *err)
{
  char name[600];
  const char *verb = a->field[2];
  snprintf(name, sizeof(name), "%s%s%s", a->field[0], *a->field[1] ? ":" : "", a->field[1]);
  if (a->kind == ACTION_SELECT && strcmp(verb, "install") == 0 && held)
    verb = "unhold";
  if (a->kind == ACTION_SELECT && strcmp(verb, "deinstall") == 0)
    verb = "remove";
  return RUN(d, "apt-mark", verb, name);
}

static int carry_out(const struct dpkg_track *d, const struct action *a, bool other,
                     struct st_error *err)
{
  const char *const *f = a->field;
  switch (a->kind) {
  case ACTION_CHOICE:
    return apply_choice(d, a, err);
  case ACTION_NO_CHOICE:
    return RUN_ALTERNATIVES(d, "--remove", f[0], f[1]);
  case ACTION_ALTERNATIVE:
    if (strcmp(f[1], "auto") == 0)
      return RUN_ALTERNATIVES(d, "--auto", f[0]);
    return RUN_ALTERNATIVES(d, "--set", f[0], f[2]);
  case ACTION_NO_ALTERNATIVE:
    return RUN_ALTERNATIVES(d, "--remove-all", f[0]);
  case ACTION_DIVERT:
  case ACTION_UNDIVERT:
    return apply_renaming(d, a, err);
  case ACTION_DIVERSION:
  case ACTION_NO_DIVERSION:
    return apply_diversion(d, a, other, err);
  case ACTION_STATOVERRIDE:
  case ACTION_NO_STATOVERRIDE:
    return apply_statoverride(d, a, other, err);
  default:
    return apply_package(d, a, other, err);
  }
}

int dpkg_apply(void *self, const void *data, size_t length, struct st_error *err)
{
  struct action a;
  bool other;
  if (action_decode(&a, data, length, err) < 0)
    return -1;
  int r = holds(self, &a, &other, err);
  if (r != 0)
    return r < 0 ? -1 : 0;
  return carry_out(self, &a, other, err) < 0 ? -1 : 0;
}

int dpkg_verify(void *self, const void *data, size_t length, struct st_text *out,
                struct st_error *err)
{
  struct action a;
  bool other;
  char *words = NULL;
  if (action_decode(&a, data, length, err) < 0)
    return -1;
  int r = holds(self, &a, &other, err);
  if (r != 0)
    return r < 0 ? -1 : 0;
  r = action_words(&a, &words, err);
  if (r == 0)
    st_say(out, "%s", words);
  free(words);
  return r < 0 ? -1 : 1;
}
