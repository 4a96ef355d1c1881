/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dpkg-floor.c - what it costs at least to read dpkg's database:
 *
 *   dpkg-floor ADMINDIR TIMES
 *
 * Reads status, and each package's list and md5sums, each file whole, and finds the ends of lines;
 * of the status the beginnings of packages and their states.  Nothing is kept.  What was counted
 * goes to standard output.
 */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "systracker/base/error.h"

struct count {
  size_t packages, installed, conffiles, paths, sums;
};

static void die(const char *what)
{
  perror(what);
  exit(ST_EXIT_TROUBLE);
}

/* The whole file, malloc'ed. */
static char *read_whole(int dirfd, const char *name, size_t *ret_length)
{
  struct stat st;
  int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) < 0)
    die(name);
  char *text = malloc((size_t)st.st_size + 1);
  ssize_t n = text ? read(fd, text, (size_t)st.st_size) : -1;
  if (n < 0)
    die(name);
  close(fd);
  *ret_length = (size_t)n;
  return text;
}

static size_t count_lines(const char *text, size_t length)
{
  size_t n = 0;
  for (const char *s = text, *end = text + length; (s = memchr(s, '\n', (size_t)(end - s))); s++)
    n++;
  return n;
}

static bool begins(const char *line, size_t n, const char *word)
{
  return n >= strlen(word) && memcmp(line, word, strlen(word)) == 0;
}

static void read_status(int dirfd, struct count *c)
{
  size_t length;
  bool conffiles = false;
  char *text = read_whole(dirfd, "status", &length), *stop;
  for (char *s = text; (stop = memchr(s, '\n', (size_t)(text + length - s))); s = stop + 1) {
    size_t n = (size_t)(stop - s);
    if (n > 0 && *s == ' ') {
      c->conffiles += conffiles;
      continue;
    }
    conffiles = begins(s, n, "Conffiles:");
    c->packages += begins(s, n, "Package: ");
    if (begins(s, n, "Status: "))
      c->installed += memmem(s, n, " installed", 10) != NULL;
  }
  free(text);
}

static bool ends(const char *name, const char *suffix)
{
  size_t n = strlen(name), m = strlen(suffix);
  return n > m && strcmp(name + n - m, suffix) == 0;
}

static void read_info(int dirfd, struct count *c)
{
  int fd = openat(dirfd, "info", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *folder = fd < 0 ? NULL : fdopendir(fd);
  size_t length;
  if (!folder)
    die("info");
  for (struct dirent *e; (e = readdir(folder));) {
    bool list = ends(e->d_name, ".list");
    if (!list && !ends(e->d_name, ".md5sums"))
      continue;
    char *text = read_whole(fd, e->d_name, &length);
    *(list ? &c->paths : &c->sums) += count_lines(text, length);
    free(text);
  }
  closedir(folder);
}

int main(int argc, char **argv)
{
  struct count c = {0};
  int fd = argc == 3 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (fd < 0) {
    fputs("usage: dpkg-floor ADMINDIR TIMES\n", stderr);
    return ST_EXIT_TROUBLE;
  }
  for (long i = strtol(argv[2], NULL, 10); i > 0; i--) {
    c = (struct count){0};
    read_status(fd, &c);
    read_info(fd, &c);
  }
  printf("%zu packages, %zu installed, %zu conffiles, %zu paths, %zu md5sums\n", c.packages,
         c.installed, c.conffiles, c.paths, c.sums);
  return ST_EXIT_OK;
}
