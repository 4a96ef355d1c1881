/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/base/version.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "systracker/base/buffer.h"

/* How a byte sorts within a part that is no number: "~" before the end, letters before others. */
static int weight(char c)
{
  if (c == 0 || (c >= '0' && c <= '9'))
    return 0;
  if (c == '~')
    return -1;
  return isalpha((unsigned char)c) ? (unsigned char)c : (unsigned char)c + 256;
}

static bool is_digit(char c)
{
  return c >= '0' && c <= '9';
}

static int compare_number(const char **a, const char **b)
{
  int first = 0;
  while (**a == '0')
    (*a)++;
  while (**b == '0')
    (*b)++;
  for (; is_digit(**a) && is_digit(**b); (*a)++, (*b)++) {
    if (!first)
      first = **a - **b;
  }
  return is_digit(**a) ? 1 : is_digit(**b) ? -1 : first;
}

/* Parts that are numbers and parts that are not, in turn. */
static int compare_part(const char *a, const char *b)
{
  while (*a || *b) {
    while ((*a && !is_digit(*a)) || (*b && !is_digit(*b))) {
      int c = weight(*a) - weight(*b);
      if (c)
        return c;
      a += *a && !is_digit(*a);
      b += *b && !is_digit(*b);
    }
    int c = compare_number(&a, &b);
    if (c)
      return c;
  }
  return 0;
}

struct version {
  char *epoch, *upstream, *revision;
};

static struct version split(const char *text)
{
  const char *colon = strchr(text, ':'), *rest = colon ? colon + 1 : text;
  const char *dash = strrchr(rest, '-');
  return (struct version){
      .epoch = st_memdup(text, colon ? (size_t)(colon - text) : 0),
      .upstream = st_memdup(rest, dash ? (size_t)(dash - rest) : strlen(rest)),
      .revision = st_strdup(dash ? dash + 1 : ""),
  };
}

static void version_free(struct version *v)
{
  free(v->epoch);
  free(v->upstream);
  free(v->revision);
}

int st_version_compare(const char *a, const char *b)
{
  struct version x = split(a), y = split(b);
  int c = compare_part(x.epoch, y.epoch);
  if (!c)
    c = compare_part(x.upstream, y.upstream);
  if (!c)
    c = compare_part(x.revision, y.revision);
  version_free(&x);
  version_free(&y);
  return c;
}
