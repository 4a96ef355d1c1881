/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/text.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "systracker/base/escape.h"

/* Reads digits; returns what is behind them, or NULL: none, or more than 64 bits. */
static const char *digits(const char *s, uint64_t *ret)
{
  const char *start = s;
  uint64_t n = 0;
  for (; *s >= '0' && *s <= '9'; s++)
    if (__builtin_mul_overflow(n, (uint64_t)10, &n) ||
        __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
      return NULL;
  *ret = n;
  return s > start ? s : NULL;
}

int st_parse_size(const char *text, uint64_t *ret, struct st_error *err)
{
  static const char units[] = "KMGT";
  uint64_t n;
  const char *end = digits(text, &n);
  const char *unit = end && *end ? strchr(units, *end) : NULL;
  if (!end || (*end && (!unit || end[1])))
    return st_fail(err, 0, "not a size such as 64M: %s", st_quote(text));
  unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
  if (n > UINT64_MAX >> shift)
    return st_fail(err, 0, "the size is too large: %s", st_quote(text));
  *ret = n << shift;
  return 0;
}

int st_parse_number(const char *text, int64_t *ret, struct st_error *err)
{
  uint64_t n;
  const char *end = digits(text, &n);
  if (!end || *end || n > INT64_MAX)
    return st_fail(err, 0, "not a whole number: %s", st_quote(text));
  *ret = (int64_t)n;
  return 0;
}

int st_parse_bool(const char *text, bool *ret, struct st_error *err)
{
  static const char *const words[2][4] = {{"no", "false", "off", "0"}, {"yes", "true", "on", "1"}};
  for (int value = 0; value < 2; value++)
    for (int i = 0; i < 4; i++)
      if (!strcasecmp(text, words[value][i])) {
        *ret = value;
        return 0;
      }
  return st_fail(err, 0, "neither yes nor no: %s", st_quote(text));
}

/* Exactly n digits; NULL where they are not. */
static const char *fixed(const char *s, int n, int *ret)
{
  *ret = 0;
  for (; s && n; n--, s++) {
    if (*s < '0' || *s > '9')
      return NULL;
    *ret = *ret * 10 + (*s - '0');
  }
  return s;
}

static const char *separator(const char *s, const char *any)
{
  return s && *s && strchr(any, *s) ? s + 1 : NULL;
}

/* HH:MM[:SS][Z]; returns what is behind. */
static const char *parse_clock(const char *s, struct tm *tm, bool *utc)
{
  s = fixed(s, 2, &tm->tm_hour);
  s = separator(s, ":");
  s = fixed(s, 2, &tm->tm_min);
  tm->tm_sec = 0;
  if (s && *s == ':')
    s = fixed(s + 1, 2, &tm->tm_sec);
  *utc = s && *s == 'Z';
  return *utc ? s + 1 : s;
}

static bool is_real(const struct tm *tm)
{
  struct tm day = {.tm_year = tm->tm_year, .tm_mon = tm->tm_mon, .tm_mday = tm->tm_mday};
  timegm(&day);
  return day.tm_mon == tm->tm_mon && day.tm_mday == tm->tm_mday && tm->tm_hour < 24 &&
         tm->tm_min < 60 && tm->tm_sec < 61;
}

int st_parse_date(const char *text, int64_t *ret, struct st_error *err)
{
  struct tm tm = {.tm_hour = 23, .tm_min = 59, .tm_sec = 59, .tm_isdst = -1};
  bool utc = false;
  const char *s = fixed(text, 4, &tm.tm_year);
  s = separator(s, "-");
  s = fixed(s, 2, &tm.tm_mon);
  s = separator(s, "-");
  s = fixed(s, 2, &tm.tm_mday);
  if (s && *s)
    s = parse_clock(separator(s, " T"), &tm, &utc);
  if (!s || *s)
    return 1;
  tm.tm_year -= 1900;
  tm.tm_mon -= 1;
  if (!is_real(&tm))
    return st_fail(err, 0, "there is no such date: %s", st_quote(text));
  *ret = utc ? timegm(&tm) : mktime(&tm);
  return 0;
}

static char *format_time(int64_t seconds, const char *form,
                         struct tm *(*convert)(const time_t *, struct tm *))
{
  time_t t = (time_t)seconds;
  struct tm tm;
  char text[64];
  if (t != seconds || !convert(&t, &tm) || !strftime(text, sizeof text, form, &tm))
    return st_format("%" PRId64, seconds);
  return st_strdup(text);
}

char *st_format_time(int64_t seconds)
{
  return format_time(seconds, "%Y-%m-%d %H:%M:%S", localtime_r);
}

char *st_format_time_utc(int64_t seconds)
{
  return format_time(seconds, "%Y-%m-%dT%H:%M:%SZ", gmtime_r);
}

char *st_format_size(uint64_t bytes)
{
  static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024)
    return st_format("%" PRIu64 " B", bytes);
  double size = (double)bytes / 1024;
  size_t unit = 0;
  /* What would be rounded to 1024.0 is written in the next unit. */
  for (; size >= 1023.95 && unit + 1 < ST_COUNT(units); unit++)
    size /= 1024;
  return st_format("%.1f %s", size, units[unit]);
}
