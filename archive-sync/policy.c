/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/policy.h"

#include <inttypes.h>
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/text.h"
#include "systracker/tracker/cli.h"

#define POLICY "policy"
#define POLICY_MAX 65536
#define FORMAT "SysTracker policy 1"
#define TAG "keep-tag"
#define AT "prune-at"

/* Each line is "NAME VALUE". */
struct number {
  const char *name;
  int64_t *value;
};
#define NUMBERS(p)                                                                                 \
  {                                                                                                \
    {"keep-last", &(p)->keep.last}, {"keep-daily", &(p)->keep.daily},                              \
        {"keep-weekly", &(p)->keep.weekly}, {"keep-monthly", &(p)->keep.monthly},                  \
        {"keep-yearly", &(p)->keep.yearly}, {"silent-after", &(p)->silent_after},                  \
  }

void st_policy_clear(struct st_policy *policy)
{
  st_strings_free(&policy->keep.tags);
}

int st_policy_time(const char *text, int64_t *ret, struct st_error *err)
{
  static const char digits[] = "0123456789";
  if (strlen(text) != 5 || text[2] != ':' || strspn(text, digits) != 2 ||
      strspn(text + 3, digits) != 2 || memcmp(text, "24", 2) >= 0 || text[3] > '5')
    return st_fail(err, 0, "a time is HH:MM, from 00:00 to 23:59 (%s)", st_quote(text));
  *ret = 60 * (10 * (text[0] - '0') + text[1] - '0') + 10 * (text[3] - '0') + text[4] - '0';
  return 0;
}

static int read_tag(struct st_policy *policy, const char *value, struct st_error *err)
{
  ST_AUTO_BUFFER tag = ST_BUFFER_INIT;
  if (st_unescape(value, &tag, err) < 0)
    return -1;
  st_strings_add(&policy->keep.tags, tag.data ? tag.data : "");
  return 0;
}

/* What it does not know might keep something: so it is an error. */
static int read_line(struct st_policy *policy, const char *line, struct st_error *err)
{
  const struct number numbers[] = NUMBERS(policy);
  size_t n = strcspn(line, " ");
  const char *value = line[n] ? line + n + 1 : "";
  if (n == strlen(TAG) && memcmp(line, TAG, n) == 0)
    return read_tag(policy, value, err);
  if (n == strlen(AT) && memcmp(line, AT, n) == 0)
    return st_policy_time(value, &policy->prune_at, err);
  for (size_t i = 0; i < ST_COUNT(numbers); i++)
    if (n == strlen(numbers[i].name) && memcmp(line, numbers[i].name, n) == 0)
      return st_parse_number(value, numbers[i].value, err);
  return st_fail(err, 0, "this version does not know what \"%s\" is", st_quote(line));
}

static int read_lines(struct st_policy *policy, const char *text, struct st_error *err)
{
  size_t n = strcspn(text, "\n");
  if (n != strlen(FORMAT) || memcmp(text, FORMAT, n) != 0)
    return st_fail(err, 0, "it is not in the format of this version");
  while (text[n] && text[n + 1]) {
    text += n + 1;
    n = strcspn(text, "\n");
    ST_AUTO_FREE char *line = st_memdup(text, n);
    if (*line && read_line(policy, line, err) < 0)
      return -1;
  }
  return 0;
}

int st_policy_read(struct st_archive *a, struct st_policy *ret, struct st_error *err)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  *ret = (struct st_policy){.silent_after = ST_POLICY_SILENT, .prune_at = ST_POLICY_PRUNE_AT};
  int r = st_read_file(a->dir, POLICY, POLICY_MAX, &text, err);
  if (r == -ENOENT) {
    st_error_clear(err);
    return 0;
  }
  if (r < 0 || read_lines(ret, text.data ? text.data : "", err) < 0)
    return st_wrap(err, "the archive's policy (%s/" POLICY ")", st_quote(a->path));
  return 0;
}

static void write_tag(struct st_buffer *text, const char *tag)
{
  st_buffer_append_string(text, TAG " ");
  st_escape(text, tag, strlen(tag));
  st_buffer_append_byte(text, '\n');
}

int st_policy_write(struct st_archive *a, const struct st_policy *policy, struct st_error *err)
{
  struct st_policy copy = *policy;
  const struct number numbers[] = NUMBERS(&copy);
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  st_buffer_append_string(&text, FORMAT "\n");
  for (size_t i = 0; i < ST_COUNT(numbers); i++)
    if (*numbers[i].value > 0)
      st_buffer_printf(&text, "%s %" PRId64 "\n", numbers[i].name, *numbers[i].value);
  st_buffer_printf(&text, AT " %02d:%02d\n", (int)(copy.prune_at / 60), (int)(copy.prune_at % 60));
  for (size_t i = 0; i < copy.keep.tags.count; i++)
    write_tag(&text, copy.keep.tags.items[i]);
  return st_write_file(a->dir, POLICY, 0600, text.data, text.length, err);
}

/* ---- As JSON ------------------------------------------------------------------------------------
 */

static json_t *keep_json(const struct st_retention *keep)
{
  const struct {
    const char *name;
    int64_t value;
  } numbers[] = {{"last", keep->last},
                 {"daily", keep->daily},
                 {"weekly", keep->weekly},
                 {"monthly", keep->monthly},
                 {"yearly", keep->yearly}};
  json_t *o = json_object(), *tags = json_array();
  for (size_t i = 0; i < ST_COUNT(numbers); i++)
    json_object_set_new(o, numbers[i].name, json_integer(numbers[i].value));
  for (size_t i = 0; i < keep->tags.count; i++)
    json_array_append_new(tags, st_json_path(keep->tags.items[i]));
  json_object_set_new(o, "tags", tags);
  return o;
}

char *st_policy_say_time(int64_t minutes)
{
  return st_format("%02d:%02d", (int)(minutes / 60), (int)(minutes % 60));
}

json_t *st_policy_json(const struct st_policy *policy)
{
  ST_AUTO_FREE char *at = st_policy_say_time(policy->prune_at);
  json_t *o = json_object();
  json_object_set_new(o, "keep", keep_json(&policy->keep));
  json_object_set_new(o, "prune_at", json_string(at));
  json_object_set_new(o, "silent_after", json_integer(policy->silent_after));
  return o;
}
