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

/* ---- rpm's (rpm-version(7)) ------------------------------------------------------------------ */

static bool is_letter(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_separator(char c)
{
  return c && !is_digit(c) && !is_letter(c) && c != '~' && c != '^';
}

/* "~" sorts before everything, the end included; "^" behind the end, and before all else.  1: there
 * is none on both sides; else `*ret` is the answer, or both are passed over (0). */
static int compare_mark(const char **a, const char **b, int *ret)
{
  for (const char *mark = "~^"; *mark; mark++) {
    if (**a != *mark && **b != *mark)
      continue;
    if (**a == **b) {
      (*a)++, (*b)++;
      return 0;
    }
    bool first = **a == *mark;
    const char *other = first ? *b : *a;
    *ret = *mark == '~' || *other ? -1 : 1;
    *ret = first ? *ret : -*ret;
    return 2;
  }
  return 1;
}

static size_t segment(const char *s, bool digits)
{
  size_t n = 0;
  while (digits ? is_digit(s[n]) : is_letter(s[n]))
    n++;
  return n;
}

/* Segments of digits or letters; a number is more than letters, and more than nothing. */
static int compare_segment(const char **a, const char **b)
{
  bool digits = is_digit(**a);
  if (digits) {
    *a += strspn(*a, "0");
    if (is_digit(**b))
      *b += strspn(*b, "0");
    else
      return 1;
  }
  size_t n = segment(*a, digits), m = segment(*b, digits);
  if (!digits && m == 0)
    return -1;
  if (digits && n != m)
    return n > m ? 1 : -1;
  int c = strncmp(*a, *b, n < m ? n : m);
  *a += n;
  *b += m;
  return c ? c : (n > m) - (n < m);
}

static int compare_rpm_part(const char *a, const char *b)
{
  while (*a || *b) {
    int c = 0;
    while (is_separator(*a))
      a++;
    while (is_separator(*b))
      b++;
    int marked = compare_mark(&a, &b, &c);
    if (marked == 0)
      continue;
    if (marked == 2)
      return c;
    if (!*a || !*b)
      break;
    c = compare_segment(&a, &b);
    if (c)
      return c;
  }
  return (*a != 0) - (*b != 0);
}

int st_rpm_version_compare(const char *a, const char *b)
{
  struct version x = split(a), y = split(b);
  int c = compare_rpm_part(*x.epoch ? x.epoch : "0", *y.epoch ? y.epoch : "0");
  if (!c)
    c = compare_rpm_part(x.upstream, y.upstream);
  if (!c)
    c = compare_rpm_part(x.revision, y.revision);
  version_free(&x);
  version_free(&y);
  return c;
}
