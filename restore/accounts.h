/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * accounts.h - from the accounts that should be and those that are, to which ids move: pure
 * functions.
 *
 * The ids that should be win.  An id moves where its account has another one there; and where only
 * the live system has its account, and the id is somebody else's there: then it makes room, as its
 * files would silently be that other one's.
 */
#ifndef ST_RESTORE_ACCOUNTS_H
#define ST_RESTORE_ACCOUNTS_H

#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

struct st_account_fact {
  bool group;
  char *name;
  uint32_t id;
};

struct st_account_facts {
  struct st_account_fact *items;
  size_t count, size;
};
#define ST_AUTO_ACCOUNT_FACTS ST_CLEANUP(st_account_facts_free) struct st_account_facts
void st_account_facts_free(struct st_account_facts *f);
void st_account_facts_add(struct st_account_facts *f, bool group, const char *name, uint32_t id);

/* One id that moves. */
struct st_id_change {
  bool group;
  char *name; /* whose it is now */
  uint32_t before, after;
  char *for_whom; /* who has it there: this one makes room; NULL: its account has another id */
};

struct st_id_changes {
  struct st_id_change *items;
  size_t count, size;
};
#define ST_AUTO_ID_CHANGES ST_CLEANUP(st_id_changes_free) struct st_id_changes
void st_id_changes_free(struct st_id_changes *c);
/* Adds one, unless that id moves already; the names are copied. */
void st_id_changes_add(struct st_id_changes *c, const struct st_id_change *change);

/* Which ids of `live` move to be as in `target`: of users, of groups, or both.  Of two live names
 * of one id the one that keeps it, else the first that is known there, counts; 0 never moves.  Of
 * those that make room `after` is as `before` until st_id_changes_make_room. */
void st_id_changes_find(const struct st_account_facts *target, const struct st_account_facts *live,
                        bool users, bool groups, struct st_id_changes *ret);

/* Ids of the system's range that something has. */
#define ST_FIRST_SYSTEM_ID 100
#define ST_LAST_SYSTEM_ID 999
struct st_ids_in_use {
  bool users[ST_LAST_SYSTEM_ID + 1], groups[ST_LAST_SYSTEM_ID + 1];
};
void st_id_is_used(struct st_ids_in_use *used, bool group, uint32_t id);

/* Gives those that make room a free id, the highest first, that neither side has, nor anything that
 * is in use. */
int st_id_changes_make_room(struct st_id_changes *c, const struct st_account_facts *target,
                            const struct st_account_facts *live, struct st_ids_in_use *used,
                            struct st_error *err);

/* Adds what leads back. */
void st_id_changes_add_inverse(struct st_id_changes *c, const struct st_id_changes *past);

/* The id that this one becomes; itself where it does not move. */
uint32_t st_id_changed(const struct st_id_changes *c, bool group, uint32_t id);
/* The id that became this one. */
uint32_t st_id_changed_back(const struct st_id_changes *c, bool group, uint32_t id);
/* Whether it moves (or will, when it makes room), or others move to it. */
bool st_id_matters(const struct st_id_changes *c, bool group, uint32_t id);

#endif
