/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/scan/pattern.h"

#include <string.h>

#include "systracker/base/escape.h"

enum token_kind { TOKEN_BYTE, TOKEN_ANY, TOKEN_STAR, TOKEN_SET };

struct token {
  enum token_kind kind;
  uint8_t byte;
  size_t set; /* which of the pattern's */
};

struct byte_set {
  uint8_t bits[32];
};

/* What one name has to look like; or, any_depth, any number of names (`**`). */
struct segment {
  bool any_depth;
  bool literal; /* `text` is the name */
  char *text;
  size_t length; /* of `text`, or of `tokens` */
  struct token *tokens;
};

struct st_pattern {
  struct segment *segments;
  size_t count;
  struct byte_set *sets;
  size_t nsets;
  bool dir_only;
  char *beginning; /* the literal segments that it begins with, as a path; "" for none */
  size_t beginning_length;
  size_t nliteral; /* how many segments that is */
};

/* ---- Paths ------------------------------------------------------------------------------------
 */

void st_path_parts_cut(struct st_path_parts *p, const char *path)
{
  size_t size = ST_PATH_PARTS;
  p->path = path;
  p->parts = p->few;
  p->count = 0;
  p->length = path[0] == '/' && path[1] == 0 ? 0 : strlen(path);
  for (const char *at = path; at < path + p->length;) {
    const char *name = at + 1, *end = strchrnul(name, '/');
    if (p->count == size) {
      struct st_path_part *old = p->parts == p->few ? NULL : p->parts;
      p->parts = st_realloc(old, size *= 2, sizeof(*p->parts));
      if (!old)
        memcpy(p->parts, p->few, sizeof(p->few));
    }
    p->parts[p->count++] = (struct st_path_part){name, (size_t)(end - name)};
    at = end;
  }
}

void st_path_parts_free(struct st_path_parts *p)
{
  if (p->parts != p->few)
    free(p->parts);
}

/* ---- Sets of bytes: [...] -----------------------------------------------------------------------
 */

static void set_add(struct byte_set *set, uint8_t c)
{
  set->bits[c / 8] |= (uint8_t)(1U << (c % 8));
}

static bool set_has(const struct byte_set *set, uint8_t c)
{
  return set->bits[c / 8] & (1U << (c % 8));
}

static bool in_range(unsigned c, char first, char last)
{
  return c >= (unsigned char)first && c <= (unsigned char)last;
}

static bool is_alpha(unsigned c)
{
  return in_range(c | 32, 'a', 'z');
}

static bool is_digit(unsigned c)
{
  return in_range(c, '0', '9');
}

static bool is_space(unsigned c)
{
  return c == ' ' || in_range(c, '\t', '\r');
}

/* The classes of the C locale, whatever ours is: names are bytes. */
static bool in_class(const char *name, size_t n, unsigned c, bool *known)
{
  const struct {
    const char *name;
    bool is;
  } classes[] = {
      {"alnum", is_alpha(c) || is_digit(c)},
      {"alpha", is_alpha(c)},
      {"blank", c == ' ' || c == '\t'},
      {"cntrl", c < 32 || c == 127},
      {"digit", is_digit(c)},
      {"graph", c > 32 && c < 127},
      {"lower", in_range(c, 'a', 'z')},
      {"print", c >= 32 && c < 127},
      {"punct", c > 32 && c < 127 && !is_alpha(c) && !is_digit(c)},
      {"space", is_space(c)},
      {"upper", in_range(c, 'A', 'Z')},
      {"xdigit", is_digit(c) || in_range(c | 32, 'a', 'f')},
  };
  for (size_t i = 0; i < ST_COUNT(classes); i++) {
    if (strlen(classes[i].name) == n && memcmp(classes[i].name, name, n) == 0) {
      *known = true;
      return classes[i].is;
    }
  }
  return *known = false;
}

/* `at` is behind "[:".  Returns what is behind ":]"; `at` itself when it is no class after all;
 * NULL when there is none of that name. */
static const char *add_class(struct byte_set *set, const char *at)
{
  const char *end = strchr(at, ']');
  if (!end || end == at || end[-1] != ':')
    return at;
  for (unsigned c = 1; c < 256; c++) {
    bool known;
    if (in_class(at, (size_t)(end - 1 - at), c, &known))
      set_add(set, (uint8_t)c);
    if (!known)
      return NULL;
  }
  return end + 1;
}

/* One byte of a set, perhaps escaped; NULL at the pattern's end. */
static const char *set_byte(const char *at, uint8_t *ret)
{
  if (*at == '\\')
    at++;
  *ret = (uint8_t)*at;
  return *at ? at + 1 : NULL;
}

/* One member: a byte, a range, a class. */
static const char *add_member(struct byte_set *set, const char *at)
{
  uint8_t first, last;
  if (at[0] == '[' && at[1] == ':') {
    const char *behind = add_class(set, at + 2);
    if (behind != at + 2)
      return behind;
  }
  at = set_byte(at, &first);
  if (!at)
    return NULL;
  set_add(set, first);
  if (at[0] != '-' || !at[1] || at[1] == ']')
    return at;
  at = set_byte(at + 1, &last);
  for (unsigned c = first; at && c <= last; c++)
    set_add(set, (uint8_t)c);
  return at;
}

/* `at` is behind the opening bracket.  Returns what is behind the closing one, or NULL. */
static const char *parse_set(struct byte_set *set, const char *at)
{
  bool negated = *at == '!' || *at == '^';
  const char *first = at += negated;
  while (at && (*at != ']' || at == first)) {
    if (!*at)
      return NULL;
    at = add_member(set, at);
  }
  if (!at)
    return NULL;
  for (size_t i = 0; negated && i < sizeof(set->bits); i++)
    set->bits[i] = (uint8_t)~set->bits[i];
  return at + 1;
}

/* ---- Compiling
 * ------------------------------------------------------------------------------------ */

static void add_token(struct segment *s, enum token_kind kind, uint8_t byte, size_t set)
{
  if (kind == TOKEN_STAR && s->length > 0 && s->tokens[s->length - 1].kind == TOKEN_STAR)
    return;
  s->tokens = st_realloc(s->tokens, s->length + 1, sizeof(*s->tokens));
  s->tokens[s->length++] = (struct token){kind, byte, set};
}

/* The token at `at`, which is no slash.  Returns what is behind it, or NULL with `*why`. */
static const char *parse_token(struct st_pattern *p, struct segment *s, const char *at,
                               const char **why)
{
  switch (*at) {
  case '*':
    add_token(s, TOKEN_STAR, 0, 0);
    return at + 1;
  case '?':
    add_token(s, TOKEN_ANY, 0, 0);
    return at + 1;
  case '[':
    p->sets = st_realloc(p->sets, p->nsets + 1, sizeof(*p->sets));
    p->sets[p->nsets] = (struct byte_set){0};
    add_token(s, TOKEN_SET, 0, p->nsets);
    *why = "a [ that is not closed, or a class that does not exist";
    return parse_set(&p->sets[p->nsets++], at + 1);
  case '\\':
    at++;
    *why = "a backslash takes the next character, and there is none to take";
    if (!*at || *at == '/')
      return NULL;
  }
  add_token(s, TOKEN_BYTE, (uint8_t)*at, 0);
  return at + 1;
}

/* A name without wildcards is kept as it is. */
static void make_literal(struct segment *s)
{
  for (size_t i = 0; i < s->length; i++) {
    if (s->tokens[i].kind != TOKEN_BYTE)
      return;
  }
  s->text = st_malloc(s->length + 1);
  for (size_t i = 0; i < s->length; i++)
    s->text[i] = (char)s->tokens[i].byte;
  s->text[s->length] = 0;
  s->literal = true;
}

static bool is_dots(const struct segment *s)
{
  return s->literal && (strcmp(s->text, ".") == 0 || strcmp(s->text, "..") == 0);
}

static struct segment *add_segment(struct st_pattern *p)
{
  p->segments = st_realloc(p->segments, p->count + 1, sizeof(*p->segments));
  p->segments[p->count] = (struct segment){0};
  return &p->segments[p->count++];
}

static void add_any_depth(struct st_pattern *p)
{
  if (p->count == 0 || !p->segments[p->count - 1].any_depth)
    add_segment(p)->any_depth = true;
}

/* One name, up to a slash or the end.  Returns where that is, or NULL with `*why`. */
static const char *parse_segment(struct st_pattern *p, const char *at, const char **why)
{
  size_t stars = strspn(at, "*");
  if (stars >= 2 && at[stars] == '/') {
    add_any_depth(p);
    return at + stars;
  }
  struct segment *s = add_segment(p);
  while (*at && *at != '/') {
    at = parse_token(p, s, at, why);
    if (!at)
      return NULL;
  }
  make_literal(s);
  *why = "an empty name, . or .. matches nothing";
  return s->length == 0 || is_dots(s) ? NULL : at;
}

/* A slash at the beginning or within anchors; brackets and escapes hold none that counts, but those
 * in brackets match nothing anyway. */
static bool is_anchored(const char *text, size_t length)
{
  return memchr(text, '/', length) != NULL;
}

static int parse(struct st_pattern *p, const char *text, const char **why)
{
  size_t length = strlen(text);
  *why = "it is empty";
  if (length == 0)
    return -1;
  if (strcmp(text, "/") == 0)
    return 0; /* everything */
  p->dir_only = text[length - 1] == '/';
  ST_AUTO_FREE char *copy = st_memdup(text, length - p->dir_only);
  if (!is_anchored(copy, strlen(copy)))
    add_any_depth(p);
  const char *at = copy[0] == '/' ? copy + 1 : copy;
  for (;;) {
    at = parse_segment(p, at, why);
    if (!at)
      return -1;
    if (!*at)
      return 0;
    at++;
  }
}

static void find_beginning(struct st_pattern *p)
{
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  while (p->nliteral < p->count && p->segments[p->nliteral].literal) {
    const struct segment *s = &p->segments[p->nliteral++];
    st_buffer_append_byte(&b, '/');
    st_buffer_append(&b, s->text, s->length);
  }
  p->beginning_length = b.length;
  p->beginning = st_buffer_steal(&b, NULL);
}

int st_pattern_compile(struct st_pattern **ret, const char *text, struct st_error *err)
{
  ST_CLEANUP(st_pattern_freep) struct st_pattern *p = st_calloc(1, sizeof(*p));
  const char *why = NULL;
  if (parse(p, text, &why) < 0)
    return st_fail(err, 0, "not a pattern: %s (%s)", why, st_quote(text));
  find_beginning(p);
  *ret = st_steal(&p);
  return 0;
}

void st_pattern_free(struct st_pattern *p)
{
  if (!p)
    return;
  for (size_t i = 0; i < p->count; i++) {
    free(p->segments[i].text);
    free(p->segments[i].tokens);
  }
  free(p->segments);
  free(p->sets);
  free(p->beginning);
  free(p);
}

/* ---- Matching
 * --------------------------------------------------------------------------------------- */

static bool token_takes(const struct st_pattern *p, const struct token *t, uint8_t c)
{
  switch (t->kind) {
  case TOKEN_BYTE:
    return t->byte == c;
  case TOKEN_SET:
    return set_has(&p->sets[t->set], c);
  default:
    return t->kind == TOKEN_ANY;
  }
}

static bool match_tokens(const struct st_pattern *p, const struct segment *s, const char *name,
                         size_t n)
{
  size_t t = 0, i = 0, star = SIZE_MAX, mark = 0;
  while (i < n) {
    if (t < s->length && s->tokens[t].kind == TOKEN_STAR) {
      star = t++;
      mark = i;
    } else if (t < s->length && token_takes(p, &s->tokens[t], (uint8_t)name[i])) {
      t++;
      i++;
    } else if (star != SIZE_MAX) {
      t = star + 1;
      i = ++mark;
    } else {
      return false;
    }
  }
  while (t < s->length && s->tokens[t].kind == TOKEN_STAR)
    t++;
  return t == s->length;
}

static bool match_segment(const struct st_pattern *p, const struct segment *s,
                          const struct st_path_part *part)
{
  if (s->literal)
    return s->length == part->length && memcmp(s->text, part->name, s->length) == 0;
  const struct token *last = &s->tokens[s->length - 1];
  if (last->kind == TOKEN_BYTE &&
      (part->length == 0 || last->byte != (uint8_t)part->name[part->length - 1]))
    return false; /* "*.pyc" against most names */
  return match_tokens(p, s, part->name, part->length);
}

/* The first point at which the pattern is used up decides: a later one would lie below it. */
static bool match_segments(const struct st_pattern *p, const struct st_path_parts *path,
                           bool is_dir)
{
  size_t s = p->nliteral, i = p->nliteral, deep = SIZE_MAX, mark = 0;
  while (s < p->count) {
    if (p->segments[s].any_depth) {
      deep = s++;
      mark = i;
    } else if (i < path->count && match_segment(p, &p->segments[s], &path->parts[i])) {
      s++;
      i++;
    } else if (deep != SIZE_MAX && mark < path->count) {
      s = deep + 1;
      i = ++mark;
    } else {
      return false;
    }
  }
  return i < path->count || is_dir || !p->dir_only;
}

bool st_pattern_match(const struct st_pattern *p, const struct st_path_parts *path, bool is_dir)
{
  size_t n = p->beginning_length;
  if (n > path->length || (path->length > n && path->path[n] != '/') ||
      memcmp(p->beginning, path->path, n) != 0)
    return false;
  return match_segments(p, path, is_dir);
}

bool st_pattern_may_match_below(const struct st_pattern *p, const struct st_path_parts *path)
{
  if (st_pattern_match(p, path, true))
    return false;
  for (size_t i = 0; i < path->count; i++) {
    if (p->segments[i].any_depth)
      return true;
    if (i + 1 == p->count || !match_segment(p, &p->segments[i], &path->parts[i]))
      return false;
  }
  return true;
}

const char *st_pattern_beginning(const struct st_pattern *p)
{
  return p->beginning_length ? p->beginning : "/";
}
