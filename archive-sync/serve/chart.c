/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chart.c - how much changed each night: bars, and the same in words. */
#include "config.h"

#include "archive-sync/serve/page.h"

#include <inttypes.h>

#define NIGHTS_MAX 60
#define BAR 4 /* pixels, with the gap beside it */
#define HEIGHT 24

/* "3,0,12": at most NIGHTS_MAX; what is no number ends it. */
static size_t parse_nights(const char *text, int64_t *ret)
{
  size_t n = 0;
  while (text && *text && n < NIGHTS_MAX) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || errno || value < 0)
      break;
    ret[n++] = value;
    text = *end == ',' ? end + 1 : "";
  }
  return n;
}

/* By magnitude: one change shows, and a thousand leaves room for ten. */
static unsigned bar_height(int64_t value)
{
  unsigned bits = value > 0 ? 64 - (unsigned)__builtin_clzll((unsigned long long)value) : 0;
  unsigned height = bits * 2;
  return height > HEIGHT ? HEIGHT : height;
}

static void write_bars(struct st_html *h, const int64_t *nights, size_t n)
{
  ST_AUTO_BUFFER path = ST_BUFFER_INIT;
  for (size_t i = 0; i < n; i++) {
    unsigned height = bar_height(nights[i]);
    /* A night without changes leaves a mark, too. */
    if (height == 0)
      height = 1;
    st_buffer_printf(&path, "M%zu %dv-%uh%dv%uz", i * BAR, HEIGHT, height, BAR - 1, height);
  }
  st_html_open(h, "path");
  st_html_attr(h, "d", path.data);
  st_html_close(h, "path");
}

void st_page_chart(struct st_html *h, const char *text)
{
  int64_t nights[NIGHTS_MAX], most = 0, sum = 0;
  size_t n = parse_nights(text, nights);
  if (n == 0)
    return;
  for (size_t i = 0; i < n; i++) {
    most = nights[i] > most ? nights[i] : most;
    if (__builtin_add_overflow(sum, nights[i], &sum))
      sum = INT64_MAX;
  }
  st_html_open(h, "svg");
  st_html_attr(h, "class", "nights");
  st_html_attrf(h, "width", "%zu", n * BAR);
  st_html_attrf(h, "height", "%d", HEIGHT);
  st_html_attrf(h, "viewBox", "0 0 %zu %d", n * BAR, HEIGHT);
  st_html_attr(h, "aria-hidden", "true");
  st_html_attr(h, "focusable", "false");
  write_bars(h, nights, n);
  st_html_close(h, "svg");
  st_html_open(h, "span");
  st_html_attr(h, "class", "said");
  if (sum == 0)
    st_html_printf(h, "none in %zu nights", n);
  else
    st_html_printf(h, "%" PRId64 ", at most %" PRId64 " a night", sum, most);
  st_html_close(h, "span");
}
