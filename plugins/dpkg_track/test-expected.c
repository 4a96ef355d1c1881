/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What packages expect: from a package file that the test makes, and from what is there. */
#include "plugins/dpkg_track/test-root.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <pwd.h>
#include <sched.h>

#include "plugins/dpkg_track/tables.h"
#include "plugins/dpkg_track/unpacked.h"

#define STANZA(name, state) "Package: " name "\nStatus: " state "\nArchitecture: all\nVersion: 1\n"
#define INSTALLED "install ok installed"
#define INFO "var/lib/dpkg/info/"
#define MD5_OF_SAME "847676261680bff61c72961c8198abc0" /* "same\n" */
#define MD5_OF_NONE "00000000000000000000000000000000"

static void folder(const struct root *root, const char *path)
{
  assert_int_equal(mkdirat(root->fd, path, 0755), 0);
}

static void symlink_to(const struct root *root, const char *target, const char *path)
{
  assert_int_equal(symlinkat(target, root->fd, path), 0);
}

/* Everything that is made is ours: names stand where the test runs as root. */
static void accounts(const struct root *root)
{
  char text[256];
  folder(root, "etc");
  snprintf(text, sizeof(text), "me:x:%u:%u::/:/bin/sh\nother:x:4321:4321::/:/bin/sh\n", getuid(),
           getgid());
  put(root, "etc/passwd", text, 1);
  snprintf(text, sizeof(text), "us:x:%u:\n", getgid());
  put(root, "etc/group", text, 1);
}

/* The lines of the package's manifest; "nothing" where it is not known. */
static const char *expected_of(const struct root *root, const char *name, const char *words)
{
  static struct st_manifest manifest;
  static struct st_error err;
  struct st_context ctx = {.root = root->fd};
  struct st_value row[PACKAGE_COLUMNS] = {st_text_value(name), st_text_value("all"),
                                          st_text_value("1"),  st_text_value(words),
                                          st_null(),           st_null(),
                                          st_integer(0)};
  manifest = (struct st_manifest){.length = 0};
  void *self = host_open(&ctx);
  int r = st_plugin_register()->expected(self, "package", row, &manifest, &err);
  st_plugin_register()->close(self);
  return r == 0 ? manifest.lines : r > 0 ? "nothing" : err.message;
}

static void has(const char *lines, const char *line)
{
  if (!strstr(lines, line))
    fail_msg("no line \"%s\" in:\n%s", line, lines);
}
static void has_not(const char *lines, const char *part)
{
  if (strstr(lines, part))
    fail_msg("\"%s\" in:\n%s", part, lines);
}

/* ---- From what is there -----------------------------------------------------------------------
 */

static void test_observed(void **state)
{
  const struct root *root = *state;
  accounts(root);
  put(root, "var/lib/dpkg/status",
      STANZA("a", INSTALLED) "Conffiles:\n /etc/a.conf " MD5_OF_SAME
                             "\n /etc/edited.conf " MD5_OF_NONE " obsolete\n",
      1);
  put(root, INFO "a.list",
      "/.\n/etc\n/etc/a.conf\n/etc/edited.conf\n/usr\n/usr/bin\n/usr/bin/same\n/usr/bin/other\n"
      "/usr/bin/link\n/usr/bin/gone\n/usr/bin/undeclared\n",
      1);
  put(root, INFO "a.md5sums",
      MD5_OF_SAME "  usr/bin/same\n" MD5_OF_SAME "  usr/bin/other\n" MD5_OF_SAME "  usr/bin/gone\n",
      1);
  put(root, "etc/a.conf", "same\n", 77);
  put(root, "etc/edited.conf", "same\n", 77);
  put(root, "usr/bin/same", "same\n", 88);
  put(root, "usr/bin/other", "not that\n", 88);
  put(root, "usr/bin/undeclared", "same\n", 88);
  symlink_to(root, "same", "usr/bin/link");
  const char *lines = expected_of(root, "a", INSTALLED);
  has(lines, "observed\n");
  has(lines, "standard_track_entry|/usr/bin|d|493|");
  has(lines, "checksum_track_file|/usr/bin/same|id:a6|5\n");
  has(lines, "standard_track_entry|/usr/bin/other|f|420|");
  has_not(lines, "checksum_track_file|/usr/bin/other|");
  has_not(lines, "checksum_track_file|/usr/bin/undeclared|");
  has(lines, "checksum_track_file|/etc/a.conf|id:a6|5\n");
  has_not(lines, "checksum_track_file|/etc/edited.conf|");
  has(lines, "standard_track_entry|/usr/bin/link|l|511|");
  has(lines, "|-|same|-\n");
  has(lines, "standard_track_entry|/usr/bin/gone|-|-|-|-|-|-|-|-|-|-|-\n"); /* missing */
  has_not(lines, "|/.|");
  char owner[64];
  snprintf(owner, sizeof(owner), "/usr/bin/same|f|420|%u|%u|me|us|88|0|-|-|-\n", getuid(),
           getgid());
  has(lines, owner);
}

/* Names of one inode are a group, named by the first of them; with a name that is no package's the
 * file is alone as far as the package goes. */
static void test_hard_links(void **state)
{
  const struct root *root = *state;
  put(root, INFO "a.list", "/usr/bin/z\n/usr/bin/b\n/usr/bin/alone\n", 1);
  put(root, "usr/bin/z", "same\n", 1);
  put(root, "usr/bin/alone", "same\n", 1);
  assert_int_equal(linkat(root->fd, "usr/bin/z", root->fd, "usr/bin/b", 0), 0);
  assert_int_equal(linkat(root->fd, "usr/bin/alone", root->fd, "usr/ours", 0), 0);
  const char *lines = expected_of(root, "a", INSTALLED);
  has(lines, "|1|0|-|-|/usr/bin/b\nstandard_track_entry|/usr/bin/z|");
  has(strstr(lines, "|/usr/bin/z|"), "|1|0|-|-|/usr/bin/b\n");
  has(strstr(lines, "|/usr/bin/alone|"), "|1|0|-|-|-\n");
}

/* /bin is a symlink; of what is there under both names the file counts. */
static void test_merged(void **state)
{
  const struct root *root = *state;
  symlink_to(root, "usr/bin", "bin");
  symlink_to(root, "/usr/../../lib32", "lib"); /* no further up than the root */
  folder(root, "lib32");
  symlink_to(root, "loop", "loop");
  put(root, INFO "a.list",
      "/bin\n/bin/ls\n/usr\n/usr/bin\n/usr/bin/ls\n/lib\n/lib/x\n/loop\n/loop/x\n", 1);
  put(root, "usr/bin/ls", "same\n", 1);
  put(root, "lib32/x", "same\n", 1);
  put(root, INFO "a.md5sums", MD5_OF_SAME "  lib/x\n", 1);
  const char *lines = expected_of(root, "a", INSTALLED);
  has(lines, "standard_track_entry|/usr/bin|d|");
  has(lines, "standard_track_entry|/usr/bin/ls|f|");
  has(lines, "standard_track_entry|/lib32|d|");
  has(lines, "standard_track_entry|/lib32/x|f|");
  has(lines, "checksum_track_file|/lib32/x|id:a6|5\n");
  has(lines, "standard_track_entry|/loop/x|-|");
  has_not(lines, "|/bin");
  has_not(lines, "|/lib|");
  assert_null(strstr(strstr(lines, "|/usr/bin/ls|") + 1, "|/usr/bin/ls|"));
}

static void test_diverted(void **state)
{
  const struct root *root = *state;
  put(root, INFO "a.list", "/usr/bin/x\n/usr/bin/y\n", 1);
  put(root, INFO "b.list", "/usr/bin/y\n", 1);
  put(root, "var/lib/dpkg/diversions",
      "/usr/bin/x\n/usr/bin/x.distrib\n:\n/usr/bin/y\n/usr/bin/y.a\nb\n", 1);
  put(root, "usr/bin/x", "other", 1);
  put(root, "usr/bin/x.distrib", "same\n", 1);
  put(root, "usr/bin/y", "other", 1);
  put(root, "usr/bin/y.a", "same\n", 1);
  const char *lines = expected_of(root, "a", INSTALLED);
  has(lines, "|/usr/bin/x.distrib|f|");
  has_not(lines, "|/usr/bin/x|");
  has(lines, "|/usr/bin/y.a|f|");
  lines = expected_of(root, "b", INSTALLED);
  has(lines, "|/usr/bin/y|f|");
  has_not(lines, "|/usr/bin/y.a|");
}

static void test_left_out(void **state)
{
  const struct root *root = *state;
  accounts(root);
  folder(root, "etc/dpkg");
  put(root, "etc/dpkg/dpkg.cfg", "# docs\npath-exclude=/usr/share/doc/*\nno-debsig\n", 1);
  put(root, INFO "a.list", "/usr/share/doc/a/copyright\n/usr/share/man/a\n", 1);
  const char *lines = expected_of(root, "a", INSTALLED);
  has(lines, "|/usr/share/man/a|-|"); /* missing */
  has_not(lines, "/usr/share/doc");
}

static void test_unknown(void **state)
{
  const struct root *root = *state;
  assert_string_equal(expected_of(root, "a", INSTALLED), "nothing"); /* dpkg has no list of it */
  put(root, INFO "a.list", "/usr\n/cut", 1);
  assert_string_equal(expected_of(root, "a", INSTALLED), "nothing");
  put(root, INFO "a.list", "usr\n", 1);
  assert_string_equal(expected_of(root, "a", INSTALLED), "nothing");
}

/* ---- From the package's file ------------------------------------------------------------------
 */

/* One entry of a tree; of those with a `link` and type 'f' it is a hard link. */
struct member {
  const char *path;
  char type;
  unsigned mode;
  const char *link, *content;
};

static void add_member(struct archive *a, const struct member *m)
{
  struct archive_entry *e = archive_entry_new();
  size_t n = m->content ? strlen(m->content) : 0;
  archive_entry_set_pathname(e, m->path);
  archive_entry_set_filetype(e, m->type == 'd'   ? AE_IFDIR
                                : m->type == 'l' ? AE_IFLNK
                                : m->type == 'p' ? AE_IFIFO
                                                 : AE_IFREG);
  archive_entry_set_perm(e, (mode_t)m->mode);
  archive_entry_set_mtime(e, 1234, 0);
  archive_entry_set_uname(e, "other");
  archive_entry_set_uid(e, 17);
  archive_entry_set_gname(e, "nobody-here");
  archive_entry_set_gid(e, 18);
  archive_entry_set_size(e, (la_int64_t)n);
  if (m->link && m->type == 'l')
    archive_entry_set_symlink(e, m->link);
  else if (m->link)
    archive_entry_set_hardlink(e, m->link);
  assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
  assert_int_equal(archive_write_data(a, m->content, n), n);
  archive_entry_free(e);
}

/* A tar in `to`; its length. */
static size_t make_tar(const struct member *members, char *to, size_t size)
{
  size_t used = 0;
  struct archive *a = archive_write_new();
  archive_write_set_format_gnutar(a);
  archive_write_add_filter_xz(a);
  assert_int_equal(archive_write_open_memory(a, to, size, &used), ARCHIVE_OK);
  for (; members->path; members++)
    add_member(a, members);
  assert_int_equal(archive_write_close(a), ARCHIVE_OK);
  archive_write_free(a);
  return used;
}

static void add_part(struct archive *a, const char *name, const char *data, size_t n)
{
  struct archive_entry *e = archive_entry_new();
  archive_entry_set_pathname(e, name);
  archive_entry_set_filetype(e, AE_IFREG);
  archive_entry_set_size(e, (la_int64_t)n);
  assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
  assert_int_equal(archive_write_data(a, data, n), n);
  archive_entry_free(e);
}

/* Keeps package NAME 1 with this tree. */
static void keep_as(const struct root *root, const char *name, const struct member *tree,
                    const char *md5sums)
{
  static char packages[128], tar[65536], path[256];
  const struct member control[] = {{"./md5sums", 'f', 0644, NULL, md5sums}, {0}};
  snprintf(packages, sizeof(packages), "%s", root->path);
  snprintf(path, sizeof(path), "%s/%s_1_all", packages, name);
  host_packages = packages;
  struct archive *a = archive_write_new();
  archive_write_set_format_ar_svr4(a);
  assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
  add_part(a, "debian-binary", "2.0\n", 4);
  size_t n = make_tar(control, tar, sizeof(tar));
  add_part(a, "control.tar.xz", tar, n);
  n = make_tar(tree, tar, sizeof(tar));
  add_part(a, "data.tar.xz", tar, n);
  assert_int_equal(archive_write_close(a), ARCHIVE_OK);
  archive_write_free(a);
}

static void keep(const struct root *root, const struct member *tree, const char *md5sums)
{
  keep_as(root, "a", tree, md5sums);
}

static const struct member tree[] = {
    {"./", 'd', 0755, NULL, NULL},
    {"./bin/", 'd', 0755, NULL, NULL},
    {"./bin/tool", 'f', 04755, NULL, "same\n"},
    {"./bin/again", 'f', 04755, "./bin/tool", NULL},
    {"./bin/link", 'l', 0777, "tool", NULL},
    {"./usr/fifo", 'p', 0600, NULL, NULL},
    {"./usr/taken", 'f', 0644, NULL, "same\n"},
    {"./usr/doc/a", 'f', 0644, NULL, "same\n"},
    {0},
};
#define TREE_LIST "/.\n/bin\n/bin/tool\n/bin/again\n/bin/link\n/usr/fifo\n/usr/doc/a\n"
#define TREE_SUMS MD5_OF_SAME "  bin/tool\n" MD5_OF_SAME "  usr/taken\n"

static void kept_and_installed(const struct root *root)
{
  accounts(root);
  symlink_to(root, "usr/bin", "bin");
  put(root, INFO "a.list", TREE_LIST, 1);
  put(root, INFO "a.md5sums", TREE_SUMS, 1);
  keep(root, tree, TREE_SUMS);
}

/* Owners by name where the root has it, by number otherwise; what dpkg's list lacks was taken over;
 * nothing of it has to be there. */
static void test_package(void **state)
{
  const struct root *root = *state;
  kept_and_installed(root);
  const char *lines = expected_of(root, "a", INSTALLED);
  has_not(lines, "observed");
  has(lines, "standard_track_entry|/usr/bin|d|493|4321|18|other|-|-|-|-|-|-\n");
  has(lines, "standard_track_entry|/usr/bin/tool|f|2541|4321|18|other|-|1234|0|-|-|/usr/bin/again\n"
             "checksum_track_file|/usr/bin/tool|id:a6|5\n");
  has(lines,
      "standard_track_entry|/usr/bin/again|f|2541|4321|18|other|-|1234|0|-|-|/usr/bin/again\n"
      "checksum_track_file|/usr/bin/again|id:a6|5\n");
  has(lines, "standard_track_entry|/usr/bin/link|l|511|4321|18|other|-|1234|0|-|tool|-\n");
  has(lines, "standard_track_entry|/usr/fifo|p|384|");
  has(lines, "|/usr/doc/a|");
  has_not(lines, "|/usr/taken|");
  has_not(lines, "|/.|");
}

static void test_package_left_out(void **state)
{
  const struct root *root = *state;
  kept_and_installed(root);
  folder(root, "etc/dpkg");
  folder(root, "etc/dpkg/dpkg.cfg.d");
  put(root, "etc/dpkg/dpkg.cfg.d/docs", "path-exclude /usr/doc/*\n", 1);
  has_not(expected_of(root, "a", INSTALLED), "/usr/doc/a");
  folder(root, "usr/doc");
  put(root, "usr/doc/a", "same\n", 1); /* from before */
  has(expected_of(root, "a", INSTALLED), "|/usr/doc/a|f|420|4321|");
}

/* Of a package that is half there, or gone but for its configuration, its file says too much. */
static void test_package_states(void **state)
{
  const struct root *root = *state;
  kept_and_installed(root);
  has(expected_of(root, "a", "install reinstreq half-installed"), "observed\n");
  has(expected_of(root, "a", "deinstall ok config-files"), "observed\n");
  has_not(expected_of(root, "a", "install ok unpacked"), "observed\n");
  has_not(expected_of(root, "a", "hold ok triggers-pending"), "observed\n");
}

/* Another build of the same version, and a file that is cut off: what is there counts. */
static void test_package_wrong(void **state)
{
  const struct root *root = *state;
  char path[256];
  kept_and_installed(root);
  keep(root, tree, MD5_OF_NONE "  bin/tool\n");
  has(expected_of(root, "a", INSTALLED), "observed\n");
  keep(root, tree, TREE_SUMS);
  has_not(expected_of(root, "a", INSTALLED), "observed\n");
  snprintf(path, sizeof(path), "%s/a_1_all", root->path);
  struct stat st;
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(truncate(path, st.st_size - 40), 0);
  has(expected_of(root, "a", INSTALLED), "observed\n");
  assert_int_equal(truncate(path, 3), 0);
  has(expected_of(root, "a", INSTALLED), "observed\n");
}

/* Asked for one after the other, the files of the next ones are read ahead: each package gets its
 * own all the same, also where one is passed over, or has no file. */
static void test_many_packages(void **state)
{
  static struct st_manifest manifest;
  static struct st_facts facts;
  const struct root *root = *state;
  struct st_context ctx = {.root = root->fd};
  struct st_error err = {0};
  char status[2048] = "", name[8], path[64], line[64];
  accounts(root);
  for (char c = 'a'; c <= 'p'; c++) {
    snprintf(name, sizeof(name), "%c", c);
    size_t n = strlen(status);
    snprintf(status + n, sizeof(status) - n,
             "Package: %c\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n", c);
    snprintf(path, sizeof(path), "./usr/of-%c", c);
    const struct member own[] = {{path, 'f', 0644, NULL, name}, {0}};
    if (c != 'h')
      keep_as(root, name, own, "");
    snprintf(line, sizeof(line), "/usr/of-%c\n", c);
    snprintf(path, sizeof(path), INFO "%c.list", c);
    put(root, path, line, 1);
  }
  put(root, "var/lib/dpkg/status", status, 1);
  void *self = host_open(&ctx);
  assert_int_equal(st_plugin_register()->collect(self, &facts, &err), 0);
  for (char c = 'a'; c <= 'n'; c++) { /* the last ones are never asked for */
    if (c == 'j')
      continue;
    snprintf(name, sizeof(name), "%c", c);
    struct st_value row[PACKAGE_COLUMNS] = {st_text_value(name), st_text_value("all"),
                                            st_text_value("1"),  st_text_value(INSTALLED),
                                            st_null(),           st_null(),
                                            st_integer(0)};
    manifest = (struct st_manifest){.length = 0};
    assert_int_equal(st_plugin_register()->expected(self, "package", row, &manifest, &err), 0);
    snprintf(line, sizeof(line), "standard_track_entry|/usr/of-%c|%s", c, c == 'h' ? "-|" : "f|");
    has(manifest.lines, line);
    assert_int_equal(c == 'h', strstr(manifest.lines, "observed") != NULL);
  }
  st_plugin_register()->close(self);
}

#define NAME "p%03d" /* of a package, in order */
#define MOST_ASKED 200

/* Packages of which no file is kept; of each 17th there is no list, of each 13th another content
 * than dpkg noted, and each 11th is not installed. */
static void install_observed(const struct root *root)
{
  static char status[MOST_ASKED * 128];
  char path[64], line[64];
  status[0] = 0;
  accounts(root);
  for (int i = 0; i < MOST_ASKED; i++) {
    size_t n = strlen(status);
    snprintf(status + n, sizeof(status) - n,
             "Package: " NAME "\nStatus: %s\nArchitecture: all\nVersion: 1\n\n", i,
             i % 11 == 10 ? "deinstall ok not-installed" : INSTALLED);
    if (i % 17 == 16)
      continue;
    snprintf(path, sizeof(path), INFO NAME ".list", i);
    snprintf(line, sizeof(line), "/usr/of-%d\n", i);
    put(root, path, line, 1);
    snprintf(path, sizeof(path), INFO NAME ".md5sums", i);
    snprintf(line, sizeof(line), MD5_OF_SAME "  usr/of-%d\n", i);
    put(root, path, line, 1);
    snprintf(path, sizeof(path), "usr/of-%d", i);
    put(root, path, i % 13 == 12 ? "else\n" : "same\n", 1);
  }
  put(root, "var/lib/dpkg/status", status, 1);
}

static void expect_observed(void *self, int i)
{
  static struct st_manifest manifest;
  struct st_error err = {0};
  char name[8], line[64];
  snprintf(name, sizeof(name), NAME, i);
  const struct st_value row[PACKAGE_COLUMNS] = {st_text_value(name), st_text_value("all"),
                                                st_text_value("1"),  st_text_value(INSTALLED),
                                                st_null(),           st_null(),
                                                st_integer(0)};
  manifest = (struct st_manifest){.length = 0};
  int r = st_plugin_register()->expected(self, "package", row, &manifest, &err);
  assert_int_equal(r, i % 17 == 16 ? 1 : 0);
  if (r != 0)
    return;
  has(manifest.lines, "observed\n");
  snprintf(line, sizeof(line), "standard_track_entry|/usr/of-%d|f|", i);
  has(manifest.lines, line);
  assert_null(strstr(strstr(manifest.lines, line) + 1, "standard_track_entry|"));
  snprintf(line, sizeof(line), "checksum_track_file|/usr/of-%d|id:a6|5\n", i);
  assert_int_equal(strstr(manifest.lines, line) != NULL, i % 13 != 12);
}

/* Asked for one after the other, manifests are made ahead: each package gets its own all the same,
 * in whatever order they are asked for, and however often. */
static void test_many_observed(void **state)
{
  static struct st_facts facts;
  const struct root *root = *state;
  struct st_context ctx = {.root = root->fd};
  struct st_error err = {0};
  install_observed(root);
  void *self = host_open(&ctx);
  for (int round = 0; round < 4; round++) {
    facts = (struct st_facts){.length = 0};
    if (round != 2) /* once more of the same scan */
      assert_int_equal(st_plugin_register()->collect(self, &facts, &err), 0);
    for (int i = 0; i < MOST_ASKED; i++) {
      if (i % 11 == 10 || (round == 1 && i % 40 == 39))
        continue;
      expect_observed(self, i);
      if (round == 1 && i == 100)
        expect_observed(self, 7); /* and back */
      if (round == 3 && i == 60)
        break; /* what was made ahead of that is of no use */
    }
  }
  st_plugin_register()->close(self);
}

/* Names that lead out of the root. */
static void test_package_hostile(void **state)
{
  const struct root *root = *state;
  static const struct member out[] = {{"./../x", 'f', 0644, NULL, "same\n"}, {0}};
  kept_and_installed(root);
  keep(root, out, TREE_SUMS);
  has(expected_of(root, "a", INSTALLED), "observed\n");
}

static int count_threads(void)
{
  DIR *tasks = opendir("/proc/self/task");
  int count = 0;
  assert_non_null(tasks);
  for (struct dirent *e; (e = readdir(tasks));)
    count += e->d_name[0] != '.';
  closedir(tasks);
  return count;
}

/* As many as processors that we may use, whatever there are. */
static void test_threads(void **state)
{
  cpu_set_t before, one;
  (void)state;
  assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++) {
    if (CPU_ISSET(cpu, &before))
      CPU_SET(cpu, &one);
  }
  assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
  int threads = count_threads();
  struct readahead *r = readahead_new();
  int more = count_threads() - threads;
  readahead_free(r);
  assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
  assert_int_equal(more, 1);
}

static int tear_down_all(void **state)
{
  host_packages = NULL;
  return tear_down(state);
}

int main(void)
{
#define ROOT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down_all)
  const struct CMUnitTest tests[] = {
      ROOT_TEST(test_observed),        ROOT_TEST(test_hard_links),
      ROOT_TEST(test_merged),          ROOT_TEST(test_diverted),
      ROOT_TEST(test_left_out),        ROOT_TEST(test_unknown),
      ROOT_TEST(test_package),         ROOT_TEST(test_package_left_out),
      ROOT_TEST(test_package_states),  ROOT_TEST(test_package_wrong),
      ROOT_TEST(test_package_hostile), ROOT_TEST(test_many_packages),
      ROOT_TEST(test_many_observed),   cmocka_unit_test(test_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
