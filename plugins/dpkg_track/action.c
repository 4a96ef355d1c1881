/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/action.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/dpkg_track/alternatives.h"
#include "plugins/dpkg_track/diversions.h"
#include "plugins/dpkg_track/lines.h"
#include "plugins/dpkg_track/statoverrides.h"
#include "plugins/values.h"

#define MOST_DATA ((size_t)1 << 20)
#define MOST_SLAVES 1000

/* ---- What may be in a field -------------------------------------------------------------- */

typedef bool field_fn(const char *text);

/* No option of a tool, and no line of another file. */
static bool is_name(const char *s)
{
  return *s != '-' && alternative_name_ok(s);
}

static bool is_path(const char *s)
{
  return *s == '/' && !strchr(s, '\n') && strlen(s) <= MOST_LINE;
}

static bool is_value(const char *s)
{
  return *s == 0 || is_path(s);
}

static bool is_priority(const char *s)
{
  size_t n = strlen(s), sign = *s == '-';
  return n > sign && n < 12 && strspn(s + sign, "0123456789") == n - sign;
}

static bool is_mode(const char *s)
{
  return strcmp(s, "auto") == 0 || strcmp(s, "manual") == 0;
}

static bool is_octal(const char *s)
{
  return *s && strlen(s) <= 4 && strspn(s, "01234567") == strlen(s);
}

static bool is_package(const char *s)
{
  return *s != '-' && strcmp(s, ":") != 0 && diversion_package_ok(s);
}

static bool is_diverter(const char *s)
{
  return *s != '-' && diversion_package_ok(s);
}

static bool is_architecture(const char *s)
{
  return *s == 0 || is_package(s);
}

static bool is_want(const char *s)
{
  return strcmp(s, "install") == 0 || strcmp(s, "hold") == 0 || strcmp(s, "deinstall") == 0 ||
         strcmp(s, "purge") == 0;
}

/* One line of several, copied to `to`; NULL: there is no whole line, or it is too long. */
static const char *take_line(const char *s, char to[MOST_LINE + 1])
{
  size_t n = strcspn(s, "\n");
  if (s[n] == 0 || n > MOST_LINE)
    return NULL;
  memcpy(to, s, n);
  to[n] = 0;
  return s + n + 1;
}

static bool are_slaves(const char *s)
{
  static field_fn *const fields[] = {is_name, is_path, is_path};
  char line[MOST_LINE + 1];
  size_t n = 0;
  for (; *s; n++) {
    s = take_line(s, line);
    if (!s || !fields[n % 3](line) || n == (size_t)3 * MOST_SLAVES)
      return false;
  }
  return n % 3 == 0;
}

static const struct kind {
  const char *word;
  field_fn *fields[MOST_FIELDS];
} kinds[] = {
    [ACTION_CHOICE] = {"choice", {is_name, is_path, is_path, is_priority, are_slaves}},
    [ACTION_NO_CHOICE] = {"no-choice", {is_name, is_path}},
    [ACTION_ALTERNATIVE] = {"alternative", {is_name, is_mode, is_value}},
    [ACTION_NO_ALTERNATIVE] = {"no-alternative", {is_name}},
    [ACTION_DIVERSION] = {"diversion", {is_path, is_path, is_diverter}},
    [ACTION_NO_DIVERSION] = {"no-diversion", {is_path}},
    [ACTION_STATOVERRIDE] = {"statoverride",
                             {is_path, statoverride_owner_ok, statoverride_owner_ok, is_octal}},
    [ACTION_NO_STATOVERRIDE] = {"no-statoverride", {is_path}},
    [ACTION_MARK] = {"mark", {is_package, is_architecture, is_mode}},
    [ACTION_DIVERT] = {"divert", {is_path, is_path, is_diverter}},
    [ACTION_UNDIVERT] = {"undivert", {is_path}},
    [ACTION_SELECT] = {"select", {is_package, is_architecture, is_want}},
};

static size_t field_count(enum action_kind kind)
{
  size_t n = 0;
  while (n < MOST_FIELDS && kinds[kind].fields[n])
    n++;
  return n;
}

bool action_ok(const struct action *a)
{
  for (size_t i = 0; i < field_count(a->kind); i++) {
    if (!a->field[i] || !kinds[a->kind].fields[i](a->field[i]))
      return false;
  }
  /* update-alternatives takes a choice that it has, so there has to be one. */
  return a->kind != ACTION_ALTERNATIVE || strcmp(a->field[1], "auto") == 0 || *a->field[2];
}

/* ---- As bytes ---------------------------------------------------------------------------- */

int action_encode(const struct action *a, char **ret, size_t *length, struct st_error *err)
{
  FILE *to = open_memstream(ret, length);
  if (!to)
    return st_fail(err, errno, "cannot put an action together");
  fputs(kinds[a->kind].word, to);
  fputc(0, to);
  for (size_t i = 0; i < field_count(a->kind); i++) {
    fputs(a->field[i], to);
    fputc(0, to);
  }
  if (fclose(to) != 0)
    return st_fail(err, errno, "cannot put an action together");
  return *length <= MOST_DATA ? 0 : st_fail(err, 0, "an action is too long");
}

static int kind_of(const char *word)
{
  for (size_t i = 0; i < COUNT(kinds); i++) {
    if (strcmp(kinds[i].word, word) == 0)
      return (int)i;
  }
  return -1;
}

int action_decode(struct action *ret, const void *data, size_t length, struct st_error *err)
{
  const char *s = data, *end = s + length;
  *ret = (struct action){0};
  if (length == 0 || length > MOST_DATA || end[-1] != 0)
    return st_fail(err, 0, "an action of dpkg_track is damaged");
  int kind = kind_of(s);
  if (kind < 0)
    return st_fail(err, 0, "an action that this dpkg_track does not know");
  ret->kind = (enum action_kind)kind;
  s += strlen(s) + 1;
  for (size_t i = 0; i < field_count(ret->kind) && s < end; i++) {
    ret->field[i] = s;
    s += strlen(s) + 1;
  }
  if (s != end || !action_ok(ret))
    return st_fail(err, 0, "an action of dpkg_track is damaged");
  return 0;
}

/* ---- In words ---------------------------------------------------------------------------- */

static void print(FILE *to, const char *text)
{
  for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
    if (*s >= ' ' && *s < 127 && *s != '\\')
      fputc(*s, to);
    else
      fprintf(to, "\\x%02x", *s);
  }
}

/* Prints these, NULL-terminated. */
static void print_all(FILE *to, const char *const *texts)
{
  for (; *texts; texts++)
    print(to, *texts);
}

static void print_words(FILE *to, const struct action *a)
{
#define PRINT(...) print_all(to, (const char *const[]){__VA_ARGS__, NULL})
  const char *const *f = a->field;
  switch (a->kind) {
  case ACTION_CHOICE:
    PRINT("alternative ", f[0], ": add the choice ", f[1], ", priority ", f[3]);
    break;
  case ACTION_NO_CHOICE:
    PRINT("alternative ", f[0], ": remove the choice ", f[1]);
    break;
  case ACTION_ALTERNATIVE:
    PRINT("alternative ", f[0], ": set to ", f[1], " ", f[2]);
    break;
  case ACTION_NO_ALTERNATIVE:
    PRINT("alternative ", f[0], ": remove");
    break;
  case ACTION_DIVERT:
  case ACTION_DIVERSION:
    PRINT("diversion of ", f[0], ": to ", f[1], " by ",
          strcmp(f[2], ":") == 0 ? "the administrator" : f[2]);
    break;
  case ACTION_UNDIVERT:
  case ACTION_NO_DIVERSION:
    PRINT("diversion of ", f[0], ": remove");
    break;
  case ACTION_STATOVERRIDE:
    PRINT("statoverride of ", f[0], ": ", f[1], ":", f[2], " ", f[3]);
    break;
  case ACTION_NO_STATOVERRIDE:
    PRINT("statoverride of ", f[0], ": remove");
    break;
  case ACTION_MARK:
    PRINT("package ", f[0], ": mark as ", strcmp(f[2], "auto") == 0 ? "automatic" : "manual");
    break;
  case ACTION_SELECT:
    PRINT("package ", f[0], ": select for ", f[2]);
    break;
  }
#undef PRINT
}

int action_words(const struct action *a, char **ret, struct st_error *err)
{
  size_t length;
  FILE *to = open_memstream(ret, &length);
  if (!to)
    return st_fail(err, errno, "cannot put words together");
  print_words(to, a);
  return fclose(to) == 0 ? 0 : st_fail(err, errno, "cannot put words together");
}
