/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/rpm_track/words.h"

#include "plugins/rpm_track/tables.h"
#include "plugins/deviations.h"

static void say_version(struct st_text *out, const struct st_value *v)
{
  if (v)
    say_value(out, v);
  else
    st_say(out, "no version");
}

static void explain_vendor(const struct st_change *c, struct parts *parts)
{
  if (!value_differs(c, PACKAGE_VENDOR))
    return;
  st_say(next_part(parts), "vendor ");
  say_value(parts->out, value_before(c, PACKAGE_VENDOR));
  st_say(parts->out, " → ");
  say_value(parts->out, value_after(c, PACKAGE_VENDOR));
}

static void explain_versions(const struct st_change *c, struct st_text *out)
{
  struct parts parts = {out, 0};
  if (value_differs(c, PACKAGE_VERSION)) {
    say_version(next_part(&parts), value_before(c, PACKAGE_VERSION));
    st_say(out, " → ");
    say_version(out, value_after(c, PACKAGE_VERSION));
  } else if (value_differs(c, PACKAGE_DIGEST)) {
    st_say(next_part(&parts), "another build of ");
    say_version(out, value_after(c, PACKAGE_VERSION));
  }
  explain_vendor(c, &parts);
}

static void explain_package(const struct st_change *c, struct st_text *out)
{
  if (c->before && c->after) {
    explain_versions(c, out);
  } else if (c->after) {
    st_say(out, "installed ");
    say_version(out, value_after(c, PACKAGE_VERSION));
  } else {
    st_say(out, "removed (was ");
    say_version(out, value_before(c, PACKAGE_VERSION));
    st_say(out, ")");
  }
}

int rpm_explain(void *self, const struct st_change *c, struct st_text *out, struct st_error *err)
{
  (void)self;
  (void)err;
  if (strcmp(c->declaration->name, PACKAGE) == 0)
    explain_package(c, out);
  else
    deviation_explain(c, out);
  return 0;
}
