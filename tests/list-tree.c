/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * list-tree [-d] DIR - all that a file system holds of a tree, a line an entry, for comparison:
 * made without any code of SysTracker's.  -d: with the times of directories.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gcrypt.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SETTABLE 0x2083c0ff /* flags that chattr(1) sets */
#define LARGEST 65536       /* of a value, and of a list of names */

static bool directory_times;

/* The first path of each inode with several links. */
static struct {
  dev_t device;
  ino_t inode;
  char *path;
} first[1024];
static size_t count;

static void die(const char *what)
{
  fprintf(stderr, "list-tree: %s: %s\n", what, strerror(errno));
  exit(2);
}

static void print_bytes(const char *label, const void *data, size_t length)
{
  const unsigned char *p = data;
  printf("%s", label);
  for (size_t i = 0; i < length; i++) {
    if (p[i] > ' ' && p[i] < 0x7f && p[i] != '\\')
      putchar(p[i]);
    else
      printf("\\%02x", p[i]);
  }
}

static void print_link(const struct stat *st, const char *path)
{
  if (S_ISDIR(st->st_mode))
    return;
  for (size_t i = 0; i < count; i++) {
    if (first[i].device == st->st_dev && first[i].inode == st->st_ino) {
      print_bytes(" link=", first[i].path, strlen(first[i].path));
      return;
    }
  }
  if (st->st_nlink > 1 && count < sizeof(first) / sizeof(*first)) {
    first[count].device = st->st_dev;
    first[count].inode = st->st_ino;
    first[count++].path = strdup(path);
    print_bytes(" link=", path, strlen(path));
  }
}

static int by_text(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The working directory is the one that the entry is in. */
static void print_xattrs(const char *name)
{
  static char names[LARGEST], value[LARGEST];
  const char *sorted[LARGEST / 2];
  size_t n = 0;
  ssize_t length = llistxattr(name, names, sizeof(names));
  if (length < 0 && errno != EOPNOTSUPP)
    die("llistxattr");
  for (char *p = names; p < names + length; p += strlen(p) + 1)
    sorted[n++] = p;
  qsort(sorted, n, sizeof(*sorted), by_text);
  for (size_t i = 0; i < n; i++) {
    ssize_t size = lgetxattr(name, sorted[i], value, sizeof(value));
    if (size < 0)
      die("lgetxattr");
    print_bytes(" ", sorted[i], strlen(sorted[i]));
    print_bytes("=", value, (size_t)size);
  }
}

static void print_content(int fd)
{
  static char piece[LARGEST];
  gcry_md_hd_t md;
  ssize_t n;
  gcry_md_open(&md, GCRY_MD_SHA256, 0);
  lseek(fd, 0, SEEK_SET);
  while ((n = read(fd, piece, sizeof(piece))) > 0)
    gcry_md_write(md, piece, (size_t)n);
  printf(" sha256=");
  for (int i = 0; i < 32; i++)
    printf("%02x", gcry_md_read(md, 0)[i]);
  gcry_md_close(md);
}

static void print_holes(int fd, off_t size)
{
  for (off_t at = 0; at < size;) {
    off_t hole = lseek(fd, at, SEEK_HOLE);
    if (hole < 0 || hole >= size)
      return;
    at = lseek(fd, hole, SEEK_DATA);
    if (at < 0)
      at = size;
    printf(" hole=%lld+%lld", (long long)hole, (long long)(at - hole));
  }
}

static void print_opened(const char *name, const struct stat *st)
{
  int flags = 0, fd = open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0)
    die(name);
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0)
    printf(" flags=%x", (unsigned)flags & SETTABLE);
  if (S_ISREG(st->st_mode)) {
    print_holes(fd, st->st_size);
    print_content(fd);
  }
  close(fd);
}

static void print_target(const char *name, size_t size)
{
  char *target = malloc(size + 1);
  ssize_t n = readlink(name, target, size + 1);
  if (n < 0)
    die("readlink");
  print_bytes(" -> ", target, (size_t)n);
  free(target);
}

static void print_entry(const char *name, const char *path, const struct stat *st)
{
  print_bytes("", path, strlen(path));
  printf(" %o %u:%u", st->st_mode, st->st_uid, st->st_gid);
  if (!S_ISDIR(st->st_mode) || directory_times)
    printf(" %lld.%09ld", (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
  if (S_ISREG(st->st_mode))
    printf(" %lld", (long long)st->st_size);
  if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
    printf(" %u,%u", major(st->st_rdev), minor(st->st_rdev));
  if (S_ISLNK(st->st_mode))
    print_target(name, (size_t)st->st_size);
  if (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode))
    print_opened(name, st);
  print_link(st, path);
  print_xattrs(name);
  putchar('\n');
}

static void list(const char *path);

static void visit(const char *directory, const char *name)
{
  struct stat st;
  char *path = NULL;
  if (asprintf(&path, "%s/%s", directory, name) < 0 || lstat(name, &st) < 0)
    die(name);
  print_entry(name, path, &st);
  if (S_ISDIR(st.st_mode)) {
    int above = open(".", O_RDONLY | O_DIRECTORY);
    if (above < 0 || chdir(name) < 0)
      die(name);
    list(path);
    if (fchdir(above) < 0)
      die("fchdir");
    close(above);
  }
  free(path);
}

static int all(const struct dirent *e)
{
  return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
  return strcmp((*a)->d_name, (*b)->d_name);
}

static void list(const char *path)
{
  struct dirent **names;
  int n = scandir(".", &names, all, by_name);
  if (n < 0)
    die("scandir");
  for (int i = 0; i < n; i++) {
    visit(path, names[i]->d_name);
    free(names[i]);
  }
  free(names);
}

int main(int argc, char **argv)
{
  directory_times = argc == 3 && strcmp(argv[1], "-d") == 0;
  if (argc != (directory_times ? 3 : 2) || chdir(argv[argc - 1]) < 0)
    die("usage: list-tree [-d] DIR");
  gcry_check_version(NULL);
  gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
  list("");
  return fflush(stdout) == 0 ? 0 : 2;
}
