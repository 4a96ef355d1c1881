/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rpmrequest.h - what a restore asks `systracker-rpm transaction` to do, and what it answers: words
 * between it and systracker-restore of the same version, never kept.
 *
 * The request is read from descriptor 4, each word ended by a NUL.  Of each step: the kind, name,
 * version before, version after, architecture, SHA-256 of the header or "" (any), whether it is
 * optional ("1" or "0"), the public key in armour or "", how many package files, and their paths
 * below descriptor 5.  Versions are [EPOCH:]VERSION-RELEASE.
 *
 * The answer, on standard output: records of three words, each ended by a NUL: what, the number of
 * the step or "", text (not escaped).  See enum st_rpm_said.
 */
#ifndef ST_TRACKER_RPMREQUEST_H
#define ST_TRACKER_RPMREQUEST_H

#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

#define ST_RPM_REQUEST_FD 4
#define ST_RPM_PACKAGES_FD 5

enum st_rpm_step_kind {
  ST_RPM_STEP_INSTALL,   /* beside what there is of that name */
  ST_RPM_STEP_UPGRADE,   /* in the place of the version before, whichever is newer */
  ST_RPM_STEP_REINSTALL, /* the same version once more */
  ST_RPM_STEP_ERASE,
  ST_RPM_STEP_IMPORT, /* a public key */
  ST_RPM_STEP_PROVE,  /* its package file is looked at alone */
  ST_RPM_STEP_NKINDS,
};

struct st_rpm_step {
  enum st_rpm_step_kind kind;
  char *name, *before, *after, *architecture;
  char *digest; /* of the header, hexadecimal; "": any */
  bool optional;
  char *key;
  struct st_strings files;
};

struct st_rpm_request {
  struct st_rpm_step *items;
  size_t count, size;
};
#define ST_AUTO_RPM_REQUEST ST_CLEANUP(st_rpm_request_free) struct st_rpm_request
void st_rpm_request_free(struct st_rpm_request *r);
/* Adds an empty one, its strings "" and owned. */
struct st_rpm_step *st_rpm_request_add(struct st_rpm_request *r, enum st_rpm_step_kind kind);

void st_rpm_request_encode(struct st_buffer *out, const struct st_rpm_request *r);
/* Anything that st_rpm_request_encode does not write is an error in words. */
int st_rpm_request_decode(const void *data, size_t length, struct st_rpm_request *ret,
                          struct st_error *err);

enum st_rpm_said {
  ST_RPM_SAID_FILE,    /* the step's package file cannot be used: why */
  ST_RPM_SAID_PROBLEM, /* why rpm refuses the whole */
  ST_RPM_SAID_BEYOND,  /* what rpm would do that was not asked for */
  ST_RPM_SAID_SIZE,    /* bytes that the step's package says it needs */
  ST_RPM_SAID_NEEDED,  /* the optional step has to be taken */
  ST_RPM_SAID_FAILED,  /* a package, while the transaction ran: what */
  ST_RPM_SAID_LEFT,    /* the path of a copy that rpm left beside a configuration file */
  ST_RPM_SAID_NOTE,    /* what recovery did */
  ST_RPM_SAID_NKINDS,
};
#define ST_RPM_NO_STEP SIZE_MAX

void st_rpm_say(struct st_buffer *out, enum st_rpm_said what, size_t step, const char *text);
/* Calls `fn` for each record; anything else is an error. */
typedef void st_rpm_said_fn(void *arg, enum st_rpm_said what, size_t step, const char *text);
int st_rpm_answer_decode(const void *data, size_t length, size_t steps, st_rpm_said_fn *fn,
                         void *arg, struct st_error *err);

#endif
