/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "plugins/dpkg_track/action.h"
#include "plugins/dpkg_track/tables.h"
#include "plugins/values.h"

/* ---- An action from a row ------------------------------------------------------------------ */

/* An action and what its fields lie in. */
struct draft {
  struct action action;
  char *texts[MOST_FIELDS];
  size_t count;
  bool bad; /* a field was not captured, or cannot be given to a tool */
};

/* Takes the text over. */
static void add_text(struct draft *d, char *text)
{
  d->bad |= !text;
  d->texts[d->count] = text;
  d->action.field[d->count++] = text ? text : "?";
}

static void add_value(struct draft *d, const struct st_value *v)
{
  char *text = NULL;
  if (v && v->type != ST_INTEGER && v->type != ST_ID &&
      (v->u.bytes.length == 0 || !memchr(v->u.bytes.data, 0, v->u.bytes.length)))
    text = calloc(1, v->u.bytes.length + 1);
  if (text && v->u.bytes.length > 0)
    memcpy(text, v->u.bytes.data, v->u.bytes.length);
  add_text(d, text);
}

static void add_number(struct draft *d, const struct st_value *v, const char *format)
{
  char *text = NULL;
  if (v && v->type == ST_INTEGER && asprintf(&text, format, (long long)v->u.integer) < 0)
    text = NULL;
  add_text(d, text);
}

static int put_words(const struct draft *d, const char *words, struct st_plan *out,
                     struct st_error *err)
{
  char *data = NULL;
  size_t length;
  if (d->bad || !action_ok(&d->action)) {
    char *more = NULL;
    if (asprintf(&more, "%s: cannot be put back", words) < 0)
      return st_fail(err, 0, "out of memory");
    int r = st_plan_action(out, more, false, NULL, 0, err);
    free(more);
    return r;
  }
  int r = action_encode(&d->action, &data, &length, err);
  if (r == 0)
    r = st_plan_action(out, words, true, data, length, err);
  free(data);
  return r;
}

/* Puts it into the plan and frees it. */
static int put(struct draft *d, struct st_plan *out, struct st_error *err)
{
  char *words = NULL;
  int r = action_words(&d->action, &words, err);
  if (r == 0)
    r = put_words(d, words, out, err);
  free(words);
  for (size_t i = 0; i < d->count; i++)
    free(d->texts[i]);
  return r;
}

/* ---- Packages ------------------------------------------------------------------------------ */

/* Words of a plan are not escaped for us, and a row may have come from elsewhere: only plain ASCII
 * goes on. */
static void print_plain(FILE *to, const struct st_value *v)
{
  const unsigned char *s = v && v->type == ST_TEXT ? v->u.bytes.data : NULL;
  for (size_t i = 0; s && i < v->u.bytes.length; i++)
    fputc(s[i] >= ' ' && s[i] < 127 ? s[i] : '?', to);
}

static void print_side(FILE *to, const struct st_change *c, const struct st_value *row)
{
  if (!row)
    fputs("not installed", to);
  else if (value_at(c, row, PACKAGE_VERSION))
    print_plain(to, value_at(c, row, PACKAGE_VERSION));
  else
    fputs("no version", to);
}

static bool version_differs(const struct st_change *c)
{
  return !c->before || !c->after || value_differs(c, PACKAGE_VERSION);
}

/* "install ok installed" is a want and how it stands: the want alone is a selection. */
static size_t want_length(const struct st_value *state)
{
  const char *blank = state ? memchr(state->u.bytes.data, ' ', state->u.bytes.length) : NULL;
  return blank ? (size_t)(blank - (const char *)state->u.bytes.data) : 0;
}

static bool same_standing(const struct st_value *a, const struct st_value *b)
{
  size_t n = want_length(a), m = want_length(b);
  return n && m && a->u.bytes.length - n == b->u.bytes.length - m &&
         memcmp((const char *)a->u.bytes.data + n, (const char *)b->u.bytes.data + m,
                a->u.bytes.length - n) == 0;
}

static bool standing_differs(const struct st_change *c)
{
  return value_differs(c, PACKAGE_STATE) &&
         !same_standing(value_before(c, PACKAGE_STATE), value_after(c, PACKAGE_STATE));
}

static void print_words(FILE *to, const struct st_change *c)
{
  fputs("package ", to);
  print_plain(to, value_at(c, c->after ? c->after : c->before, PACKAGE_NAME));
  fputs(": ", to);
  if (version_differs(c)) {
    print_side(to, c, c->before);
    fputs(" → ", to);
    print_side(to, c, c->after);
  } else {
    fputs("state ", to);
    print_plain(to, value_before(c, PACKAGE_STATE));
    fputs(" → ", to);
    print_plain(to, value_after(c, PACKAGE_STATE));
  }
  fputs(" is not put back (packages=none)", to);
}

static int say_package(const struct st_change *c, struct st_plan *out, struct st_error *err)
{
  char *words = NULL;
  size_t length;
  FILE *to = open_memstream(&words, &length);
  if (!to)
    return st_fail(err, errno, "cannot put words together");
  print_words(to, c);
  int r = fclose(to) == 0 ? st_plan_action(out, words, false, NULL, 0, err)
                          : st_fail(err, errno, "cannot put words together");
  free(words);
  return r;
}

/* A package's name, architecture and one more word, which is static. */
static int put_package(const struct st_change *c, enum action_kind kind, const char *word,
                       struct st_plan *out, struct st_error *err)
{
  struct draft d = {.action.kind = kind};
  add_value(&d, value_after(c, PACKAGE_NAME));
  add_value(&d, value_after(c, PACKAGE_ARCHITECTURE));
  add_text(&d, strdup(word));
  return put(&d, out, err);
}

/* dpkg itself selects what is installed; a package that comes anew needs to be told of a hold only.
 */
static int plan_selection(const struct st_change *c, struct st_plan *out, struct st_error *err)
{
  const struct st_value *state = value_after(c, PACKAGE_STATE);
  size_t n = want_length(state);
  char want[32];
  if (n == 0 || n >= sizeof(want))
    return 0;
  memcpy(want, state->u.bytes.data, n);
  want[n] = 0;
  bool held = strcmp(want, "hold") == 0 && (version_differs(c) || standing_differs(c));
  bool other = value_differs(c, PACKAGE_STATE) && !standing_differs(c);
  return held || other ? put_package(c, ACTION_SELECT, want, out, err) : 0;
}

static bool is_installed(const struct st_value *state)
{
  static const char word[] = " installed";
  size_t n = sizeof(word) - 1;
  return state && state->u.bytes.length > n &&
         memcmp((const char *)state->u.bytes.data + state->u.bytes.length - n, word, n) == 0;
}

/* apt marks what it is asked for as manual, also where it was automatic; and only what is
 * installed.
 */
static int plan_mark(const struct st_change *c, struct st_plan *out, struct st_error *err)
{
  const struct st_value *v = value_after(c, PACKAGE_AUTO);
  bool automatic = value_integer(v);
  if (!v || !is_installed(value_after(c, PACKAGE_STATE)))
    return 0;
  if (!(value_differs(c, PACKAGE_AUTO) || (automatic && version_differs(c))))
    return 0;
  return put_package(c, ACTION_MARK, automatic ? "auto" : "manual", out, err);
}

static int plan_package(const struct st_change *c, struct st_plan *out, struct st_error *err)
{
  if ((version_differs(c) || standing_differs(c)) && say_package(c, out, err) < 0)
    return -1;
  if (!c->after || (plan_mark(c, out, err) == 0 && plan_selection(c, out, err) == 0))
    return 0;
  return -1;
}

/* ---- What is no package -------------------------------------------------------------------- */

static int plan_choice(const struct st_change *c, struct st_plan *out, struct st_error *err)
{
  const struct st_value *row = c->after ? c->after : c->before;
  struct draft d = {.action.kind = c->after ? ACTION_CHOICE : ACTION_NO_CHOICE};
  add_value(&d, value_at(c, row, CHOICE_NAME));
  add_value(&d, value_at(c, row, CHOICE_PATH));
  if (c->after) {
    add_value(&d, value_at(c, row, CHOICE_LINK));
    add_number(&d, value_at(c, row, CHOICE_PRIORITY), "%lld");
    add_value(&d, value_at(c, row, CHOICE_SLAVES));
  }
  return put(&d, out, err);
}

static int plan_alternative(const struct st_change *c, struct st_plan *out, struct st_error *err)
{
  const struct st_value *row = c->after ? c->after : c->before;
  struct draft d = {.action.kind = c->after ? ACTION_ALTERNATIVE : ACTION_NO_ALTERNATIVE};
  add_value(&d, value_at(c, row, ALTERNATIVE_NAME));
  if (c->after) {
    add_value(&d, value_at(c, row, ALTERNATIVE_MODE));
    add_value(&d, value_at(c, row, ALTERNATIVE_VALUE));
  }
  return put(&d, out, err);
}

static bool is_administrators(const struct st_change *c, const struct st_value *row)
{
  return !row || value_is_text(value_at(c, row, DIVERSION_PACKAGE), ":");
}

static enum action_kind diversion_kind(const struct st_change *c)
{
  bool renames = is_administrators(c, c->before) && is_administrators(c, c->after);
  if (c->after)
    return renames ? ACTION_DIVERT : ACTION_DIVERSION;
  return renames ? ACTION_UNDIVERT : ACTION_NO_DIVERSION;
}

static int plan_diversion(const struct st_change *c, struct st_plan *out, struct st_error *err)
{
  const struct st_value *row = c->after ? c->after : c->before;
  struct draft d = {.action.kind = diversion_kind(c)};
  add_value(&d, value_at(c, row, DIVERSION_PATH));
  if (c->after) {
    add_value(&d, value_at(c, row, DIVERSION_TO));
    add_value(&d, value_at(c, row, DIVERSION_PACKAGE));
  }
  return put(&d, out, err);
}

static int plan_statoverride(const struct st_change *c, struct st_plan *out, struct st_error *err)
{
  const struct st_value *row = c->after ? c->after : c->before;
  struct draft d = {.action.kind = c->after ? ACTION_STATOVERRIDE : ACTION_NO_STATOVERRIDE};
  add_value(&d, value_at(c, row, STATOVERRIDE_PATH));
  if (c->after) {
    add_value(&d, value_at(c, row, STATOVERRIDE_OWNER));
    add_value(&d, value_at(c, row, STATOVERRIDE_GROUP));
    add_number(&d, value_at(c, row, STATOVERRIDE_MODE), "%04llo");
  }
  return put(&d, out, err);
}

int dpkg_plan(void *self, const struct st_change *c, struct st_plan *out, struct st_error *err)
{
  (void)self;
  const char *table = c->declaration->name;
  if (strcmp(table, PACKAGE) == 0)
    return plan_package(c, out, err);
  if (strcmp(table, CHOICE) == 0)
    return plan_choice(c, out, err);
  if (strcmp(table, ALTERNATIVE) == 0)
    return plan_alternative(c, out, err);
  if (strcmp(table, DIVERSION) == 0)
    return plan_diversion(c, out, err);
  if (strcmp(table, STATOVERRIDE) == 0)
    return plan_statoverride(c, out, err);
  return st_fail(err, 0, "a change of a table that dpkg_track does not have");
}
