/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/words.h"

#include "plugins/dpkg_track/tables.h"
#include "plugins/deviations.h"

/* ---- Packages --------------------------------------------------------------------------- */

static void say_version(struct st_text *out, const struct st_value *v)
{
  if (v)
    say_value(out, v);
  else
    st_say(out, "no version");
}

/* The words of a change between two states that differ in the hold alone, or NULL. */
static const char *hold_words(const struct st_change *c)
{
  static const char installed[] = "install ok installed", held[] = "hold ok installed";
  const struct st_value *before = value_before(c, PACKAGE_STATE);
  const struct st_value *after = value_after(c, PACKAGE_STATE);
  if (value_is_text(before, installed) && value_is_text(after, held))
    return "held";
  if (value_is_text(before, held) && value_is_text(after, installed))
    return "no longer held";
  return NULL;
}

static void explain_state(const struct st_change *c, struct parts *parts)
{
  const char *words = hold_words(c);
  st_say(next_part(parts), "%s", words ? words : "state ");
  if (words)
    return;
  say_value(parts->out, value_before(c, PACKAGE_STATE));
  st_say(parts->out, " → ");
  say_value(parts->out, value_after(c, PACKAGE_STATE));
}

static void explain_installed(const struct st_change *c, struct st_text *out)
{
  const struct st_value *state = value_after(c, PACKAGE_STATE);
  st_say(out, "installed ");
  say_version(out, value_after(c, PACKAGE_VERSION));
  if (value_is_text(state, "hold ok installed")) {
    st_say(out, ", held");
  } else if (!value_is_text(state, "install ok installed")) {
    st_say(out, ", state ");
    say_value(out, state);
  }
  if (value_integer(value_after(c, PACKAGE_AUTO)))
    st_say(out, ", marked automatic");
}

static void explain_package(const struct st_change *c, struct st_text *out)
{
  struct parts parts = {out, 0};
  if (!c->before) {
    explain_installed(c, out);
    return;
  }
  if (!c->after) {
    st_say(out, "removed (was ");
    say_version(out, value_before(c, PACKAGE_VERSION));
    st_say(out, ")");
    return;
  }
  if (value_differs(c, PACKAGE_VERSION)) {
    say_version(next_part(&parts), value_before(c, PACKAGE_VERSION));
    st_say(out, " → ");
    say_version(out, value_after(c, PACKAGE_VERSION));
  }
  if (value_differs(c, PACKAGE_STATE))
    explain_state(c, &parts);
  if (value_differs(c, PACKAGE_AUTO))
    st_say(next_part(&parts), "marked %s",
           value_integer(value_after(c, PACKAGE_AUTO)) ? "automatic" : "manual");
}

/* ---- What is no package ------------------------------------------------------------------- */

typedef void say_row_fn(const struct st_change *c, const struct st_value *row, struct st_text *out);

static void say_alternative(const struct st_change *c, const struct st_value *row,
                            struct st_text *out)
{
  const struct st_value *value = value_at(c, row, ALTERNATIVE_VALUE);
  say_value(out, value_at(c, row, ALTERNATIVE_MODE));
  st_say(out, " ");
  if (value && value->u.bytes.length > 0)
    say_value(out, value);
  else
    st_say(out, "without a link");
}

static void say_choice(const struct st_change *c, const struct st_value *row, struct st_text *out)
{
  st_say(out, "priority %lld", (long long)value_integer(value_at(c, row, CHOICE_PRIORITY)));
}

static void say_diversion(const struct st_change *c, const struct st_value *row,
                          struct st_text *out)
{
  const struct st_value *package = value_at(c, row, DIVERSION_PACKAGE);
  st_say(out, "to ");
  say_value(out, value_at(c, row, DIVERSION_TO));
  st_say(out, " by ");
  if (value_is_text(package, ":"))
    st_say(out, "the administrator");
  else
    say_value(out, package);
}

static void say_override(const struct st_change *c, const struct st_value *row, struct st_text *out)
{
  say_value(out, value_at(c, row, STATOVERRIDE_OWNER));
  st_say(out, ":");
  say_value(out, value_at(c, row, STATOVERRIDE_GROUP));
  st_say(out, " %04llo",
         (unsigned long long)value_integer(value_at(c, row, STATOVERRIDE_MODE)) & 07777);
}

/* "AFTER", "removed (was BEFORE)" or "BEFORE → AFTER". */
static void explain_row(const struct st_change *c, say_row_fn *say, struct st_text *out)
{
  if (!c->before) {
    say(c, c->after, out);
    return;
  }
  if (!c->after) {
    st_say(out, "removed (was ");
    say(c, c->before, out);
    st_say(out, ")");
    return;
  }
  say(c, c->before, out);
  st_say(out, " → ");
  say(c, c->after, out);
}

static bool differs_at(const struct st_change *c, size_t column)
{
  return !c->before || !c->after || value_differs(c, column);
}

static void explain_alternative(const struct st_change *c, struct st_text *out)
{
  struct parts parts = {out, 0};
  if (differs_at(c, ALTERNATIVE_MODE) || differs_at(c, ALTERNATIVE_VALUE))
    explain_row(c, say_alternative, next_part(&parts));
  if (value_differs(c, ALTERNATIVE_LINK)) {
    st_say(next_part(&parts), "link ");
    say_value(out, value_before(c, ALTERNATIVE_LINK));
    st_say(out, " → ");
    say_value(out, value_after(c, ALTERNATIVE_LINK));
  }
}

/* That the link has another place is said of the alternative. */
static void explain_choice(const struct st_change *c, struct st_text *out)
{
  struct parts parts = {out, 0};
  if (differs_at(c, CHOICE_PRIORITY))
    explain_row(c, say_choice, next_part(&parts));
  if (value_differs(c, CHOICE_SLAVES))
    st_say(next_part(&parts), "other slaves");
  if (value_differs(c, CHOICE_LINK) && parts.count == 0)
    st_say(next_part(&parts), "other link");
}

int dpkg_explain(void *self, const struct st_change *c, struct st_text *out, struct st_error *err)
{
  (void)self;
  const char *table = c->declaration->name;
  if (strcmp(table, PACKAGE) == 0)
    explain_package(c, out);
  else if (strcmp(table, ALTERNATIVE) == 0)
    explain_alternative(c, out);
  else if (strcmp(table, CHOICE) == 0)
    explain_choice(c, out);
  else if (strcmp(table, DIVERSION) == 0)
    explain_row(c, say_diversion, out);
  else if (strcmp(table, STATOVERRIDE) == 0)
    explain_row(c, say_override, out);
  else if (strcmp(table, DEVIATION) == 0)
    deviation_explain(c, out);
  else
    return st_fail(err, 0, "a change of a table that dpkg_track does not have");
  return 0;
}
