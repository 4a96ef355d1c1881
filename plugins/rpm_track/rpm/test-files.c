/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/base/test-scratch.h"

#include <rpm/rpmfiles.h>
#include <rpm/rpmlib.h>
#include <rpm/rpmpgp.h>
#include <rpm/rpmtag.h>
#include <rpm/rpmtd.h>

#include "plugins/rpm_track/rpm/files.h"
#include "plugins/rpm_track/rpm/list.h"
#include "plugins/rpm_track/rpm/verbs.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define MD5 "0123456789abcdef0123456789abcdef"

/* What a header says of one file. */
struct one {
  const char *folder, *name;
  uint16_t mode;
  const char *owner, *digest, *target, *caps;
  uint32_t flags, inode;
  uint8_t state;
};

static void put_strings(Header h, rpmTagVal tag, const char *text)
{
  assert_true(headerPutString(h, tag, text));
}

static void put_one(Header h, uint32_t i, const struct one *f)
{
  const uint32_t size = 3, time = 1000, device = 1, lang_flags = 0;
  const uint16_t rdev = 0;
  const char state = (char)f->state;
  put_strings(h, RPMTAG_DIRNAMES, f->folder);
  put_strings(h, RPMTAG_BASENAMES, f->name);
  headerPutUint32(h, RPMTAG_DIRINDEXES, &i, 1);
  headerPutUint16(h, RPMTAG_FILEMODES, &f->mode, 1);
  headerPutUint16(h, RPMTAG_FILERDEVS, &rdev, 1);
  headerPutUint32(h, RPMTAG_FILESIZES, &size, 1);
  headerPutUint32(h, RPMTAG_FILEMTIMES, &time, 1);
  headerPutUint32(h, RPMTAG_FILEFLAGS, &f->flags, 1);
  headerPutUint32(h, RPMTAG_FILEINODES, &f->inode, 1);
  headerPutUint32(h, RPMTAG_FILEDEVICES, &device, 1);
  headerPutUint32(h, RPMTAG_FILEVERIFYFLAGS, &lang_flags, 1);
  put_strings(h, RPMTAG_FILEUSERNAME, f->owner ? f->owner : "root");
  put_strings(h, RPMTAG_FILEGROUPNAME, "root");
  put_strings(h, RPMTAG_FILEDIGESTS, f->digest ? f->digest : "");
  put_strings(h, RPMTAG_FILELINKTOS, f->target ? f->target : "");
  put_strings(h, RPMTAG_FILECAPS, f->caps ? f->caps : "");
  struct rpmtd_s states;
  rpmtdReset(&states);
  states.tag = RPMTAG_FILESTATES;
  states.type = RPM_CHAR_TYPE;
  states.data = (void *)&state;
  states.count = 1;
  headerPut(h, &states, HEADERPUT_APPEND);
}

static Header header_of(const struct one *files, size_t count, uint32_t algorithm)
{
  Header h = headerNew();
  put_strings(h, RPMTAG_NAME, "demo");
  headerPutUint32(h, RPMTAG_FILEDIGESTALGO, &algorithm, 1);
  for (size_t i = 0; i < count; i++)
    put_one(h, (uint32_t)i, &files[i]);
  return h;
}

/* The fields with a '|' behind each, a file a line; then the notes. */
static char *lines_of(Header h, struct st_error *err)
{
  ST_AUTO_BUFFER notes = ST_BUFFER_INIT, out = ST_BUFFER_INIT;
  ST_AUTO_RPM_FILES files = {0};
  ST_CLEANUP(rpm_paths_freep) struct rpm_paths *paths = rpm_paths_new();
  ST_CLEANUP(st_accounts_freep) struct st_accounts *accounts = NULL;
  ST_AUTO_CLOSE int root = open("/proc/self", O_PATH | O_DIRECTORY); /* without accounts */
  assert_int_equal(st_accounts_read(&accounts, root, NULL), 0);
  const struct rpm_files_of of = {paths, accounts, "demo"};
  const struct st_buffer *fields = &files.fields;
  size_t n = 0;
  int r = rpm_files_put(&of, h, &files, &notes, err);
  headerFree(h);
  if (r < 0)
    return NULL;
  for (size_t i = 0; i < fields->length; i++) {
    n += fields->data[i] == 0;
    st_buffer_append_byte(&out, fields->data[i] ? (uint8_t)fields->data[i] : '|');
    if (fields->data[i] == 0 && n % FILE_FIELDS == 0)
      st_buffer_append_byte(&out, '\n');
  }
  assert_int_equal(n, files.count * FILE_FIELDS);
  st_buffer_append(&out, files.flags.length ? files.flags.data : "", files.flags.length);
  for (size_t i = 0; i < notes.length; i++)
    st_buffer_append_byte(&out, notes.data[i] ? (uint8_t)notes.data[i] : '\n');
  return st_buffer_steal(&out, NULL);
}

static void expect(const struct one *files, size_t count, uint32_t algorithm, const char *lines)
{
  struct st_error err = ST_ERROR_INIT;
  ST_AUTO_FREE char *got = lines_of(header_of(files, count, algorithm), &err);
  assert_ok(got ? 0 : -1, &err);
  assert_string_equal(got, lines);
}

static void test_kinds(void **state)
{
  (void)state;
  const struct one files[] = {
      {"/srv/st-none/", "b", 0100644, "nobody-here", SHA, "", "", 0, 2, 0},
      {"/srv/st-none/", "a", 0120777, NULL, NULL, "b", "", 0, 3, 0},
      {"/srv/", "st-none", 040755, NULL, NULL, "", "", 0, 4, 0},
  };
  expect(files, 3, PGPHASHALGO_SHA256,
         "/srv/st-none|d|755|0|0|root|root|||||||||\n"
         "/srv/st-none/a|l|777|0|0|root|root|1000|||b|||||\n"
         "/srv/st-none/b|f|644|0|0|nobody-here|root|1000|3|||||" SHA "||\n");
}

static void test_not_expected(void **state)
{
  (void)state;
  const struct one files[] = {
      {"/srv/st-none/", "g\nhost", 0100644, NULL, SHA, "", "", RPMFILE_GHOST, 1, 0},
      {"/srv/st-none/", "conf", 0100644, NULL, SHA, "", "",
       RPMFILE_CONFIG | RPMFILE_NOREPLACE | RPMFILE_MISSINGOK, 6, RPMFILE_STATE_REPLACED},
      {"/srv/st-none/", "doc", 0100644, NULL, SHA, "", "", RPMFILE_DOC, 7, RPMFILE_STATE_REPLACED},
      {"/srv/st-none/", "replaced", 0100644, NULL, SHA, "", "", 0, 2, RPMFILE_STATE_REPLACED},
      {"/srv/st-none/", "left-out", 0100644, NULL, SHA, "", "", 0, 3, RPMFILE_STATE_NOTINSTALLED},
      {"/srv/st-none/", "shared", 0100644, NULL, SHA, "", "", 0, 4, RPMFILE_STATE_NETSHARED},
      {"/srv/st-none/", "colour", 0100644, NULL, SHA, "", "", 0, 5, RPMFILE_STATE_WRONGCOLOR},
  };
  expect(files, 7, PGPHASHALGO_SHA256, "g /srv/st-none/g\\nhost\ncmn /srv/st-none/conf\n");
}

/* Other digests are not taken for SHA-256, nor is one of another length. */
static void test_digests(void **state)
{
  (void)state;
  const struct one files[] = {{"/srv/st-none/", "a", 0100644, NULL, MD5, "", "", 0, 1, 0}};
  expect(files, 1, PGPHASHALGO_MD5, "/srv/st-none/a|f|644|0|0|root|root|1000|3||||||1:" MD5 "|\n");
}

static void test_links_and_capabilities(void **state)
{
  (void)state;
  const struct one files[] = {
      {"/srv/st-none/", "c", 0100644, NULL, SHA, "", "", 0, 7, 0},
      {"/srv/st-none/", "b", 0100644, NULL, SHA, "", "", 0, 7, 0},
      {"/srv/st-none/", "a", 0100644, NULL, SHA, "", "", RPMFILE_GHOST, 7, 0},
      {"/srv/st-none/", "d", 0104755, NULL, SHA, "", "cap_chown=ep", 0, 8, 0},
  };
  expect(files, 4, PGPHASHALGO_SHA256,
         "/srv/st-none/b|f|644|0|0|root|root|1000|3|||/srv/st-none/b||" SHA "||\n"
         "/srv/st-none/c|f|644|0|0|root|root|1000|3|||/srv/st-none/b||" SHA "||\n"
         "/srv/st-none/d|f|4755|0|0|root|root|1000|3||||"
         "13001400000073656375726974792e6361706162696c697479"
         "0100000201000000000000000000000000000000|" SHA "||\n"
         "g /srv/st-none/a\n");
}

static void test_hostile(void **state)
{
  (void)state;
  const struct one files[] = {
      {"/srv/../", "a", 0100644, NULL, SHA, "", "", 0, 1, 0},
      {"srv/", "b", 0100644, NULL, SHA, "", "", 0, 2, 0},
      {"/srv/", "..", 0100644, NULL, SHA, "", "", 0, 3, 0},
      {"/srv/st-none/", "e", 0100644, NULL, SHA, "", "cap_what=ep", 0, 4, 0},
      {"/srv/st-none/", "f\n", 0170644, NULL, SHA, "", "", 0, 5, 0},
      {"/srv/st-none/", "e", 0120777, NULL, SHA, "x", "", 0, 6, 0},
  };
  expect(files, 6, PGPHASHALGO_SHA256,
         "/srv/st-none/e|f|644|0|0|root|root|1000|3|||||" SHA "||\n"
         "note\npackage demo: it declares a path that cannot be (/srv/../a)\n"
         "note\npackage demo: it declares a path that cannot be (srv/b)\n"
         "note\npackage demo: it declares a path that cannot be (/srv/..)\n"
         "note\npackage demo: it declares a file of no known type (/srv/st-none/f\\n)\n"
         "note\npackage demo: it declares capabilities that cannot be (/srv/st-none/e)\n");
}

/* Lists of several lengths, and an index of a folder that is not there. */
static void test_contradictions(void **state)
{
  (void)state;
  const struct one file = {"/srv/st-none/", "a", 0100644, NULL, SHA, "", "", 0, 1, 0};
  const uint32_t far = 77;
  for (int i = 0; i < 2; i++) {
    ST_AUTO_ERROR err = ST_ERROR_INIT;
    Header h = header_of(&file, 1, PGPHASHALGO_SHA256);
    if (i == 0)
      put_strings(h, RPMTAG_BASENAMES, "more");
    else
      headerDel(h, RPMTAG_DIRINDEXES), headerPutUint32(h, RPMTAG_DIRINDEXES, &far, 1);
    ST_AUTO_FREE char *lines = lines_of(h, &err);
    if (lines)
      assert_string_equal(lines, "");
    else
      assert_non_null(strstr(st_error_text(&err), "the header of package demo is damaged"));
  }
}

static void test_none(void **state)
{
  (void)state;
  expect(NULL, 0, PGPHASHALGO_SHA256, "");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_kinds),   cmocka_unit_test(test_not_expected),
      cmocka_unit_test(test_digests), cmocka_unit_test(test_links_and_capabilities),
      cmocka_unit_test(test_hostile), cmocka_unit_test(test_contradictions),
      cmocka_unit_test(test_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
