/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/command_track/words.h"

#include <stdlib.h>
#include <string.h>

static bool is_blank(char c)
{
  return c == ' ' || c == '\t';
}

/* One word, terminated at `*to`, which moves behind it.  NULL: a quote stays open. */
static const char *split_word(const char *from, char **to)
{
  char quote = 0;
  for (; *from && (quote || !is_blank(*from)); from++) {
    if (quote ? *from == quote : *from == '\'' || *from == '"')
      quote = quote ? 0 : *from;
    else
      *(*to)++ = *from;
  }
  *(*to)++ = 0;
  return quote ? NULL : from;
}

static int check_line(const char *line, struct st_error *err)
{
  for (const unsigned char *s = (const unsigned char *)line; *s; s++) {
    if ((*s < ' ' && *s != '\t') || *s == 127)
      return st_fail(err, 0, "a command has a control character");
  }
  if (line[strspn(line, " \t")] == 0)
    return st_fail(err, 0, "a command is empty");
  return 0;
}

int words_split(const char *line, char ***ret, struct st_error *err)
{
  if (check_line(line, err) < 0)
    return -1;
  /* As many words as every second byte, and a NULL; behind them the words themselves, which with
   * their ends are never longer than the line with its own. */
  size_t length = strlen(line), most = length / 2 + 2;
  char **words = calloc(1, most * sizeof(*words) + length + 1);
  if (!words)
    return st_fail(err, 0, "out of memory");
  char *to = (char *)(words + most);
  size_t count = 0;
  for (line += strspn(line, " \t"); *line; line += strspn(line, " \t")) {
    words[count++] = to;
    line = split_word(line, &to);
    if (!line) {
      free(words);
      return st_fail(err, 0, "a quote is not closed");
    }
  }
  *ret = words;
  return 0;
}
