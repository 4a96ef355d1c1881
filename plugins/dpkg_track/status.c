/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/status.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Far more than dpkg itself can use: names are parts of file names. */
#define MOST_FIELD 1024

/* A place in the text. */
struct reader {
  char *next, *end;
  size_t line;   /* of what is next, from 1 */
  bool indented; /* the line read last began with a blank */
  const char *what;
};

/* What is taken of a stanza, as it is written. */
struct stanza {
  char *package, *status, *architecture, *version, *config_version, *multi_arch, *automatic;
  char *conffiles; /* its first line, which is empty; the others follow */
  const char *conffiles_end;
  size_t line;
  bool any; /* it has a field at all */
  bool in_conffiles;
};

static int malformed(const struct reader *r, size_t line, const char *why, struct st_error *err)
{
  return st_fail(err, 0, "%s, line %zu: %s", r->what, line, why);
}

/* ---- Lines ------------------------------------------------------------------------------ */

static bool is_blank(char c)
{
  return c == ' ' || c == '\t' || c == '\r';
}

/* The next line, without blanks at its end: NULs stand for them and for the line's end.  0 at the
 * end of the text. */
static int next_line(struct reader *r, char **ret, struct st_error *err)
{
  if (r->next == r->end)
    return 0;
  char *start = r->next, *stop = memchr(start, '\n', (size_t)(r->end - start));
  if (!stop)
    return malformed(r, r->line, "the last line has no end: the file is cut off", err);
  if (memchr(start, 0, (size_t)(stop - start)))
    return malformed(r, r->line, "a NUL byte", err);
  r->next = stop + 1;
  r->line++;
  r->indented = *start == ' ' || *start == '\t';
  *stop = 0;
  while (stop > start && is_blank(stop[-1]))
    *--stop = 0;
  *ret = start;
  return 1;
}

/* ---- Fields ----------------------------------------------------------------------------- */

static char **place_of(struct stanza *s, const char *field)
{
  const struct {
    const char *name;
    char **place;
  } known[] = {
      {"Package", &s->package},
      {"Status", &s->status},
      {"Architecture", &s->architecture},
      {"Version", &s->version},
      {"Config-Version", &s->config_version},
      {"Multi-Arch", &s->multi_arch},
      {"Auto-Installed", &s->automatic},
      {"Conffiles", &s->conffiles},
  };
  for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
    if (strcasecmp(field, known[i].name) == 0)
      return known[i].place;
  }
  return NULL;
}

static int take_field(const struct reader *r, struct stanza *s, char *line, struct st_error *err)
{
  size_t at = r->line - 1;
  char *colon = strchr(line, ':');
  if (!colon || colon == line || strcspn(line, " \t") < (size_t)(colon - line))
    return malformed(r, at, "neither a field nor the continuation of one", err);
  *colon = 0;
  char **place = place_of(s, line);
  s->in_conffiles = place == &s->conffiles;
  if (!place)
    return 0;
  char *value = colon + 1;
  while (is_blank(*value))
    value++;
  if (*place)
    return malformed(r, at, "a field that stands twice in one stanza", err);
  if (strlen(value) > MOST_FIELD)
    return malformed(r, at, "a value that is too long", err);
  *place = value;
  return 0;
}

/* 1: a stanza; 0: there is none left. */
static int next_stanza(struct reader *r, struct stanza *ret, struct st_error *err)
{
  char *line = NULL;
  int more;
  *ret = (struct stanza){0};
  while ((more = next_line(r, &line, err)) > 0) {
    /* Blanks alone continue a value, as they do for dpkg, which only warns. */
    if (*line == 0 && !r->indented) {
      if (ret->any)
        return 1;
      continue;
    }
    if (r->indented && !ret->any)
      return malformed(r, r->line - 1, "a continuation of nothing", err);
    if (!ret->any)
      ret->line = r->line - 1;
    ret->any = true;
    if (!r->indented && take_field(r, ret, line, err) < 0)
      return -1;
    if (ret->in_conffiles)
      ret->conffiles_end = r->next;
  }
  return more < 0 ? more : ret->any;
}

/* ---- Packages --------------------------------------------------------------------------- */

/* Letters, digits and the other characters given; empty is none. */
static bool consists_of(const char *s, const char *others)
{
  static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  if (!*s)
    return false;
  for (; *s; s++) {
    if (!strchr(plain, *s) && !strchr(others, *s))
      return false;
  }
  return true;
}

/* Three words, one blank between them from now on.  False: they are not three. */
static bool normal_state(char *state)
{
  unsigned words = 0;
  char *to = state;
  for (const char *from = state; *from;) {
    size_t n = strcspn(from, " \t");
    if (words++ > 0)
      *to++ = ' ';
    memmove(to, from, n);
    to += n;
    from += n;
    from += strspn(from, " \t");
  }
  *to = 0;
  return words == 3 && consists_of(state, "- ");
}

static int take_package(const struct reader *r, const struct stanza *s, struct package *ret,
                        struct st_error *err)
{
  static char none[] = "";
  char *version = s->version ? s->version : s->config_version;
  char *architecture = s->architecture ? s->architecture : none;
  if (!s->package || !consists_of(s->package, "-+._"))
    return malformed(r, s->line, "a stanza without the name of a package", err);
  if (!s->status || !normal_state(s->status))
    return malformed(r, s->line, "a package without a status of three words", err);
  if (*architecture && !consists_of(architecture, "-"))
    return malformed(r, s->line, "a package with an architecture that cannot be", err);
  if (version && *version && !consists_of(version, "-+._~:"))
    return malformed(r, s->line, "a package with a version that cannot be", err);
  const char *status = strrchr(s->status, ' ') + 1;
  *ret = (struct package){
      .name = s->package,
      .architecture = architecture,
      .version = version && *version ? version : NULL,
      .state = s->status,
      .installed = strcmp(status, "not-installed") != 0,
      .coinstallable = s->multi_arch && strcasecmp(s->multi_arch, "same") == 0,
      .line = s->line,
      .conffiles = s->conffiles,
      .conffiles_end = s->conffiles_end,
  };
  return 0;
}

static int add(struct packages *packages, const struct package *p, struct st_error *err)
{
  if (packages->count == packages->size) {
    size_t size = packages->size ? packages->size * 2 : 256;
    struct package *items = reallocarray(packages->items, size, sizeof(*items));
    if (!items)
      return st_fail(err, 0, "out of memory");
    packages->items = items;
    packages->size = size;
  }
  packages->items[packages->count++] = *p;
  return 0;
}

static int by_name(const void *a, const void *b)
{
  const struct package *p = a, *q = b;
  int order = strcmp(p->name, q->name);
  return order != 0 ? order : strcmp(p->architecture, q->architecture);
}

typedef int package_fn(struct packages *packages, const struct package *p, struct st_error *err);

static int each_package(struct packages *packages, struct reader *r, package_fn *fn,
                        struct st_error *err)
{
  struct stanza s;
  int more;
  while ((more = next_stanza(r, &s, err)) > 0) {
    struct package p;
    if (take_package(r, &s, &p, err) < 0 || fn(packages, &p, err) < 0)
      return -1;
  }
  return more;
}

int packages_parse(struct packages *packages, char *text, size_t length, const char *what,
                   struct st_error *err)
{
  struct reader r = {.next = text, .end = text + length, .line = 1, .what = what};
  if (each_package(packages, &r, add, err) < 0)
    return -1;
  if (packages->count == 0)
    return 0;
  qsort(packages->items, packages->count, sizeof(*packages->items), by_name);
  packages->sorted = packages->count;
  for (size_t i = 1; i < packages->count; i++) {
    const struct package *p = &packages->items[i];
    if (by_name(p - 1, p) == 0)
      return st_fail(err, 0, "%s: package %s stands there twice (lines %zu and %zu)", what, p->name,
                     p[-1].line < p->line ? p[-1].line : p->line,
                     p[-1].line < p->line ? p->line : p[-1].line);
  }
  return 0;
}

/* ---- The journal ------------------------------------------------------------------------ */

/* Which entry the update is of (dpkg's parse_find_pkg_slot): the same architecture's, else the only
 * installed one of that name unless both may be installed beside each other.  NULL: a new one. */
static struct package *entry_of(const struct packages *packages, const struct package *p)
{
  struct package *only = NULL;
  size_t installed = 0;
  for (size_t i = 0; i < packages->count; i++) {
    struct package *q = &packages->items[i];
    if (strcmp(q->name, p->name) != 0)
      continue;
    if (strcmp(q->architecture, p->architecture) == 0)
      return q;
    if (q->installed) {
      only = q;
      installed++;
    }
  }
  return installed == 1 && !(only->coinstallable && p->coinstallable) ? only : NULL;
}

static int update(struct packages *packages, const struct package *p, struct st_error *err)
{
  struct package *old = entry_of(packages, p);
  if (!old)
    return add(packages, p, err);
  *old = *p;
  return 0;
}

int packages_update(struct packages *packages, char *text, size_t length, const char *what,
                    struct st_error *err)
{
  struct reader r = {.next = text, .end = text + length, .line = 1, .what = what};
  return each_package(packages, &r, update, err);
}

/* The first place where one of that name may be, the sorted ones first; to be gone on from by
 * next_named. */
static size_t first_named(const struct packages *packages, const char *name)
{
  size_t low = 0, high = packages->sorted;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (strcmp(packages->items[middle].name, name) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* The next of that name from `*at` on; NULL: none is left. */
static struct package *next_named(const struct packages *packages, const char *name, size_t *at)
{
  while (*at < packages->count) {
    struct package *p = &packages->items[(*at)++];
    if (strcmp(p->name, name) == 0)
      return p;
    if (*at <= packages->sorted)
      *at = packages->sorted;
  }
  return NULL;
}

const struct package *packages_find(const struct packages *packages, const char *name,
                                    const char *architecture)
{
  size_t at = first_named(packages, name);
  const struct package *p;
  while ((p = next_named(packages, name, &at)) && strcmp(p->architecture, architecture) != 0)
    ;
  return p;
}

/* ---- Configuration files ---------------------------------------------------------------- */

static bool is_word_of(const char *s, size_t n, const char *word)
{
  return n == strlen(word) && memcmp(s, word, n) == 0;
}

/* Cuts the last word off a line; `*length` is what is left of it. */
static const char *last_word(const char *line, size_t *length, size_t *ret_length)
{
  size_t end = *length, start;
  while (end > 0 && is_blank(line[end - 1]))
    end--;
  for (start = end; start > 0 && !is_blank(line[start - 1]); start--)
    ;
  *ret_length = end - start;
  *length = start;
  return line + start;
}

/* "/etc/x MD5", and behind it flags; the path may hold blanks.  false: its digest is not known. */
static bool parse_conffile(const char *line, struct conffile *ret)
{
  size_t left = strlen(line), n;
  const char *word = last_word(line, &left, &n);
  *ret = (struct conffile){0};
  while (is_word_of(word, n, "obsolete") || is_word_of(word, n, "remove-on-upgrade")) {
    ret->obsolete = true;
    word = last_word(line, &left, &n);
  }
  if (n != MD5_DIGITS || strspn(word, "0123456789abcdef") < MD5_DIGITS)
    return false;
  while (left > 0 && is_blank(line[left - 1]))
    left--;
  size_t blanks = strspn(line, " \t");
  *ret = (struct conffile){line + blanks, left > blanks ? left - blanks : 0, word, ret->obsolete};
  return ret->length > 0 && *ret->path == '/';
}

/* A line begins with a blank, and NULs stand behind it. */
bool conffile_next(const struct package *p, const char **at, struct conffile *ret)
{
  const char *line = *at ? *at : p->conffiles;
  while (line && line < p->conffiles_end) {
    const char *now = line;
    line += strlen(line);
    while (line < p->conffiles_end && !*line)
      line++;
    *at = line;
    if (parse_conffile(now, ret))
      return true;
  }
  return false;
}

/* ---- apt's marks ------------------------------------------------------------------------ */

/* The architecture that apt writes for packages of all: dpkg's own.  NULL: any is taken for it. */
static const char *native_architecture(const struct packages *packages)
{
  for (size_t i = 0; i < packages->count; i++) {
    const struct package *p = &packages->items[i];
    if (p->installed && strcmp(p->name, "dpkg") == 0 && *p->architecture)
      return p->architecture;
  }
  return NULL;
}

/* Of a package of that name. */
static bool is_marked(const struct package *p, const struct stanza *s, const char *native)
{
  if (!s->architecture || strcmp(p->architecture, s->architecture) == 0)
    return true;
  return strcmp(p->architecture, "all") == 0 && (!native || strcmp(native, s->architecture) == 0);
}

int packages_mark(struct packages *packages, char *text, size_t length, const char *what,
                  struct st_error *err)
{
  struct reader r = {.next = text, .end = text + length, .line = 1, .what = what};
  const char *native = native_architecture(packages);
  struct stanza s;
  int more;
  while ((more = next_stanza(&r, &s, err)) > 0) {
    if (!s.package)
      return malformed(&r, s.line, "a stanza without the name of a package", err);
    size_t at = first_named(packages, s.package);
    for (struct package *p; (p = next_named(packages, s.package, &at));) {
      if (is_marked(p, &s, native))
        p->automatic = s.automatic && strcmp(s.automatic, "1") == 0;
    }
  }
  return more;
}

void packages_free(struct packages *packages)
{
  free(packages->items);
  *packages = (struct packages){0};
}
