/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * corpus.c - what the benchmarks are run on, the same at each run:
 *
 *   corpus select DIR ENTRIES BYTES  names entries below DIR for a copy, each ended by a NUL
 *   corpus small DIR COUNT           makes COUNT small files
 *   corpus change DIR ROUND COUNT    appends a line to COUNT files, and names them
 *   corpus night DIR NUMBER          what happens to an /etc in a day
 *   corpus fleet DIR NUMBER          the /etc that a made-up fleet has (0), or ten changes to it
 *
 * DIR is changed by all but the first: they refuse one that has no file BENCH-SCRATCH beside it.
 */
#include "config.h"

#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "systracker/base/buffer.h"
#include "systracker/base/error.h"
#include "systracker/base/file.h"
#include "systracker/base/text.h"

#define SPARE_BYTES ((uint64_t)64 << 20)
#define LARGEST_CHANGED ((off_t)1 << 20)
#define LARGEST_TEXT ((off_t)64 << 10)

static int die(const char *what, const char *path)
{
  fprintf(stderr, "corpus: %s: %s (%s)\n", what, strerror(errno), path);
  exit(ST_EXIT_TROUBLE);
}

static uint64_t number(const char *text)
{
  int64_t n = 0;
  if (st_parse_number(text, &n, NULL) < 0)
    die("no number", text);
  return (uint64_t)n;
}

/* ---- Walking --------------------------------------------------------------------------------- */

static int by_name(const FTSENT **a, const FTSENT **b)
{
  return strcmp((*a)->fts_name, (*b)->fts_name);
}

static FTS *walk(char *dir)
{
  char *paths[] = {dir, NULL};
  FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, by_name);
  if (!fts)
    die("cannot walk", dir);
  return fts;
}

/* ---- select ---------------------------------------------------------------------------------- */

/* In the order of names, until there are enough.  What is large beside the average that is asked
 * for is left out, so that the copy has as many bytes as it may have. */
static int select_entries(char *dir, uint64_t entries, uint64_t bytes)
{
  FTS *fts = walk(dir);
  uint64_t seen = 0, taken = 0;
  for (FTSENT *e; seen < entries && (e = fts_read(fts));) {
    if (e->fts_level == 0 || e->fts_info == FTS_DP || e->fts_info == FTS_NS ||
        e->fts_info == FTS_DNR)
      continue;
    uint64_t size = S_ISREG(e->fts_statp->st_mode) ? (uint64_t)e->fts_statp->st_size : 0;
    uint64_t most = (uint64_t)((double)bytes / (double)entries * (double)seen) + SPARE_BYTES;
    if (taken + size > most || (size && access(e->fts_path, R_OK) < 0))
      continue;
    printf("%s%c", e->fts_path + strlen(dir) + 1, 0);
    taken += size;
    seen++;
  }
  fts_close(fts);
  return 0;
}

/* ---- Random numbers (splitmix64, public domain, S. Vigna) -------------------------------------
 */

static uint64_t next(uint64_t *state)
{
  uint64_t z = *state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

static size_t below(uint64_t *state, size_t n)
{
  return n ? (size_t)(next(state) % n) : 0;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void write_file(const char *path, int flags, const void *data, size_t length)
{
  ST_AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | flags, 0644);
  if (fd < 0 || st_write_all(fd, data, length, NULL) < 0)
    die("cannot write", path);
}

static void add_words(struct st_buffer *out, uint64_t *state, size_t lines)
{
  for (size_t i = 0; i < lines; i++)
    st_buffer_printf(out, "option_%zu = value%" PRIu64 " # of %zu\n", below(state, 1000),
                     next(state) % 100000, below(state, 40));
}

/* ---- small ----------------------------------------------------------------------------------- */

static void make_dir(const char *path)
{
  if (mkdir(path, 0755) < 0 && errno != EEXIST)
    die("cannot make", path);
}

/* A hundred files a folder, a hundred folders a folder. */
static int make_small(const char *dir, uint64_t count)
{
  uint64_t state = 1;
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  for (uint64_t i = 0; i < count; i++) {
    ST_AUTO_FREE char *top = st_format("%s/%03" PRIu64, dir, i / 10000);
    ST_AUTO_FREE char *folder = st_format("%s/%02" PRIu64, top, i / 100 % 100);
    ST_AUTO_FREE char *path = st_format("%s/file-%02" PRIu64, folder, i % 100);
    if (i % 10000 == 0)
      make_dir(top);
    if (i % 100 == 0)
      make_dir(folder);
    st_buffer_clear(&text);
    add_words(&text, &state, 1 + below(&state, 8));
    write_file(path, O_EXCL, text.data, text.length);
  }
  return 0;
}

/* ---- change ---------------------------------------------------------------------------------- */

static bool is_small(const FTSENT *e, off_t most)
{
  return e->fts_info == FTS_F && e->fts_statp->st_size > 0 && e->fts_statp->st_size <= most &&
         e->fts_statp->st_nlink == 1;
}

static void small_files(char *dir, struct st_strings *out)
{
  FTS *fts = walk(dir);
  for (FTSENT *e; (e = fts_read(fts));)
    if (is_small(e, LARGEST_CHANGED))
      st_strings_add(out, e->fts_path);
  fts_close(fts);
}

static int change(char *dir, uint64_t round, uint64_t count)
{
  ST_AUTO_STRINGS files = {0};
  small_files(dir, &files);
  uint64_t step = files.count / (count ? count : 1);
  ST_AUTO_FREE char *line = st_format("\n# round %" PRIu64 "\n", round);
  for (uint64_t i = 0; step > 0 && i < count; i++) {
    const char *path = files.items[i * step + round * 7 % step];
    write_file(path, O_APPEND, line, strlen(line));
    printf("%s%c", path + strlen(dir) + 1, 0);
  }
  return 0;
}

/* ---- night ----------------------------------------------------------------------------------- */

struct night {
  const char *dir;
  uint64_t number, state;
  struct st_strings texts; /* paths of the files that may be edited */
};

static bool is_text(const char *path)
{
  ST_AUTO_BUFFER data = ST_BUFFER_INIT;
  return st_read_file(AT_FDCWD, path, (size_t)LARGEST_TEXT, &data, NULL) == 0 && data.length > 0 &&
         !memchr(data.data, 0, data.length);
}

static void find_texts(struct night *n)
{
  FTS *fts = walk((char *)n->dir);
  for (FTSENT *e; (e = fts_read(fts));)
    if (is_small(e, LARGEST_TEXT) && is_text(e->fts_path))
      st_strings_add(&n->texts, e->fts_path);
  fts_close(fts);
}

static const char *any_text(struct night *n)
{
  return n->texts.items[below(&n->state, n->texts.count)];
}

/* The offset of the line-th line, from 0, or of the end. */
static size_t line_at(const struct st_buffer *b, size_t line)
{
  const char *p = b->data, *end = b->data + b->length;
  for (; line > 0 && p < end; line--) {
    const char *newline = memchr(p, '\n', (size_t)(end - p));
    p = newline ? newline + 1 : end;
  }
  return (size_t)(p - b->data);
}

static size_t count_lines(const struct st_buffer *b)
{
  size_t lines = 0;
  for (size_t i = 0; i < b->length; i++)
    lines += b->data[i] == '\n';
  return lines;
}

/* The lines from `first` on, `gone` of them, give way to `text`. */
static void replace_lines(const char *path, size_t first, size_t gone, const char *text)
{
  ST_AUTO_BUFFER old = ST_BUFFER_INIT, new = ST_BUFFER_INIT;
  if (st_read_file(AT_FDCWD, path, (size_t)LARGEST_TEXT * 4, &old, NULL) < 0)
    die("cannot read", path);
  size_t from = line_at(&old, first), to = line_at(&old, first + gone);
  st_buffer_append(&new, old.data, from);
  st_buffer_append_string(&new, text);
  st_buffer_append(&new, old.data + to, old.length - to);
  write_file(path, O_TRUNC, new.data, new.length);
}

static size_t any_line(struct night *n, const char *path)
{
  ST_AUTO_BUFFER data = ST_BUFFER_INIT;
  if (st_read_file(AT_FDCWD, path, (size_t)LARGEST_TEXT * 4, &data, NULL) < 0)
    die("cannot read", path);
  return below(&n->state, count_lines(&data) + 1);
}

/* Somebody changes a line, adds one, or takes one away. */
static void edit(struct night *n)
{
  const char *path = any_text(n);
  ST_AUTO_FREE char *text =
      st_format("option%" PRIu64 " = %" PRIu64 "\n", n->number, next(&n->state) % 1000);
  size_t line = any_line(n, path), kind = below(&n->state, 3);
  replace_lines(path, line, kind == 0 ? 0 : 1, kind == 2 ? "" : text);
}

/* A package comes in a new version: files that lie beside each other have another first line. */
static void upgrade(struct night *n)
{
  size_t first = below(&n->state, n->texts.count), count = 3 + below(&n->state, 10);
  ST_AUTO_FREE char *text =
      st_format("# version 1.%" PRIu64 "-%zu, do not edit\n", n->number, below(&n->state, 10));
  for (size_t i = first; i < first + count && i < n->texts.count; i++)
    replace_lines(n->texts.items[i], 0, 1, text);
}

static char *own_path(const struct night *n, uint64_t number)
{
  return st_format("%s/bench/app-%" PRIu64 ".conf", n->dir, number);
}

static void add_file(struct night *n)
{
  ST_AUTO_FREE char *path = own_path(n, n->number);
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  add_words(&text, &n->state, 5 + below(&n->state, 60));
  write_file(path, O_TRUNC, text.data, text.length);
}

static void remove_file(struct night *n)
{
  for (uint64_t i = 1; i < n->number; i++) {
    ST_AUTO_FREE char *path = own_path(n, i);
    if (unlink(path) == 0)
      return;
  }
}

static void append_log(struct night *n)
{
  ST_AUTO_FREE char *path = st_format("%s/bench/history.log", n->dir);
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  for (size_t i = 0, lines = 5 + below(&n->state, 20); i < lines; i++)
    st_buffer_printf(&text, "day %" PRIu64 " %02zu:%02zu job %" PRIu64 " done\n", n->number, i,
                     below(&n->state, 60), next(&n->state) % 100000);
  write_file(path, O_APPEND, text.data, text.length);
}

static int live_a_day(const char *dir, uint64_t number_of)
{
  struct night n = {.dir = dir, .number = number_of, .state = number_of};
  ST_AUTO_FREE char *own = st_format("%s/bench", dir);
  make_dir(own);
  append_log(&n);
  find_texts(&n);
  for (size_t i = 0, edits = 1 + below(&n.state, 3); i < edits; i++)
    edit(&n);
  if (number_of % 7 == 0)
    upgrade(&n);
  if (number_of % 2 == 0)
    add_file(&n);
  if (number_of % 5 == 0)
    remove_file(&n);
  st_strings_free(&n.texts);
  return 0;
}

/* ---- fleet
 * ---------------------------------------------------------------------------------------
 */

/* 10 folders with 40 files each: entry and digest of each, and in DIR/kept half of them with their
 * content, are 1,010 facts. */
#define FLEET_FOLDERS 10
#define FLEET_FILES 20

static char *fleet_path(const char *dir, const char *part, size_t n)
{
  return st_format("%s/%s/%02zu/service-%02zu.conf", dir, part, n / FLEET_FILES, n % FLEET_FILES);
}

static void fleet_folder(const char *dir, const char *part, uint64_t *state)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  for (size_t i = 0; i < (size_t)FLEET_FOLDERS * FLEET_FILES; i++) {
    ST_AUTO_FREE char *path = fleet_path(dir, part, i);
    ST_AUTO_FREE char *folder = st_memdup(path, (size_t)(strrchr(path, '/') - path));
    if (i % FLEET_FILES == 0)
      make_dir(folder);
    st_buffer_clear(&text);
    add_words(&text, state, 4 + below(state, 40));
    write_file(path, O_EXCL, text.data, text.length);
  }
}

/* The file that is another on each host: the simulator puts the host's id in place of the zeros. */
static void write_own(const char *dir, uint64_t number_of)
{
  ST_AUTO_FREE char *path = st_format("%s/kept/own", dir);
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  st_buffer_printf(&text, "host %032d, night %06" PRIu64 "\n", 0, number_of);
  write_file(path, O_TRUNC, text.data, text.length);
}

static void append_line(const char *path, uint64_t number_of)
{
  ST_AUTO_FREE char *line = st_format("changed = %" PRIu64 "\n", number_of);
  write_file(path, O_APPEND, line, strlen(line));
}

/* Ten facts: entry, digest and content of the host's own file and of another; entry and digest of
 * one whose content is not kept; two modes. */
static void fleet_night(const char *dir, uint64_t number_of)
{
  uint64_t state = number_of, files = FLEET_FOLDERS * FLEET_FILES;
  ST_AUTO_FREE char *kept = fleet_path(dir, "kept", below(&state, files));
  ST_AUTO_FREE char *other = fleet_path(dir, "other", below(&state, files / 2));
  write_own(dir, number_of);
  append_line(kept, number_of);
  append_line(other, number_of);
  for (size_t i = 0; i < 2; i++) {
    ST_AUTO_FREE char *path = fleet_path(dir, "other", files / 2 + (2 * number_of + i) % 50);
    struct stat st;
    if (stat(path, &st) < 0 || chmod(path, (st.st_mode & 07777) ^ 020) < 0)
      die("cannot change", path);
  }
}

static int fleet(const char *dir, uint64_t number_of)
{
  ST_AUTO_FREE char *kept = st_format("%s/kept", dir), *other = st_format("%s/other", dir);
  uint64_t state = 1;
  if (number_of > 0) {
    fleet_night(dir, number_of);
    return 0;
  }
  make_dir(kept);
  make_dir(other);
  write_own(dir, 0);
  fleet_folder(dir, "kept", &state);
  fleet_folder(dir, "other", &state);
  return 0;
}

/* ---- What is asked for ----------------------------------------------------------------------- */

static void check_scratch(const char *dir)
{
  ST_AUTO_FREE char *mark = st_format("%s/../BENCH-SCRATCH", dir);
  if (access(mark, F_OK) < 0)
    die("refused: not a scratch folder of the benchmarks", dir);
}

int main(int argc, char **argv)
{
  const char *what = argc > 1 ? argv[1] : "";
  if (argc == 5 && strcmp(what, "select") == 0)
    return select_entries(argv[2], number(argv[3]), number(argv[4]));
  if (argc > 2)
    check_scratch(argv[2]);
  if (argc == 4 && strcmp(what, "small") == 0)
    return make_small(argv[2], number(argv[3]));
  if (argc == 5 && strcmp(what, "change") == 0)
    return change(argv[2], number(argv[3]), number(argv[4]));
  if (argc == 4 && strcmp(what, "night") == 0)
    return live_a_day(argv[2], number(argv[3]));
  if (argc == 4 && strcmp(what, "fleet") == 0)
    return fleet(argv[2], number(argv[3]));
  fputs("usage: corpus select|small|change|night|fleet DIR ...\n", stderr);
  return ST_EXIT_TROUBLE;
}
