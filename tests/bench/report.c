/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * report.c - the benchmarks' table:
 *
 *   report RESULTS [--json]
 *
 * RESULTS has a JSON object a line: what was measured (measure.c; or who and bytes, for a size;
 * `repeated` where it was measured once more, and does not count), and of each row a head {row,
 * title, base, warm}, what was held in memory for it {row, hold} (hold.c), and its limits {row,
 * limit: wall_s | peak_mb | bytes, who, factor, of: [who...], plus, plus_of}: at most factor times
 * the least of `of`, plus a number, plus what another took.  Rows stand in the order of their
 * heads.
 *
 * What was measured in turn is compared in turn: a ratio is the median of the ratios of each round.
 */
#include "config.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

#define MOST_ROUNDS 4096
#define READ_MB 1.0 /* that a measurement may read from disks without its being said */
#define BUSY 0.25   /* processors kept busy by others, from which on it is said */

static json_t *all;
static bool as_json;

/* ---- Numbers --------------------------------------------------------------------------------- */

struct numbers {
  double items[MOST_ROUNDS];
  size_t count;
};

static int by_size(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(struct numbers *n)
{
  if (n->count == 0)
    return NAN;
  qsort(n->items, n->count, sizeof(*n->items), by_size);
  size_t middle = n->count / 2;
  return n->count % 2 ? n->items[middle] : (n->items[middle - 1] + n->items[middle]) / 2;
}

static void add(struct numbers *n, double value)
{
  if (!isnan(value) && n->count < MOST_ROUNDS)
    n->items[n->count++] = value;
}

static const char *text(const json_t *line, const char *key)
{
  const char *s = json_string_value(json_object_get(line, key));
  return s ? s : "";
}

static bool was_repeated(const json_t *line)
{
  return json_is_true(json_object_get(line, "repeated"));
}

static bool is_of(const json_t *line, const char *row, const char *who)
{
  return strcmp(text(line, "row"), row) == 0 && strcmp(text(line, "who"), who) == 0 &&
         !json_object_get(line, "limit") && !was_repeated(line);
}

/* Of all rounds, or of one. */
static void values(const char *row, const char *who, const char *round, const char *what,
                   struct numbers *out)
{
  size_t i;
  json_t *line;
  out->count = 0;
  json_array_foreach(all, i, line)
  {
    const json_t *value = json_object_get(line, what);
    if (value && is_of(line, row, who) && (!round || strcmp(text(line, "round"), round) == 0))
      add(out, json_number_value(value));
  }
}

static double middle_value(const char *row, const char *who, const char *round, const char *what)
{
  struct numbers n;
  values(row, who, round, what, &n);
  return median(&n);
}

/* The median over the rounds that both took part in. */
static double ratio(const char *row, const char *who, const char *base, const char *what)
{
  struct numbers ratios = {.count = 0};
  size_t i;
  json_t *line;
  json_array_foreach(all, i, line)
  {
    if (is_of(line, row, who) && json_object_get(line, what))
      add(&ratios, json_number_value(json_object_get(line, what)) /
                       middle_value(row, base, text(line, "round"), what));
  }
  return median(&ratios);
}

/* ---- Limits ---------------------------------------------------------------------------------- */

static double least(const json_t *limit, const char *round, const char *what)
{
  double best = NAN;
  size_t i;
  json_t *who;
  json_array_foreach(json_object_get(limit, "of"), i, who)
  {
    double v = middle_value(text(limit, "row"), json_string_value(who), round, what);
    if (isnan(best) || v < best)
      best = v;
  }
  return best;
}

static double number(const json_t *o, const char *key)
{
  return json_number_value(json_object_get(o, key));
}

/* What is allowed in a round; NAN where it was not measured. */
static double allowed(const json_t *limit, const char *round, const char *what)
{
  double most = number(limit, "plus");
  if (json_array_size(json_object_get(limit, "of")) > 0)
    most += number(limit, "factor") * least(limit, round, what);
  if (*text(limit, "plus_of"))
    most += middle_value(text(limit, "row"), text(limit, "plus_of"), round, what);
  return most;
}

/* The part of the limit that was used, 1 being all of it. */
static double used(const json_t *limit, const char *what)
{
  struct numbers parts = {.count = 0};
  size_t i;
  json_t *line;
  json_array_foreach(all, i, line)
  {
    if (is_of(line, text(limit, "row"), text(limit, "who")) && json_object_get(line, what))
      add(&parts, json_number_value(json_object_get(line, what)) /
                      allowed(limit, text(line, "round"), what));
  }
  return median(&parts);
}

static char *limit_words(const json_t *limit)
{
  struct st_buffer b = ST_BUFFER_INIT;
  const char *what = text(limit, "limit");
  const json_t *of = json_object_get(limit, "of");
  st_buffer_printf(&b, "%s: at most", text(limit, "who"));
  if (json_array_size(of) > 0)
    st_buffer_printf(&b, " %.4g x ", number(limit, "factor"));
  for (size_t i = 0; i < json_array_size(of); i++)
    st_buffer_printf(&b, "%s%s", i ? " or " : "", json_string_value(json_array_get(of, i)));
  if (*text(limit, "plus_of"))
    st_buffer_printf(&b, " + %s", text(limit, "plus_of"));
  if (number(limit, "plus") > 0)
    st_buffer_printf(&b, "%s%.4g %s", json_array_size(of) ? " + " : " ", number(limit, "plus"),
                     strcmp(what, "wall_s") == 0    ? "s"
                     : strcmp(what, "peak_mb") == 0 ? "MB"
                                                    : "bytes");
  return st_buffer_steal(&b, NULL);
}

static void print_limit(const json_t *limit)
{
  const char *what = text(limit, "limit");
  double part = used(limit, what), by_cpu = NAN;
  if (strcmp(what, "wall_s") == 0)
    by_cpu = used(limit, "cpu_s");
  ST_AUTO_FREE char *words = limit_words(limit);
  if (as_json) {
    json_t *o =
        json_pack("{s:s, s:s, s:s}", "row", text(limit, "row"), "limit", words, "what", what);
    if (!isnan(part))
      json_object_set_new(o, "used", json_real(part));
    if (!isnan(by_cpu))
      json_object_set_new(o, "used_cpu", json_real(by_cpu));
    json_object_set_new(o, "holds", isnan(part) ? json_null() : json_boolean(part <= 1));
    json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(4));
    putchar('\n');
    json_decref(o);
    return;
  }
  if (isnan(part)) {
    printf("  %-62s not measured\n", words);
    return;
  }
  printf("  %-62s %5.2f of it: %s", words, part, part <= 1 ? "holds" : "DOES NOT HOLD");
  if (!isnan(by_cpu))
    printf(" (processors' time: %.2f)", by_cpu);
  putchar('\n');
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static void print_number(double value, const char *format, int width)
{
  ST_AUTO_FREE char *s = isnan(value) ? st_strdup("-") : st_format(format, value);
  printf(" %*s", width, s);
}

static void print_who(const json_t *head, const char *who)
{
  const char *row = text(head, "row"), *base = text(head, "base");
  struct numbers n;
  values(row, who, NULL, "wall_s", &n);
  printf("  %-20s", who);
  print_number(middle_value(row, who, NULL, "wall_s"), "%.3f", 9);
  print_number(middle_value(row, who, NULL, "cpu_s"), "%.3f", 9);
  print_number(middle_value(row, who, NULL, "peak_mb"), "%.1f", 9);
  print_number(middle_value(row, who, NULL, "bytes"), "%.0f", 13);
  print_number(*base ? ratio(row, who, base, "wall_s") : NAN, "%.2f", 8);
  print_number(*base ? ratio(row, who, base, "cpu_s") : NAN, "%.2f", 8);
  printf(" %7zu\n", n.count);
}

/* What it read from disks in each measurement in which that was so much, as it counts or not. */
static void reads(const char *row, const char *who, bool repeated, double least_mb,
                  struct numbers *out)
{
  size_t i;
  json_t *line;
  out->count = 0;
  json_array_foreach(all, i, line)
  {
    if (strcmp(text(line, "row"), row) == 0 && strcmp(text(line, "who"), who) == 0 &&
        was_repeated(line) == repeated && number(line, "read_mb") >= least_mb)
      add(out, number(line, "read_mb"));
  }
}

static void print_who_json(const json_t *head, const char *who)
{
  static const char *const what[] = {"wall_s", "cpu_s", "peak_mb", "read_mb", "bytes"};
  json_t *o = json_pack("{s:s, s:s}", "row", text(head, "row"), "who", who);
  for (size_t i = 0; i < ST_COUNT(what); i++) {
    double v = middle_value(text(head, "row"), who, NULL, what[i]);
    if (!isnan(v))
      json_object_set_new(o, what[i], json_real(v));
  }
  struct numbers n;
  reads(text(head, "row"), who, true, 0, &n);
  if (n.count > 0)
    json_object_set_new(o, "repeated", json_integer((json_int_t)n.count));
  json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
  putchar('\n');
  json_decref(o);
}

/* In the order in which they were measured first. */
static void print_all_who(const json_t *head)
{
  ST_AUTO_STRINGS told = {0};
  size_t i;
  json_t *line;
  json_array_foreach(all, i, line)
  {
    const char *who = text(line, "who");
    if (!*who || !is_of(line, text(head, "row"), who) || st_strings_has(&told, who))
      continue;
    st_strings_add(&told, who);
    if (as_json)
      print_who_json(head, who);
    else
      print_who(head, who);
  }
}

static void print_busy(const char *row)
{
  struct numbers others = {.count = 0};
  size_t i;
  json_t *line;
  json_array_foreach(all, i, line)
  {
    if (strcmp(text(line, "row"), row) == 0 && json_object_get(line, "others"))
      add(&others, number(line, "others"));
  }
  double busy = median(&others);
  if (busy > BUSY)
    printf("  (the machine was busy: others used %.1f processors; times by the clock say little)\n",
           busy);
}

/* Of those to whom it happened: how often, and how much at most. */
static void print_reads(const char *row, const char *words, bool repeated, double least_mb)
{
  ST_AUTO_STRINGS told = {0};
  size_t i;
  json_t *line;
  json_array_foreach(all, i, line)
  {
    const char *who = text(line, "who");
    struct numbers n;
    reads(row, who, repeated, least_mb, &n);
    if (!*who || strcmp(text(line, "row"), row) != 0 || n.count == 0 || st_strings_has(&told, who))
      continue;
    qsort(n.items, n.count, sizeof(*n.items), by_size);
    printf("%s %s %zu x, at most %.1f MB", told.count ? ";" : words, who, n.count,
           n.items[n.count - 1]);
    st_strings_add(&told, who);
  }
  if (told.count > 0)
    puts(")");
}

static void print_hold(const json_t *line)
{
  const json_t *hold = json_object_get(line, "hold");
  if (as_json) {
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
  } else if (!json_object_get(hold, "mb")) {
    puts("  (nothing was held in memory: it failed)");
  } else if (!json_is_true(json_object_get(hold, "held"))) {
    printf("  (nothing was held in memory: that were %.0f MB, and at most %.0f are)\n",
           number(hold, "mb"), number(hold, "most_mb"));
  }
}

static void print_memory(const json_t *head)
{
  const char *row = text(head, "row");
  size_t i;
  json_t *line;
  json_array_foreach(all, i, line)
  {
    if (json_object_get(line, "hold") && strcmp(text(line, "row"), row) == 0)
      print_hold(line);
  }
  if (as_json || !json_is_true(json_object_get(head, "warm")))
    return;
  print_reads(row, "  (measured again, as it had read from the disk:", true, 0);
  print_reads(row, "  (read from the disk what was to be in memory:", false, READ_MB);
}

static void print_row(const json_t *head)
{
  const char *row = text(head, "row");
  if (!as_json) {
    printf("%s: %s\n", row, text(head, "title"));
    printf("  %-20s %9s %9s %9s %13s %8s %8s %7s\n", "", "time s", "cpu s", "peak MB", "bytes",
           "x time", "x cpu", "rounds");
  }
  print_all_who(head);
  size_t i;
  json_t *line;
  json_array_foreach(all, i, line)
  {
    if (json_object_get(line, "limit") && strcmp(text(line, "row"), row) == 0)
      print_limit(line);
  }
  print_memory(head);
  if (!as_json) {
    print_busy(row);
    putchar('\n');
  }
}

static int read_lines(const char *path)
{
  ST_AUTO_FCLOSE FILE *f = fopen(path, "re");
  ST_AUTO_FREE char *line = NULL;
  size_t size = 0;
  if (!f)
    return -1;
  all = json_array();
  while (getline(&line, &size, f) > 0) {
    json_t *o = json_loads(line, 0, NULL);
    if (!o)
      return -1;
    json_array_append_new(all, o);
  }
  return 0;
}

int main(int argc, char **argv)
{
  as_json = argc == 3 && strcmp(argv[2], "--json") == 0;
  if ((argc != 2 && !as_json) || read_lines(argv[1]) < 0) {
    fputs("usage: report RESULTS [--json]\n", stderr);
    return ST_EXIT_TROUBLE;
  }
  size_t i;
  json_t *line;
  json_array_foreach(all, i, line)
  {
    if (json_object_get(line, "title"))
      print_row(line);
  }
  json_decref(all);
  return ST_EXIT_OK;
}
