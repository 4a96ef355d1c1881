/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * access-inside.h - what the files access*.c share.
 *
 * All of access.db is in memory, read again when another program changed it (SQLite's
 * data_version).  Everything is done holding the lock; what takes long (proving a signature,
 * Argon2id) is done before.
 */
#ifndef ARCHIVE_SYNC_SERVE_ACCESS_INSIDE_H
#define ARCHIVE_SYNC_SERVE_ACCESS_INSIDE_H

#include <pthread.h>
#include <sqlite3.h>

#include "archive-sync/instance.h"
#include "archive-sync/serve/access.h"
#include "systracker/base/set.h"

#define ST_ACCESS_SESSIONS 3        /* a host */
#define ST_ACCESS_NONCES 32         /* a host, within the time that a signature is good for */
#define ST_ACCESS_LIFE 86400        /* seconds: of a host's session */
#define ST_ACCESS_LOGIN 43200       /* seconds: of a login */
#define ST_ACCESS_LOGINS 1024       /* at once */
#define ST_ACCESS_TOKENS 10000      /* kept */
#define ST_ACCESS_LEFT 3            /* instances of a host that were left */
#define ST_PENDING_HOSTS 100        /* at once */
#define ST_PENDING_BYTES (64 << 20) /* each */
#define ST_PENDING_ALL (1 << 30)    /* bytes, all together */
#define ST_PENDING_REQUESTS 1000    /* each, a day */

struct st_session {
  uint8_t digest[ST_DIGEST_SIZE];
  int64_t expires; /* 0: none */
};
struct st_nonce {
  uint64_t mark; /* of the nonce's digest */
  int64_t created;
};
struct st_left {
  char instance[ST_INSTANCE_SIZE];
  char address[ST_ACCESS_ADDRESS_SIZE];
};

struct st_host {
  struct st_access_host is;
  uint8_t key[ST_PUBLIC_KEY_SIZE];
  bool has_key; /* false: approved before it asked */
  bool found;   /* while all is read again */
  struct st_session sessions[ST_ACCESS_SESSIONS];
  struct st_nonce *nonces; /* ST_ACCESS_NONCES, NULL until it signs */
  int64_t day;             /* of `requests`, while it is pending */
  int64_t requests;
  char instance[ST_INSTANCE_SIZE];
  struct st_left left[ST_ACCESS_LEFT]; /* the latest first */
  int64_t returns;                     /* how often one that was left came back */
  char reads[ST_HOST_ID_SIZE];         /* by a restore token */
  int64_t reads_until;
};

struct st_token {
  struct st_access_token is;
  uint8_t digest[ST_DIGEST_SIZE];
};
struct st_user {
  struct st_access_user is;
  char *password;  /* as libargon2 writes it */
  int64_t version; /* another one ends logins */
};
struct st_member {
  char group[ST_ACCESS_NAME_SIZE], user[ST_ACCESS_NAME_SIZE];
  enum st_role role;
};
struct st_login {
  uint8_t digest[ST_DIGEST_SIZE];
  int64_t expires; /* 0: none */
  int64_t version; /* of the user */
  char user[ST_ACCESS_NAME_SIZE];
  char form_token[ST_ACCESS_TOKEN_SIZE];
};
struct st_guesses;

struct st_access {
  int dir; /* the archive's */
  sqlite3 *db;
  sqlite3_stmt *version;
  int64_t seen; /* data_version that is in memory; -1: read again */
  pthread_mutex_t lock;
  int64_t started;               /* seconds since 1970: signatures from before are not taken */
  char archive[ST_HOST_ID_SIZE]; /* its id; "": it has none yet */

  st_access_say_fn *say; /* NULL: the program's log */
  void *say_arg;
  st_access_server_fn *is_server;
  void *is_server_arg;

  enum st_enrolment enrolment;
  struct st_host **hosts;
  size_t nhosts, hosts_size;
  struct st_set *by_id; /* -> index */
  struct st_token *tokens;
  size_t ntokens, tokens_size;
  struct st_user *users;
  size_t nusers, users_size;
  struct st_member *members;
  size_t nmembers, members_size;
  struct st_strings groups;
  struct st_set *group_hosts; /* "GROUP/HOST" */

  struct st_login *logins; /* ST_ACCESS_LOGINS, NULL until the first */
  struct st_guesses *guesses;
  int hashing; /* passwords that are being proved, or wait for it; atomic */
  pthread_mutex_t hash_lock;
};

static inline void st_access_let_go(struct st_access **a)
{
  if (*a)
    pthread_mutex_unlock(&(*a)->lock);
}
static inline struct st_access *st_access_take(struct st_access *a)
{
  pthread_mutex_lock(&a->lock);
  return a;
}
/* Until the end of the scope. */
#define ST_ACCESS_HOLD(a)                                                                          \
  ST_CLEANUP(st_access_let_go) __attribute__((unused)) struct st_access *held_ = st_access_take(a)

/* Makes `array`, of `*size` elements, hold `count` + 1. */
#define ST_GROW(array, count, size)                                                                \
  do {                                                                                             \
    if ((count) == (size)) {                                                                       \
      (size) = (size) ? 2 * (size) : 16;                                                           \
      (array) = st_realloc((array), (size), sizeof(*(array)));                                     \
    }                                                                                              \
  } while (0)

/* ---- access.c: all hold the lock ----------------------------------------------------------------
 */

/* What is in memory is what is in the file. */
int st_access_refresh(struct st_access *a, struct st_error *err);
/* Runs a statement that gives no rows: "s" a string (NULL: null), "i" an int64_t, "b" 32 bytes.
 * `*ret_changes` (may be NULL): rows. */
int st_access_run(struct st_access *a, struct st_error *err, int *ret_changes, const char *sql,
                  const char *types, ...);
/* One that gives rows, prepared. */
int st_access_prepare(struct st_access *a, sqlite3_stmt **ret, const char *sql,
                      struct st_error *err);
void st_access_finalize(sqlite3_stmt **s);
#define ST_AUTO_ACCESS_STMT ST_CLEANUP(st_access_finalize) sqlite3_stmt
void st_access_note(struct st_access *a, bool warning, const char *fmt, ...) ST_PRINTF(3, 4);
int st_access_fail(struct st_access *a, const char *what, struct st_error *err);
/* A transaction, with what others changed before it taken in; what is not committed when `*in` goes
 * out of scope never was.  Durable, or (quick) lost where the power fails. */
int st_access_start(struct st_access *a, bool quick, struct st_access **in, struct st_error *err);
int st_access_commit(struct st_access **in, struct st_error *err);
void st_access_rollback(struct st_access **in);
#define ST_AUTO_ACCESS_CHANGE ST_CLEANUP(st_access_rollback) struct st_access

/* Letters, digits, "._-", not at the beginning; "token " is not a user. */
int st_access_check_name(const char *what, const char *name, struct st_error *err);
/* KIND and 32 random bytes in base64url. */
int st_access_make_secret(char kind, char ret[ST_ACCESS_TOKEN_SIZE], struct st_error *err);
bool st_access_same(const uint8_t *a, const uint8_t *b, size_t n); /* takes the same time always */
void st_access_copy(char *to, size_t size, const char *from);      /* cut where it is too long */

/* ---- The others ---------------------------------------------------------------------------------
 */

struct st_host *st_access_find_host(struct st_access *a, const char *id);
struct st_host *st_access_new_host(struct st_access *a, const char *id);
int st_access_load_hosts(struct st_access *a, struct st_error *err);
void st_access_free_hosts(struct st_access *a);

int st_access_load_tokens(struct st_access *a, struct st_error *err);
struct st_token *st_access_find_token(struct st_access *a, const char *text);
/* Whether it may be used now; by this host, where it is a restore token. */
bool st_access_token_is_good(const struct st_token *t, const char *host, int64_t now);

/* access-session.c: fills in the identity of a known host, and notes which boot it is. */
int st_access_greet(struct st_access *a, struct st_host *h, const struct st_access_call *call,
                    bool is_signed, struct st_identity *ret, struct st_access_refusal *why,
                    struct st_error *err);
int st_access_by_session(struct st_access *a, const char *token, const struct st_access_call *call,
                         struct st_identity *ret, struct st_access_refusal *why,
                         struct st_error *err);
/* Takes the lock itself. */
int st_access_begin_session_at(struct st_access *a, const struct st_identity *who, int64_t now,
                               char ret_token[ST_ACCESS_TOKEN_SIZE], int64_t *ret_expires,
                               struct st_error *err);

int st_access_load_people(struct st_access *a, struct st_error *err);
void st_access_free_people(struct st_access *a);
struct st_user *st_access_find_user(struct st_access *a, const char *name);
enum st_role st_access_highest_role(struct st_access *a, const struct st_user *u);

int st_access_by_api_token(struct st_access *a, const char *token,
                           const struct st_access_call *call, struct st_identity *ret,
                           struct st_access_refusal *why, struct st_error *err);

/* password.c */
int st_password_hash(const char *password, char **ret, struct st_error *err);
bool st_password_is(const char *encoded, const char *password); /* encoded NULL: false, as slowly */

/* guesses.c: how long somebody has to wait before the next try; all hold the lock. */
struct st_guesses *st_guesses_new(void);
void st_guesses_free(struct st_guesses *g);
int64_t st_guesses_wait(struct st_guesses *g, const char *user, const char *peer, bool known,
                        int64_t now);
void st_guesses_wrong(struct st_guesses *g, const char *user, const char *peer, bool known,
                      int64_t now);
void st_guesses_right(struct st_guesses *g, const char *user, const char *peer);

#endif
