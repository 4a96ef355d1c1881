/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/repository.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <strings.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/text.h"
#include "systracker/plugin.h"

#define PARENT "/var/lib"
#define PRIVATE "/var/cache/apt"
#define PRIVATE_OPTIONS "mode=755,size=512m" /* at most; what apt writes of its index */
#define PIECE 65536                          /* bytes copied at once */
#define MAX_CONTROL (1 << 20)                /* bytes */
#define CONTROL_SECONDS 60
#define DEEPEST 8 /* folders within the repository */

/* ---- Control data ---------------------------------------------------------------------------- */

/* The line at `at` begins with this field. */
static bool is_field(const char *at, size_t left, const char *field)
{
  size_t n = strlen(field);
  return left > n && strncasecmp(at, field, n) == 0 && at[n] == ':';
}

static const char *line_end(const char *at, const char *end)
{
  const char *newline = memchr(at, '\n', (size_t)(end - at));
  return newline ? newline : end;
}

char *st_control_field(const char *control, size_t length, const char *field)
{
  const char *end = control + length;
  for (const char *at = control, *stop; at < end; at = stop + 1) {
    stop = line_end(at, end);
    if (!is_field(at, (size_t)(stop - at), field))
      continue;
    const char *value = at + strlen(field) + 1;
    while (value < stop && (*value == ' ' || *value == '\t'))
      value++;
    while (stop > value && (stop[-1] == ' ' || stop[-1] == '\t' || stop[-1] == '\r'))
      stop--;
    return st_memdup(value, (size_t)(stop - value));
  }
  return NULL;
}

/* Fields that speak of the file; ours count. */
static bool is_about_file(const char *at, size_t left)
{
  static const char *const fields[] = {"Filename", "Size",   "MD5sum", "SHA1",
                                       "SHA256",   "SHA512", "Status"};
  for (size_t i = 0; i < ST_COUNT(fields); i++) {
    if (is_field(at, left, fields[i]))
      return true;
  }
  return false;
}

static bool is_blank(const char *at, const char *stop)
{
  while (at < stop && (*at == ' ' || *at == '\t' || *at == '\r'))
    at++;
  return at == stop;
}

int st_repository_paragraph(struct st_buffer *out, const char *control, size_t length,
                            const char *filename, uint64_t size, const uint8_t *digest,
                            struct st_error *err)
{
  char hex[2 * ST_DIGEST_SIZE + 1];
  const char *end = control + length;
  bool skipping = false;
  while (end > control && (end[-1] == '\n' || end[-1] == ' ' || end[-1] == '\r'))
    end--;
  if (end == control || memchr(control, 0, length))
    return st_fail(err, 0, "its control data are not one paragraph");
  for (const char *at = control, *stop; at < end; at = stop + 1) {
    stop = line_end(at, end);
    if (is_blank(at, stop))
      return st_fail(err, 0, "its control data are not one paragraph");
    bool goes_on = *at == ' ' || *at == '\t';
    skipping = goes_on ? skipping : is_about_file(at, (size_t)(stop - at));
    if (skipping)
      continue;
    st_buffer_append(out, at, (size_t)(stop - at));
    st_buffer_append_byte(out, '\n');
  }
  st_hex(hex, digest, ST_DIGEST_SIZE);
  st_buffer_printf(out, "Filename: %s\nSize: %llu\nSHA256: %s\n\n", filename,
                   (unsigned long long)size, hex);
  return 0;
}

/* ---- The folder ------------------------------------------------------------------------------ */

static char *folder_name(const struct st_journal *j)
{
  char token[2 * ST_JOURNAL_TOKEN_SIZE + 1];
  st_hex(token, j->token, sizeof(j->token));
  return st_format("systracker-restore.%s", token);
}

void st_repository_remove(int root, const struct st_journal *j)
{
  ST_AUTO_FREE char *name = folder_name(j);
  ST_AUTO_CLOSE int parent = st_open_in(root, PARENT, O_RDONLY | O_DIRECTORY, 0);
  struct stat st;
  if (parent < 0 || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return;
  st_remove_folder(parent, name, DEEPEST);
}

void st_repository_close(struct st_repository *r)
{
  if (r->dir >= 0)
    close(r->dir);
  free(r->path);
  st_buffer_free(&r->index);
  *r = (struct st_repository)ST_REPOSITORY_INIT;
}

static bool make_folders(int dir)
{
  static const char *const folders[] = {"lists", "lists/partial", "archives", "archives/partial"};
  bool made = true;
  for (size_t i = 0; i < ST_COUNT(folders) && made; i++)
    made = mkdirat(dir, folders[i], 0755) == 0;
  return made;
}

int st_repository_make(struct st_repository *r, int root, const struct st_journal *j,
                       struct st_error *err)
{
  ST_AUTO_FREE char *name = folder_name(j);
  st_repository_remove(root, j);
  ST_AUTO_CLOSE int parent = st_open_in(root, PARENT, O_RDONLY | O_DIRECTORY, 0);
  if (parent < 0)
    return st_fail(err, -parent, "cannot open " PARENT " of the root");
  if (mkdirat(parent, name, 0755) < 0)
    return st_fail(err, errno, "cannot make a folder for apt in " PARENT " of the root");
  r->dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  r->path = st_format(PARENT "/%s", name);
  bool made = r->dir >= 0 && fchmod(r->dir, 0755) == 0 /* whatever the umask */
              && make_folders(r->dir);
  return made ? 0 : st_fail(err, errno, "cannot make a folder for apt in " PARENT " of the root");
}

/* Where the root's directory is, as long as its mount is one of our namespace. */
static int root_folder(int root, char folder[static PATH_MAX])
{
  char link[32];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", root);
  ssize_t n = readlink(link, folder, PATH_MAX - 1);
  if (n < 0)
    return -1;
  folder[n] = 0;
  return 0;
}

/* The root's directory as our new namespace has it: a descriptor from before sees no new mounts. */
static int open_again(const char *folder, int root)
{
  struct stat here, wanted;
  ST_AUTO_CLOSE int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &here) < 0 || fstat(root, &wanted) < 0)
    return -1;
  if (here.st_dev == wanted.st_dev && here.st_ino == wanted.st_ino)
    return st_steal_fd(&fd);
  errno = ESTALE;
  return -1;
}

static int open_private(int root)
{
  int fd = st_open_in(root, PRIVATE, O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0)
    errno = -fd;
  return fd < 0 ? -1 : fd;
}

/* Memory over the folder, by its descriptor, so that no symlink leads elsewhere meanwhile. */
static int cover(int root)
{
  char link[32];
  ST_AUTO_CLOSE int fd = open_private(root);
  if (fd < 0)
    return -1;
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  return mount("tmpfs", link, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, PRIVATE_OPTIONS);
}

int st_repository_make_private(struct st_repository *r, int root, struct st_error *err)
{
  static const char what[] = "apt's simulation needs a folder of memory over " PRIVATE;
  char folder[PATH_MAX];
  if (root_folder(root, folder) < 0 || unshare(CLONE_NEWNS) < 0 ||
      mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
    return st_fail(err, errno, "%s, in a mount namespace", what);
  ST_AUTO_CLOSE int again = open_again(folder, root);
  if (again < 0 || cover(again) < 0 || (r->dir = open_private(again)) < 0 || !make_folders(r->dir))
    return st_fail(err, errno, "%s", what);
  r->path = st_strdup(PRIVATE);
  return 0;
}

char *st_repository_file(size_t n)
{
  return st_format("%zu.deb", n);
}

/* ---- Package files --------------------------------------------------------------------------- */

/* Reads all of it; `out` may be -1.  It has to have the digest that it is kept under. */
static int copy_proved(int in, int out, const struct st_package *package, uint64_t *ret_size,
                       struct st_error *err)
{
  *ret_size = 0;
  ST_CLEANUP(st_digester_freep) struct st_digester *digester = st_digester_new(NULL);
  ST_AUTO_FREE char *piece = st_malloc(PIECE);
  uint8_t digest[ST_DIGEST_SIZE];
  ssize_t n;
  while ((n = read(in, piece, PIECE)) != 0) {
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return st_fail(err, errno, "its kept file cannot be read");
    st_digester_add(digester, piece, (size_t)n);
    *ret_size += (uint64_t)n;
    if (out >= 0 && st_write_all(out, piece, (size_t)n, err) < 0)
      return st_wrap(err, "its kept file cannot be copied");
  }
  st_digester_final(digester, digest);
  if (memcmp(digest, package->digest, sizeof(digest)) != 0)
    return st_fail(err, 0, "its kept file is damaged or cut off");
  return 0;
}

int st_repository_prove(const struct st_packages *kept, const struct st_package *package,
                        struct st_error *err)
{
  uint64_t size;
  ST_AUTO_CLOSE int in = st_packages_read(kept, package, err);
  return in < 0 ? -1 : copy_proved(in, -1, package, &size, err);
}

/* By dpkg-deb of the running system, through our own descriptor: the file proved is the one read.
 */
static int read_control(int fd, char **ret, size_t *ret_length, struct st_error *err)
{
  ST_AUTO_FREE char *path = st_format("/proc/%ld/fd/%d", (long)getpid(), fd);
  char *argv[] = {"dpkg-deb", "-f", path, NULL};
  int status = st_run(argv, MAX_CONTROL, CONTROL_SECONDS, ret, ret_length, err);
  if (status > 0) {
    free(*ret);
    *ret = NULL;
    return st_fail(err, 0, "dpkg-deb cannot read its kept file");
  }
  return status;
}

static bool says(const char *control, size_t length, const char *field, const char *value)
{
  ST_AUTO_FREE char *found = st_control_field(control, length, field);
  return found && strcmp(found, value) == 0;
}

static void count_installed(struct st_repository *r, const char *control, size_t length)
{
  ST_AUTO_FREE char *size = st_control_field(control, length, "Installed-Size");
  int64_t kib;
  if (size && st_parse_number(size, &kib, NULL) == 0 && kib > 0 && kib < INT64_MAX / 2048)
    r->installed += (uint64_t)kib * 1024;
}

static int check_control(struct st_repository *r, const char *control, size_t length,
                         const struct st_package *p, struct st_error *err)
{
  if (!says(control, length, "Package", p->name) || !says(control, length, "Version", p->version) ||
      !says(control, length, "Architecture", p->architecture))
    return st_fail(err, 0, "its kept file is another package than its name says");
  count_installed(r, control, length);
  return 0;
}

/* Where the copy goes; -1 without a folder. */
static int open_copy(const struct st_repository *r, const char *name, struct st_error *err)
{
  int fd = openat(r->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  return fd < 0 ? st_fail(err, errno, "its kept file cannot be copied") : fd;
}

int st_repository_add(struct st_repository *r, const struct st_packages *kept,
                      const struct st_package *package, bool offered, struct st_error *err)
{
  ST_AUTO_FREE char *name = st_repository_file(r->count);
  ST_AUTO_FREE char *control = NULL;
  size_t length;
  uint64_t size;
  ST_AUTO_CLOSE int in = st_packages_read(kept, package, err);
  if (in < 0)
    return -1;
  ST_AUTO_CLOSE int out = r->dir >= 0 ? open_copy(r, name, err) : -1;
  if ((r->dir >= 0 && out < 0) || copy_proved(in, out, package, &size, err) < 0)
    return -1;
  if (lseek(in, 0, SEEK_SET) < 0)
    return st_fail(err, errno, "its kept file cannot be read");
  if (read_control(in, &control, &length, err) < 0 ||
      check_control(r, control, length, package, err) < 0)
    return -1;
  ST_AUTO_FREE char *filename = st_format("./%s", name);
  if (offered &&
      st_repository_paragraph(&r->index, control, length, filename, size, package->digest, err) < 0)
    return -1;
  r->bytes += size;
  r->count++;
  return 0;
}

int st_repository_promise(struct st_repository *r, const char *control, bool offered,
                          struct st_error *err)
{
  size_t length = strlen(control);
  uint8_t digest[ST_DIGEST_SIZE] = {0};
  int64_t size = 0;
  ST_AUTO_FREE char *hex = st_control_field(control, length, "SHA256");
  ST_AUTO_FREE char *bytes = st_control_field(control, length, "Size");
  ST_AUTO_FREE char *name = st_repository_file(r->count);
  ST_AUTO_FREE char *filename = st_format("./%s", name);
  if (!hex || strlen(hex) != 2 * sizeof(digest) || !st_unhex(digest, sizeof(digest), hex) ||
      !bytes || st_parse_number(bytes, &size, NULL) < 0 || size < 0)
    return st_fail(err, 0, "its lists give no size and SHA-256");
  if (offered && st_repository_paragraph(&r->index, control, length, filename, (uint64_t)size,
                                         digest, err) < 0)
    return -1;
  count_installed(r, control, length);
  r->bytes += (uint64_t)size;
  r->count++;
  return 0;
}

int st_repository_finish(struct st_repository *r, struct st_error *err)
{
  /* Nothing that the host hooks to its own `apt-get update` has to do with our index. */
  static const char configuration[] = "#clear APT::Update::Pre-Invoke;\n"
                                      "#clear APT::Update::Post-Invoke;\n"
                                      "#clear APT::Update::Post-Invoke-Success;\n";
  ST_AUTO_FREE char *sources = st_format("deb [trusted=yes] file:%s ./\n", r->path);
  if (st_write_file(r->dir, "apt.conf", 0644, configuration, strlen(configuration), err) < 0 ||
      st_write_file(r->dir, "Packages", 0644, r->index.data ? r->index.data : "", r->index.length,
                    err) < 0 ||
      st_write_file(r->dir, "sources.list", 0644, sources, strlen(sources), err) < 0)
    return st_wrap(err, "cannot write what apt reads");
  return 0;
}
