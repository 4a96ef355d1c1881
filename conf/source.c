/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "conf/source.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"

#define ST_SOURCE_MOST ((size_t)1 << 20) /* bytes of one file */

struct lexer {
  struct st_source *source;
  char *at;
  int line;
  char *words[2]; /* the last two that are part of nothing yet; [1] is the later */
  int word_line;
  bool value; /* behind an equal sign */
  bool list;  /* in the braces of a list */
  size_t block;
  struct st_error *err;
};

int st_source_fail(const char *file, int line, struct st_error *err, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  ST_AUTO_FREE char *message = st_vformat(fmt, ap);
  va_end(ap);
  return st_fail(err, 0, "%s (%s:%d)", message, st_quote(file), line);
}

#define wrong(l, ...) st_source_fail((l)->source->file, (l)->line, (l)->err, __VA_ARGS__)

/* ---- Comments -----------------------------------------------------------------------------------
 */

static void blank_line(struct lexer *l)
{
  while (*l->at && *l->at != '\n')
    *l->at++ = ' ';
}

static int blank_block(struct lexer *l)
{
  char *end = strstr(l->at + 2, "*/");
  if (!end)
    return wrong(l, "a comment that does not end");
  for (; l->at < end + 2; l->at++) {
    if (*l->at == '\n')
      l->line++;
    else
      *l->at = ' ';
  }
  return 0;
}

/* ---- Strings ------------------------------------------------------------------------------------
 */

/* \N, \NN, \NNN: what libconfuse takes, and no NUL, which would end the string early. */
static int check_octal(struct lexer *l)
{
  size_t n = strspn(l->at, "0123456789");
  unsigned long value = strtoul(l->at, NULL, 8);
  if (n > 3 || strspn(l->at, "01234567") < n || value == 0 || value > 255)
    return wrong(l, "bad escape \\%.*s in a string", n > 9 ? 9 : (int)n, l->at);
  l->at += n;
  return 0;
}

static int check_hex(struct lexer *l)
{
  char digits[3] = {0};
  size_t n = strspn(l->at + 1, "0123456789abcdefABCDEF");
  memcpy(digits, l->at + 1, n < 2 ? n : 2);
  if (n > 0 && strtoul(digits, NULL, 16) == 0)
    return wrong(l, "a NUL in a string");
  l->at++;
  return 0;
}

/* At the character behind a backslash in "...". */
static int check_escape(struct lexer *l)
{
  if (*l->at >= '0' && *l->at <= '9')
    return check_octal(l);
  if (*l->at == 'x')
    return check_hex(l);
  if (*l->at == '\n')
    l->line++;
  if (*l->at)
    l->at++;
  return 0;
}

/* A character of a string.  `'...'` takes all as it is; "..." would expand ${NAME}. */
static int check_character(struct lexer *l, char quote)
{
  if (*l->at == '\\' && quote == '"') {
    l->at++;
    return check_escape(l);
  }
  if (*l->at == '\\' && l->at[1])
    l->at++;
  if (*l->at == '\n')
    l->line++;
  if (quote == '"' && l->at[0] == '$' && l->at[1] == '{')
    return wrong(l, "${ is not expanded; write \\${ for the characters themselves");
  l->at++;
  return 0;
}

static int string_token(struct lexer *l, char **ret)
{
  int begin = l->line;
  const char quote = *l->at++, *text = l->at;
  while (*l->at && *l->at != quote) {
    if (check_character(l, quote) < 0)
      return -1;
  }
  if (!*l->at) {
    l->line = begin;
    return wrong(l, "a string that does not end");
  }
  *ret = st_memdup(text, (size_t)(l->at - text));
  l->at++;
  return 0;
}

/* ---- Bare words --------------------------------------------------------------------------------
 */

static bool is_bare(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (c && strchr("_./:@%~-", c));
}

static int bare_token(struct lexer *l, char **ret)
{
  const char *text = l->at;
  if (l->at[0] == '$' && l->at[1] == '{')
    return wrong(l, "${ is not expanded");
  while (is_bare(*l->at))
    l->at++;
  if (l->at == text) {
    ST_AUTO_FREE char *shown = st_escaped(text, 1);
    return wrong(l, "unexpected character '%s': a value that holds it needs quotes", shown);
  }
  *ret = st_memdup(text, (size_t)(l->at - text));
  return 0;
}

/* ---- What stands where -------------------------------------------------------------------------
 */

static void forget_words(struct lexer *l)
{
  free(l->words[0]);
  free(l->words[1]);
  l->words[0] = l->words[1] = NULL;
}

static int add_word(struct lexer *l, char *word)
{
  if (l->value || l->list) {
    l->value = false;
    free(word);
    return 0;
  }
  free(l->words[0]);
  l->words[0] = l->words[1];
  l->words[1] = word;
  l->word_line = l->line;
  return 0;
}

static void add_name(struct lexer *l)
{
  struct st_source *s = l->source;
  s->names = st_realloc(s->names, s->nnames + 1, sizeof(*s->names));
  s->names[s->nnames++] = (struct st_source_name){st_steal(&l->words[1]), l->block, l->word_line};
}

static int equals(struct lexer *l)
{
  if (!l->words[1] || l->value || l->list)
    return wrong(l, "unexpected '='");
  add_name(l);
  forget_words(l);
  l->value = true;
  return 0;
}

static void add_block(struct st_source *s, char *kind, char *title, int line)
{
  s->blocks = st_realloc(s->blocks, s->nblocks + 1, sizeof(*s->blocks));
  s->blocks[s->nblocks++] = (struct st_source_block){kind, title, line};
}

static int opens(struct lexer *l)
{
  if (l->list || (l->block != 0 && !l->value))
    return wrong(l, "unexpected '{'");
  if (l->value) {
    l->value = false;
    l->list = true;
    return 0;
  }
  if (!l->words[1])
    return wrong(l, "unexpected '{'");
  bool titled = l->words[0] != NULL;
  char *last = st_steal(&l->words[1]);
  add_block(l->source, titled ? st_steal(&l->words[0]) : last, titled ? last : st_strdup(""),
            l->word_line);
  l->block = l->source->nblocks - 1;
  return 0;
}

static int closes(struct lexer *l)
{
  if (!l->list && l->block == 0)
    return wrong(l, "unexpected '}'");
  if (l->list)
    l->list = false;
  else
    l->block = 0;
  l->value = false;
  forget_words(l);
  return 0;
}

static int punctuation(struct lexer *l, bool *ret)
{
  char c = *l->at;
  *ret = c && strchr("{}=,+", c) && (c != '+' || l->at[1] == '=');
  if (!*ret)
    return 0;
  l->at += c == '+' ? 2 : 1;
  if (c == '{')
    return opens(l);
  if (c == '}')
    return closes(l);
  return c == ',' ? 0 : equals(l);
}

static int token(struct lexer *l)
{
  bool done;
  char *word = NULL;
  if (*l->at == '\n')
    l->line++;
  if (strchr(" \t\r\n", *l->at)) {
    l->at++;
    return 0;
  }
  if (*l->at == '#' || (l->at[0] == '/' && l->at[1] == '/')) {
    blank_line(l);
    return 0;
  }
  if (l->at[0] == '/' && l->at[1] == '*')
    return blank_block(l);
  if (punctuation(l, &done) < 0)
    return -1;
  if (done)
    return 0;
  bool quoted = *l->at == '"' || *l->at == '\'';
  if ((quoted ? string_token : bare_token)(l, &word) < 0)
    return -1;
  return add_word(l, word);
}

static int cut(struct st_source *s, struct st_error *err)
{
  struct lexer l = {.source = s, .at = s->text.data, .line = 1, .err = err};
  add_block(s, st_strdup(""), st_strdup(""), 1);
  int r = 0;
  while (r == 0 && l.at && *l.at)
    r = token(&l);
  if (r == 0 && (l.list || l.value || l.block != 0 || l.words[1]))
    r = wrong(&l, "the file ends too early");
  forget_words(&l);
  return r;
}

/* ---- The file ----------------------------------------------------------------------------------
 */

static int open_regular(const char *file, struct st_error *err)
{
  struct stat st;
  ST_AUTO_CLOSE int fd = open(file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) < 0)
    return st_fail(err, errno, "cannot read the configuration (%s)", st_quote(file));
  if (!S_ISREG(st.st_mode))
    return st_fail(err, 0, "the configuration is no regular file (%s)", st_quote(file));
  return st_steal_fd(&fd);
}

int st_source_read(struct st_source *ret, const char *file, struct st_error *err)
{
  *ret = (struct st_source){.file = file};
  ST_AUTO_CLOSE int fd = open_regular(file, err);
  if (fd < 0)
    return -1;
  if (st_read_all(fd, ST_SOURCE_MOST, &ret->text, err) < 0)
    return st_wrap(err, "%s", st_quote(file));
  const char *nul = ret->text.length ? memchr(ret->text.data, 0, ret->text.length) : NULL;
  if (nul) {
    int line = 1;
    for (const char *p = ret->text.data; p < nul; p++)
      line += *p == '\n';
    return st_source_fail(file, line, err, "a NUL byte");
  }
  return cut(ret, err);
}

void st_source_clear(struct st_source *s)
{
  for (size_t i = 0; i < s->nblocks; i++) {
    free(s->blocks[i].kind);
    free(s->blocks[i].title);
  }
  for (size_t i = 0; i < s->nnames; i++)
    free(s->names[i].name);
  free(s->blocks);
  free(s->names);
  st_buffer_free(&s->text);
  *s = (struct st_source){0};
}
