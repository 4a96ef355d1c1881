/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * journal.h - what a restore is about to do, written down before the first change, so that it can
 * be continued after a kill, and undone.
 *
 * STORE/journal/NNNN/ (0700): `plan` and `request`, complete before anything changes
 * and never written again; `done`, appended to while it goes; `state`, one word.  Made as NNNN.new,
 * synced, renamed. Formats: doc/formats.
 */
#ifndef ST_RESTORE_JOURNAL_H
#define ST_RESTORE_JOURNAL_H

#include "restore/moves.h"
#include "restore/packageset.h"
#include "restore/plan.h"
#include "systracker/tracker/plan.h"

enum st_journal_state {
  ST_JOURNAL_PLANNED,  /* nothing changed yet */
  ST_JOURNAL_APPLYING, /* interrupted, unless it is running */
  ST_JOURNAL_APPLIED,
  ST_JOURNAL_VERIFIED, /* applied, and found as planned */
  ST_JOURNAL_UNDONE,
  ST_JOURNAL_LOST, /* applied as far as it is, and the disk could not keep all of it */
};

/* Whether it is to be gone on with, or gone back, unless it is running. */
bool st_journal_is_open(enum st_journal_state state);

/* A restore that moves ids or changes packages has two journals: one of the phases before the
 * entries (`actions` are those on files of accounts), and, when these are done and the entries were
 * planned anew, one of the entries, `part_of` the first. */
enum st_journal_kind {
  ST_JOURNAL_ENTRIES,
  ST_JOURNAL_PHASES,
};

#define ST_JOURNAL_TOKEN_SIZE 8

/* A directory whose entries are touched (or a file that gets another link): its mtime before, and
 * the flags that keep anybody from changing it (ST_FLAGS_LOCK), and the mode that keeps us from it,
 * who are not root; all are put back at the end. */
struct st_touched {
  char *path;
  int64_t mtime;
  uint32_t mtime_nsec;
  uint32_t flags;
  int32_t mode; /* of a directory that we may not write unless we change it; -1: we may */
};

struct st_journal {
  int64_t number; /* 1, 2, 3 ... */
  enum st_journal_state state;
  int64_t time;       /* seconds since 1970 */
  int64_t checkpoint; /* that was restored; 0: this is an undo */
  int64_t undoes;     /* the journal that this one undoes; 0: none */
  bool undoable;      /* what was overwritten is in the store */
  enum st_journal_kind kind;
  bool exact, clone; /* the request's, for the entries to come */
  char *chain;       /* id of the host whose checkpoint it is; NULL: our own */
  int64_t part_of;   /* of entries: the journal of the phases; 0: none */
  int64_t before;    /* of phases: the checkpoint made first; 0: none */
  struct st_package_steps packages;
  /* Of phases, too: what moves with the accounts; whether that is done (filled by reading). */
  struct st_moves moves;
  bool accounts_done;
  /* What was asked for: everything (of an undo: as of what is undone), packages too, without what
   * plug-ins put back, these paths alone.  Of entries `whole` is all that counts. */
  bool whole, with_packages, without_plugins;
  bool keep_packages; /* with packages, but nothing goes that need not */
  struct st_strings paths;
  uint8_t token[ST_JOURNAL_TOKEN_SIZE]; /* part of the names of files beside */
  struct st_actions actions;            /* only what is to be done */
  struct st_touched *touched;
  size_t ntouched;
  struct st_plan plugins; /* the plug-ins' own part, possible items */
  int64_t done;           /* actions that `done` names; filled by reading */
  bool drafted;           /* it lies in the store, and has no number yet */
};
#define ST_AUTO_JOURNAL ST_CLEANUP(st_journal_clear) struct st_journal
void st_journal_clear(struct st_journal *j);
void st_journal_touch(struct st_journal *j, const struct st_touched *touched); /* copies */

/* Takes away the actions on paths that the other has actions on. */
void st_journal_drop(struct st_journal *j, const struct st_journal *other);

/* Of an undo: directories that an interrupted restore touched get the times back that they had
 * before it, not those of its middle. */
void st_journal_touch_as(struct st_journal *j, const struct st_journal *undone);

/* What the names of this journal's files beside begin with; the action's index follows. */
char *st_journal_beside(const struct st_journal *j);

/* The file `plan`. */
void st_journal_encode(struct st_buffer *out, const struct st_journal *j);
/* Anything that is not exactly as st_journal_encode writes it is an error in words. */
int st_journal_decode(const void *data, size_t length, struct st_journal *ret,
                      struct st_error *err);

/* The file `request`: in the same way; on an error the journal is to be cleared. */
void st_journal_encode_request(struct st_buffer *out, const struct st_journal *j);
int st_journal_decode_request(const void *data, size_t length, struct st_journal *j,
                              struct st_error *err);

/* Writes a new journal, in state planned; sets its number.  Most of the work can be done before, by
 * any thread: a draft is durable, but none of the journals until it is written, and goes with the
 * next one if it is not. */
int st_journal_draft(int store_dir, struct st_journal *j, struct st_error *err);
int st_journal_write(int store_dir, struct st_journal *j, struct st_error *err);
void st_journal_drop_draft(int store_dir, struct st_journal *j);
int st_journal_read(int store_dir, int64_t number, struct st_journal *ret, struct st_error *err);
int st_journal_set_state(int store_dir, struct st_journal *j, enum st_journal_state state,
                         struct st_error *err);
const char *st_journal_state_name(enum st_journal_state state);
/* Its state alone, which is cheap. */
int st_journal_read_state(int store_dir, int64_t number, enum st_journal_state *ret,
                          struct st_error *err);
/* The number of the newest, 0: none. */
int st_journal_newest(int store_dir, int64_t *ret, struct st_error *err);

/* Progress: the file `done`, opened for appending. */
int st_journal_open_done(int store_dir, const struct st_journal *j, struct st_error *err);
/* Notes that an action was carried out; synced now and then, this one at once: */
#define ST_JOURNAL_ACCOUNTS_DONE UINT32_MAX
int st_journal_note(int fd, uint32_t action, struct st_error *err);
/* The same of some at once. */
int st_journal_note_all(int fd, const uint32_t *actions, size_t count, struct st_error *err);

/* Whether it names a chain of some host: "ID", or "ID/epoch-N". */
bool st_journal_is_chain(const char *text);

#endif
