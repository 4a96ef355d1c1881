/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/tracker/rpmrequest.h"

#include <string.h>

#include "systracker/base/text.h"

static const char *const kinds[ST_RPM_STEP_NKINDS] = {
    [ST_RPM_STEP_INSTALL] = "install",     [ST_RPM_STEP_UPGRADE] = "upgrade",
    [ST_RPM_STEP_REINSTALL] = "reinstall", [ST_RPM_STEP_ERASE] = "erase",
    [ST_RPM_STEP_IMPORT] = "import",       [ST_RPM_STEP_PROVE] = "prove",
};

static const char *const said[ST_RPM_SAID_NKINDS] = {
    [ST_RPM_SAID_FILE] = "file", [ST_RPM_SAID_PROBLEM] = "problem", [ST_RPM_SAID_BEYOND] = "beyond",
    [ST_RPM_SAID_SIZE] = "size", [ST_RPM_SAID_NEEDED] = "needed",   [ST_RPM_SAID_FAILED] = "failed",
    [ST_RPM_SAID_LEFT] = "left", [ST_RPM_SAID_NOTE] = "note",
};

static void step_free(struct st_rpm_step *s)
{
  free(s->name);
  free(s->before);
  free(s->after);
  free(s->architecture);
  free(s->digest);
  free(s->key);
  st_strings_free(&s->files);
}

void st_rpm_request_free(struct st_rpm_request *r)
{
  for (size_t i = 0; i < r->count; i++)
    step_free(&r->items[i]);
  free(r->items);
  *r = (struct st_rpm_request){0};
}

struct st_rpm_step *st_rpm_request_add(struct st_rpm_request *r, enum st_rpm_step_kind kind)
{
  if (r->count == r->size) {
    r->size = r->size ? 2 * r->size : 32;
    r->items = st_realloc(r->items, r->size, sizeof(*r->items));
  }
  struct st_rpm_step *s = &r->items[r->count++];
  *s = (struct st_rpm_step){
      .kind = kind,
      .name = st_strdup(""),
      .before = st_strdup(""),
      .after = st_strdup(""),
      .architecture = st_strdup(""),
      .digest = st_strdup(""),
      .key = st_strdup(""),
  };
  return s;
}

/* ---- Words ----------------------------------------------------------------------------------- */

static void put(struct st_buffer *out, const char *word)
{
  st_buffer_append(out, word, strlen(word) + 1);
}

static void put_number(struct st_buffer *out, size_t n)
{
  st_buffer_printf(out, "%zu", n);
  st_buffer_append_byte(out, 0);
}

struct words {
  const char *at, *end;
};

/* NULL: there is none, or its end is missing. */
static const char *next(struct words *w)
{
  const char *word = w->at;
  const char *nul = word < w->end ? memchr(word, 0, (size_t)(w->end - word)) : NULL;
  if (nul)
    w->at = nul + 1;
  return nul ? word : NULL;
}

static int next_copy(struct words *w, char **ret)
{
  const char *word = next(w);
  if (!word)
    return -1;
  free(*ret);
  *ret = st_strdup(word);
  return 0;
}

static int next_number(struct words *w, size_t most, size_t *ret)
{
  const char *word = next(w);
  int64_t n;
  if (!word || st_parse_number(word, &n, NULL) < 0 || n < 0 || (uint64_t)n > most)
    return -1;
  *ret = (size_t)n;
  return 0;
}

/* The place of the next word in a list. */
static int next_of(struct words *w, const char *const *list, size_t count, size_t *ret)
{
  const char *word = next(w);
  for (*ret = 0; word && *ret < count; (*ret)++) {
    if (strcmp(word, list[*ret]) == 0)
      return 0;
  }
  return -1;
}

/* ---- The request ----------------------------------------------------------------------------- */

void st_rpm_request_encode(struct st_buffer *out, const struct st_rpm_request *r)
{
  for (size_t i = 0; i < r->count; i++) {
    const struct st_rpm_step *s = &r->items[i];
    put(out, kinds[s->kind]);
    put(out, s->name);
    put(out, s->before);
    put(out, s->after);
    put(out, s->architecture);
    put(out, s->digest);
    put(out, s->optional ? "1" : "0");
    put(out, s->key);
    put_number(out, s->files.count);
    for (size_t k = 0; k < s->files.count; k++)
      put(out, s->files.items[k]);
  }
}

/* A path below the folder of packages: nothing leads out of it. */
static bool is_inside(const char *path)
{
  return *path && *path != '/' && !strstr(path, "..");
}

static int decode_step(struct words *w, struct st_rpm_request *ret)
{
  size_t kind, optional, files;
  if (next_of(w, kinds, ST_RPM_STEP_NKINDS, &kind) < 0)
    return -1;
  struct st_rpm_step *s = st_rpm_request_add(ret, (enum st_rpm_step_kind)kind);
  if (next_copy(w, &s->name) < 0 || next_copy(w, &s->before) < 0 || next_copy(w, &s->after) < 0 ||
      next_copy(w, &s->architecture) < 0 || next_copy(w, &s->digest) < 0 ||
      next_number(w, 1, &optional) < 0 || next_copy(w, &s->key) < 0 ||
      next_number(w, (size_t)(w->end - w->at), &files) < 0)
    return -1;
  s->optional = optional;
  for (; files > 0; files--) {
    const char *file = next(w);
    if (!file || !is_inside(file))
      return -1;
    st_strings_add(&s->files, file);
  }
  return 0;
}

int st_rpm_request_decode(const void *data, size_t length, struct st_rpm_request *ret,
                          struct st_error *err)
{
  struct words w = {data, (const char *)data + length};
  while (w.at < w.end) {
    if (decode_step(&w, ret) < 0)
      return st_fail(err, 0, "what is asked for is not understood (step %zu)", ret->count);
  }
  return 0;
}

/* ---- The answer ------------------------------------------------------------------------------ */

void st_rpm_say(struct st_buffer *out, enum st_rpm_said what, size_t step, const char *text)
{
  put(out, said[what]);
  if (step == ST_RPM_NO_STEP)
    put(out, "");
  else
    put_number(out, step);
  put(out, text);
}

/* "" : none. */
static int next_step(struct words *w, size_t steps, size_t *ret)
{
  *ret = ST_RPM_NO_STEP;
  if (w->at < w->end && !*w->at)
    return next(w) ? 0 : -1;
  return steps > 0 ? next_number(w, steps - 1, ret) : -1;
}

int st_rpm_answer_decode(const void *data, size_t length, size_t steps, st_rpm_said_fn *fn,
                         void *arg, struct st_error *err)
{
  struct words w = {data, (const char *)data + length};
  while (w.at < w.end) {
    size_t what, step;
    const char *text = NULL;
    if (next_of(&w, said, ST_RPM_SAID_NKINDS, &what) < 0 || next_step(&w, steps, &step) < 0 ||
        !(text = next(&w)))
      return st_fail(err, 0, "what systracker-rpm answers is not understood");
    fn(arg, (enum st_rpm_said)what, step, text);
  }
  return 0;
}
