/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <sqlite3.h>
#include <time.h>

#include "archive-sync/serve/access-inside.h"
#include "systracker/base/log.h"
#include "systracker/base/test-scratch.h"

#define ARCHIVE "00112233445566778899aabbccddeeff"
#define BOOT_A "0000000000000000000000000000000a"
#define BOOT_B "0000000000000000000000000000000b"
#define BOOT_C "0000000000000000000000000000000c"

/* An archive with an access.db; `now` is moved by the tests. */
struct fixture {
  struct scratch *scratch;
  struct st_access *a;
  struct st_error err;
  int64_t now;
  struct st_identity who;
  struct st_access_refusal why;
};

static int setup(void **state)
{
  struct fixture *f = st_calloc(1, sizeof(*f));
  if (scratch_setup((void **)&f->scratch) < 0)
    return -1;
  put_file(f->scratch->fd, "archive", "SysTracker archive 1\nid " ARCHIVE "\n");
  f->now = time(NULL) + 1;
  *state = f;
  return st_access_open(&f->a, f->scratch->fd, &f->err);
}

static int teardown(void **state)
{
  struct fixture *f = *state;
  if (f->a)
    st_access_close(f->a);
  st_error_clear(&f->err);
  int r = scratch_teardown((void **)&f->scratch);
  free(f);
  return r;
}
#define access_test(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
#define ok(call) assert_ok(call, &f->err)

static void make_keys(struct fixture *f, struct st_keys *keys)
{
  ok(st_keys_make(keys, &f->err));
}

/* What the host sends, signed; its headers are kept where they are wanted. */
static int ask(struct fixture *f, const struct st_keys *keys, const char *token,
               const char *instance, struct st_signature_headers *ret)
{
  const struct st_signed_request request = {.method = "POST",
                                            .path = "/v1/sync",
                                            .query = "",
                                            .body = "{}",
                                            .body_length = 2,
                                            .archive = ARCHIVE,
                                            .token = token};
  ST_CLEANUP(st_signature_headers_clear) struct st_signature_headers h = {0};
  const struct st_access_call call = {"192.0.2.1", instance, f->now};
  ok(st_signature_make(&request, keys, f->now, &h, &f->err));
  int r = st_access_by_signature(f->a, &request, h.content_digest, h.input, h.signature, &call,
                                 &f->who, &f->why, &f->err);
  assert_true(r >= 0);
  if (ret) {
    *ret = h;
    h = (struct st_signature_headers){0};
  }
  return r;
}

/* As whom the test's host knows the server. */
#define SERVER "key:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
static bool is_server(void *arg, const char *server)
{
  (void)arg;
  return strcmp(server, SERVER) == 0;
}

static int ask_for(struct fixture *f, const struct st_keys *keys, const char *server)
{
  const struct st_signed_request request = {.method = "GET",
                                            .path = "/v1/sync",
                                            .query = "",
                                            .body = "",
                                            .archive = ARCHIVE,
                                            .server = server};
  ST_CLEANUP(st_signature_headers_clear) struct st_signature_headers h = {0};
  const struct st_access_call call = {"192.0.2.1", NULL, f->now};
  ok(st_signature_make(&request, keys, f->now, &h, &f->err));
  return st_access_by_signature(f->a, &request, h.content_digest, h.input, h.signature, &call,
                                &f->who, &f->why, &f->err);
}

/* What was signed for another server that named this archive's id. */
static void test_server(void **state)
{
  struct fixture *f = *state;
  struct st_keys keys;
  struct st_access_host host;
  make_keys(f, &keys);
  ok(st_access_set_enrolment(f->a, ST_ENROL_OPEN, &f->err));
  assert_int_equal(ask_for(f, &keys, SERVER), 1); /* it was not said as whom it is known */
  assert_int_equal(f->why.status, 421);
  st_access_on_server(f->a, is_server, NULL);
  assert_int_equal(ask_for(f, &keys, "key:elsewhere"), 1);
  assert_int_equal(f->why.status, 421);
  assert_int_equal(f->who.role, ST_ROLE_NONE);
  assert_false(st_access_host(f->a, keys.host_id, &host));
  assert_int_equal(ask_for(f, &keys, SERVER), 0);
  assert_string_equal(f->who.host, keys.host_id);
  assert_int_equal(ask_for(f, &keys, NULL), 0); /* an older host */
}

static void assert_let_in(struct fixture *f, const struct st_keys *keys, const char *token)
{
  if (ask(f, keys, token, NULL, NULL) != 0)
    fail_msg("refused: %s", f->why.text);
  assert_int_equal(f->who.role, ST_ROLE_HOST);
  assert_string_equal(f->who.host, keys->host_id);
  assert_memory_equal(f->who.public_key, keys->public_key, ST_PUBLIC_KEY_SIZE);
  assert_true(f->who.is_signed);
}

static void assert_refused(struct fixture *f, const struct st_keys *keys, const char *token,
                           unsigned status, const char *words)
{
  assert_int_equal(ask(f, keys, token, NULL, NULL), 1);
  assert_int_equal(f->why.status, status);
  assert_non_null(strstr(f->why.text, words));
  assert_int_equal(f->who.role, ST_ROLE_NONE);
}

static void add_token(struct fixture *f, struct st_access_token t, char ret[ST_ACCESS_TOKEN_SIZE])
{
  ok(st_access_add_token(f->a, &t, f->now, ret, &f->err));
  assert_int_equal(*ret, t.kind);
  assert_int_equal(strlen(ret), 44);
}

static int bearer(struct fixture *f, const char *token)
{
  const struct st_access_call call = {"192.0.2.1", NULL, f->now};
  int r = st_access_by_bearer(f->a, token, &call, &f->who, &f->why, &f->err);
  assert_true(r >= 0);
  if (r == 1)
    assert_int_equal(f->who.role, ST_ROLE_NONE);
  return r;
}

/* The administrator's program opens the file beside. */
static struct st_access *beside(struct fixture *f)
{
  struct st_access *a;
  ok(st_access_open(&a, f->scratch->fd, &f->err));
  return a;
}

static struct st_access_host host_of(struct fixture *f, const struct st_keys *keys)
{
  struct st_access_host h;
  assert_true(st_access_host(f->a, keys->host_id, &h));
  return h;
}

/* ---- Enrolment ----------------------------------------------------------------------------------
 */

static void test_join(void **state)
{
  struct fixture *f = *state;
  struct st_keys one, two, three;
  char token[ST_ACCESS_TOKEN_SIZE], few[ST_ACCESS_TOKEN_SIZE], late[ST_ACCESS_TOKEN_SIZE];
  make_keys(f, &one);
  make_keys(f, &two);
  make_keys(f, &three);
  assert_refused(f, &one, NULL, 403, "join token");
  assert_refused(f, &one, "jAAAA", 403, "not known");
  assert_false(st_access_host(f->a, one.host_id, &(struct st_access_host){0})); /* no trace */
  add_token(f, (struct st_access_token){.kind = ST_TOKEN_JOIN, .uses = -1, .name = "cluster"},
            token);
  assert_let_in(f, &one, token);
  assert_false(f->who.pending);
  assert_string_equal(host_of(f, &one).by, "token cluster");
  assert_string_equal(host_of(f, &one).address, "192.0.2.1");
  assert_let_in(f, &two, token);
  assert_let_in(f, &one, NULL);    /* it is known now */
  assert_let_in(f, &one, "jAAAA"); /* and needs none */
  add_token(f, (struct st_access_token){.kind = ST_TOKEN_JOIN, .uses = 1}, few);
  assert_let_in(f, &two, few); /* not used up by who is in */
  assert_let_in(f, &three, few);
  make_keys(f, &three);
  assert_refused(f, &three, few, 403, "any more");
  add_token(f, (struct st_access_token){.kind = ST_TOKEN_JOIN, .uses = -1, .expires = f->now + 10},
            late);
  f->now += 10;
  assert_refused(f, &three, late, 403, "any more");
  ok(st_access_revoke_token(f->a, "cluster", &f->err));
  assert_refused(f, &three, token, 403, "revoked");
  assert_let_in(f, &one, token); /* who joined by it stays */
}

static void test_open(void **state)
{
  struct fixture *f = *state;
  struct st_keys keys;
  make_keys(f, &keys);
  ST_CLEANUP(st_access_closep) struct st_access *admin = beside(f);
  ok(st_access_set_enrolment(admin, ST_ENROL_OPEN, &f->err));
  assert_int_equal(st_access_enrolment(f->a), ST_ENROL_OPEN);
  assert_let_in(f, &keys, NULL);
  assert_string_equal(host_of(f, &keys).by, "open enrolment");
}

static void test_closed(void **state)
{
  struct fixture *f = *state;
  struct st_keys keys, other;
  char token[ST_ACCESS_TOKEN_SIZE];
  make_keys(f, &keys);
  make_keys(f, &other);
  ST_CLEANUP(st_access_closep) struct st_access *admin = beside(f);
  add_token(f, (struct st_access_token){.kind = ST_TOKEN_JOIN, .uses = -1}, token);
  ok(st_access_set_enrolment(admin, ST_ENROL_CLOSED, &f->err));
  assert_let_in(f, &keys, token); /* a token is not enough */
  assert_true(f->who.pending);
  assert_let_in(f, &other, NULL);
  assert_true(f->who.pending);
  ok(st_access_approve(admin, keys.host_id, "root", &f->err));
  ok(st_access_deny(admin, other.host_id, "root", &f->err));
  assert_let_in(f, &keys, NULL);
  assert_false(f->who.pending);
  assert_string_equal(host_of(f, &keys).by, "approved by root");
  assert_refused(f, &other, token, 403, "denied");
  /* Known by its id before it ever asked. */
  make_keys(f, &other);
  ok(st_access_approve(admin, other.host_id, "root", &f->err));
  assert_let_in(f, &other, NULL);
  assert_false(f->who.pending);
}

static void test_quota(void **state)
{
  struct fixture *f = *state;
  struct st_keys keys, first;
  ok(st_access_set_enrolment(f->a, ST_ENROL_CLOSED, &f->err));
  make_keys(f, &first);
  assert_let_in(f, &first, NULL);
  struct st_identity who = f->who;
  assert_true(st_access_spend(f->a, &who, 60 << 20));
  assert_false(st_access_spend(f->a, &who, 5 << 20));
  assert_true(st_access_spend(f->a, &who, 4 << 20));
  assert_false(st_access_spend(f->a, &who, 1));
  assert_false(st_access_spend(f->a, &who, UINT64_MAX));
  assert_int_equal(host_of(f, &first).bytes, 64 << 20);
  char session[ST_ACCESS_TOKEN_SIZE];
  int64_t expires;
  ok(st_access_begin_session_at(f->a, &who, f->now, session, &expires, &f->err));
  for (int i = 1; i < ST_PENDING_REQUESTS; i++)
    assert_int_equal(bearer(f, session), 0);
  assert_int_equal(bearer(f, session), 1);
  assert_int_equal(f->why.status, 429);
  for (int i = 1; i < ST_PENDING_HOSTS; i++) {
    make_keys(f, &keys);
    assert_let_in(f, &keys, NULL);
  }
  make_keys(f, &keys);
  assert_refused(f, &keys, NULL, 429, "too many hosts");
  ok(st_access_approve(f->a, first.host_id, "root", &f->err));
  assert_true(st_access_spend(f->a, &who, 1 << 30));
  assert_int_equal(bearer(f, session), 0);
  assert_let_in(f, &keys, NULL); /* there is room again */
}

/* ---- Replays ------------------------------------------------------------------------------------
 */

static int replay(struct fixture *f, const struct st_signature_headers *h, const char *archive)
{
  const struct st_signed_request request = {.method = "POST",
                                            .path = "/v1/sync",
                                            .query = "",
                                            .body = "{}",
                                            .body_length = 2,
                                            .archive = archive};
  const struct st_access_call call = {"192.0.2.66", NULL, f->now};
  int r = st_access_by_signature(f->a, &request, h->content_digest, h->input, h->signature, &call,
                                 &f->who, &f->why, &f->err);
  assert_true(r >= 0);
  return r;
}

static void test_replay(void **state)
{
  struct fixture *f = *state;
  struct st_keys keys;
  ST_CLEANUP(st_signature_headers_clear) struct st_signature_headers h = {0};
  make_keys(f, &keys);
  ok(st_access_set_enrolment(f->a, ST_ENROL_OPEN, &f->err));
  assert_int_equal(ask(f, &keys, NULL, NULL, &h), 0); /* the first of all, too */
  assert_int_equal(replay(f, &h, ARCHIVE), 1);
  assert_int_equal(f->why.status, 401);
  assert_non_null(strstr(f->why.text, "taken before"));
  assert_int_equal(f->who.role, ST_ROLE_NONE);
  f->now += ST_SIGNATURE_AGE;
  assert_int_equal(replay(f, &h, ARCHIVE), 1);
  f->now++;
  assert_int_equal(replay(f, &h, ARCHIVE), 1);
  assert_non_null(strstr(f->why.text, "clocks"));
  assert_int_equal(replay(f, &h, "00112233445566778899aabbccddeef0"), 1);
  assert_non_null(strstr(f->why.text, "another archive"));
  /* A server that was started since does not know what was taken. */
  f->now -= ST_SIGNATURE_AGE + 1;
  st_access_close(f->a);
  f->a = beside(f);
  f->a->started = f->now + 1;
  assert_int_equal(replay(f, &h, ARCHIVE), 1);
  assert_non_null(strstr(f->why.text, "before the server started"));
}

/* What is remembered of a host is bounded, and one host's flood is its own. */
static void test_many_signed(void **state)
{
  struct fixture *f = *state;
  struct st_keys keys, other;
  make_keys(f, &keys);
  make_keys(f, &other);
  ok(st_access_set_enrolment(f->a, ST_ENROL_OPEN, &f->err));
  for (int i = 0; i < ST_ACCESS_NONCES; i++)
    assert_let_in(f, &keys, NULL);
  assert_refused(f, &keys, NULL, 429, "too many signed");
  assert_let_in(f, &other, NULL);
  f->now += ST_SIGNATURE_AGE + 1;
  assert_let_in(f, &keys, NULL);
}

/* ---- Sessions -----------------------------------------------------------------------------------
 */

static void begin_session(struct fixture *f, char ret[ST_ACCESS_TOKEN_SIZE])
{
  int64_t expires;
  ok(st_access_begin_session_at(f->a, &f->who, f->now, ret, &expires, &f->err));
  assert_int_equal(expires, f->now + 86400);
}

static void test_sessions(void **state)
{
  struct fixture *f = *state;
  struct st_keys keys, other;
  char s[4][ST_ACCESS_TOKEN_SIZE], others[ST_ACCESS_TOKEN_SIZE];
  make_keys(f, &keys);
  make_keys(f, &other);
  ok(st_access_set_enrolment(f->a, ST_ENROL_OPEN, &f->err));
  assert_let_in(f, &keys, NULL);
  struct st_identity who = f->who;
  for (int i = 0; i < 4; i++) { /* the fourth takes the first's place */
    f->who = who;
    begin_session(f, s[i]);
    f->now++;
  }
  assert_let_in(f, &other, NULL);
  begin_session(f, others);
  assert_int_equal(bearer(f, s[0]), 1);
  assert_int_equal(f->why.status, 401);
  for (int i = 1; i < 4; i++) {
    assert_int_equal(bearer(f, s[i]), 0);
    assert_string_equal(f->who.host, keys.host_id);
    assert_memory_equal(f->who.public_key, keys.public_key, ST_PUBLIC_KEY_SIZE);
    assert_false(f->who.is_signed);
  }
  /* Anything that is nearly one. */
  ST_AUTO_FREE char *mixed = st_format("%.22s%s", others, s[1] + 22);
  ST_AUTO_FREE char *cut = st_memdup(s[1], strlen(s[1]) - 1);
  ST_AUTO_FREE char *longer = st_format("%sA", s[1]);
  const char *const bad[] = {"", "s", "sAAAA", "x", "j", mixed, cut, longer, s[1] + 1};
  for (size_t i = 0; i < ST_COUNT(bad); i++)
    assert_int_equal(bearer(f, bad[i]), 1);
  f->now += 86400 - 3;
  assert_int_equal(bearer(f, s[1]), 1); /* it is over */
  assert_int_equal(bearer(f, s[3]), 0);
  /* Denied by the administrator's program: at once. */
  ST_CLEANUP(st_access_closep) struct st_access *admin = beside(f);
  ok(st_access_deny(admin, keys.host_id, "root", &f->err));
  assert_int_equal(bearer(f, s[3]), 1);
  assert_int_equal(f->why.status, 403);
  assert_int_equal(bearer(f, others), 0);
}

/* ---- Two machines with one key ------------------------------------------------------------------
 */

static void boots(struct fixture *f, const struct st_keys *keys, const char *sequence)
{
  for (const char *s = sequence; *s; s++) {
    const char *const boot[] = {BOOT_A, BOOT_B, BOOT_C};
    f->now += 86400;
    assert_int_equal(ask(f, keys, NULL, boot[*s - 'A'], NULL), 0);
  }
}

static void test_twins(void **state)
{
  struct fixture *f = *state;
  struct st_keys reboots, rolled_back, twins;
  make_keys(f, &reboots);
  make_keys(f, &rolled_back);
  make_keys(f, &twins);
  ok(st_access_set_enrolment(f->a, ST_ENROL_OPEN, &f->err));
  boots(f, &reboots, "AABBC");
  assert_int_equal(host_of(f, &reboots).twins, 0);
  boots(f, &rolled_back, "ABAC"); /* to a snapshot with its memory */
  assert_int_equal(host_of(f, &rolled_back).twins, 0);
  boots(f, &twins, "ABAB");
  assert_true(host_of(f, &twins).twins == f->now);
  assert_string_equal(host_of(f, &twins).twin, "192.0.2.1");
  /* It is kept, as is the history of boots. */
  st_access_close(f->a);
  f->a = beside(f);
  assert_true(host_of(f, &twins).twins == f->now);
  boots(f, &rolled_back, "A");
  assert_true(host_of(f, &rolled_back).twins > 0);
  ok(st_access_approve(f->a, twins.host_id, "root", &f->err));
  assert_int_equal(host_of(f, &twins).twins, 0);
  assert_int_equal(ask(f, &twins, NULL, "no instance at all", NULL), 0);
}

/* ---- Restore tokens -----------------------------------------------------------------------------
 */

static void test_restore(void **state)
{
  struct fixture *f = *state;
  struct st_keys old, new, thief;
  char token[ST_ACCESS_TOKEN_SIZE], session[ST_ACCESS_TOKEN_SIZE];
  make_keys(f, &old);
  make_keys(f, &new);
  make_keys(f, &thief);
  ok(st_access_set_enrolment(f->a, ST_ENROL_OPEN, &f->err));
  assert_let_in(f, &old, NULL);
  ok(st_access_set_enrolment(f->a, ST_ENROL_CLOSED, &f->err));
  struct st_access_token t = {.kind = ST_TOKEN_RESTORE, .name = "web1"};
  char never[ST_ACCESS_TOKEN_SIZE];
  assert_true(st_access_add_token(f->a, &t, f->now, never, &f->err) < 0);
  assert_error(&f->err, "whole id");
  memcpy(t.host, old.host_id, sizeof(t.host));
  add_token(f, t, token);
  assert_let_in(f, &new, token); /* closed or not: an operator made it */
  assert_false(f->who.pending);
  assert_string_equal(f->who.reads, old.host_id);
  struct st_identity who = f->who;
  begin_session(f, session);
  assert_string_equal(host_of(f, &new).continues, old.host_id);
  assert_string_equal(host_of(f, &old).continued, new.host_id);
  assert_true(st_access_may_see(f->a, &who, old.host_id));
  assert_true(st_access_may_see(f->a, &who, new.host_id));
  assert_false(st_access_may_see(f->a, &who, thief.host_id));
  assert_refused(f, &thief, token, 403, "another host");
  assert_refused(f, &old, token, 403, "another host");
  assert_let_in(f, &new, token); /* the same again */
  st_access_close(f->a);         /* the server is started anew */
  f->a = beside(f);
  f->now++;
  assert_let_in(f, &new, NULL);
  assert_string_equal(f->who.reads, old.host_id);
  begin_session(f, session);
  f->now += 86400 - 2;
  assert_int_equal(bearer(f, session), 0);
  assert_string_equal(f->who.reads, old.host_id);
  f->now++; /* the token's end */
  assert_int_equal(bearer(f, session), 0);
  assert_string_equal(f->who.reads, "");
  assert_let_in(f, &new, token); /* it stands in its configuration still */
  assert_string_equal(f->who.reads, "");
}

static void test_restore_revoked(void **state)
{
  struct fixture *f = *state;
  struct st_keys old, new;
  char token[ST_ACCESS_TOKEN_SIZE], session[ST_ACCESS_TOKEN_SIZE];
  make_keys(f, &old);
  make_keys(f, &new);
  struct st_access_token t = {.kind = ST_TOKEN_RESTORE, .name = "r"};
  memcpy(t.host, old.host_id, sizeof(t.host));
  add_token(f, t, token);
  assert_let_in(f, &new, token);
  begin_session(f, session);
  ST_CLEANUP(st_access_closep) struct st_access *admin = beside(f);
  ok(st_access_revoke_token(admin, "r", &f->err));
  assert_int_equal(bearer(f, session), 0);
  assert_string_equal(f->who.reads, ""); /* at once */
  assert_true(st_access_revoke_token(admin, "q", &f->err) < 0);
  assert_error(&f->err, "no such token");
}

/* ---- People -------------------------------------------------------------------------------------
 */

static int login(struct fixture *f, const char *user, const char *password, const char *peer,
                 char ret[ST_ACCESS_TOKEN_SIZE])
{
  int r = st_access_login(f->a, user, password, peer, f->now, ret, &f->why, &f->err);
  if (r < 0)
    fail_msg("%s", st_error_text(&f->err));
  return r;
}

static int cookie(struct fixture *f, const char *text)
{
  const struct st_access_call call = {"192.0.2.1", NULL, f->now};
  int r = st_access_by_cookie(f->a, text, &call, &f->who, &f->why, &f->err);
  assert_true(r >= 0);
  return r;
}

static void test_logins(void **state)
{
  struct fixture *f = *state;
  char one[ST_ACCESS_TOKEN_SIZE], two[ST_ACCESS_TOKEN_SIZE];
  assert_true(st_access_add_user(f->a, "a b", ST_ROLE_ADMIN, "a long password", &f->err) < 0);
  assert_error(&f->err, "letters");
  assert_true(st_access_add_user(f->a, "ann", ST_ROLE_ADMIN, "short", &f->err) < 0);
  assert_error(&f->err, "8 to 1024");
  ok(st_access_add_user(f->a, "ann", ST_ROLE_ADMIN, "a long password", &f->err));
  assert_true(st_access_add_user(f->a, "ann", ST_ROLE_VIEWER, "a long password", &f->err) < 0);
  assert_error(&f->err, "already");
  assert_int_equal(login(f, "ann", "a long passwore", "192.0.2.1", one), 1);
  assert_int_equal(f->why.status, 401);
  assert_int_equal(login(f, "eve", "a long password", "192.0.2.1", one), 1);
  assert_int_equal(login(f, "", "", "192.0.2.1", one), 1);
  assert_int_equal(login(f, "ann", "a long password", "192.0.2.1", one), 0);
  assert_int_equal(cookie(f, one), 0);
  assert_string_equal(f->who.user, "ann");
  assert_int_equal(f->who.role, ST_ROLE_ADMIN);
  assert_string_equal(f->who.host, "");
  char form[65];
  memcpy(form, f->who.form_token, sizeof(form));
  assert_int_equal(strlen(form), 44);
  assert_int_equal(login(f, "ann", "a long password", "192.0.2.1", two), 0);
  assert_int_equal(cookie(f, two), 0);
  assert_string_not_equal(form, f->who.form_token); /* each login its own */
  st_access_logout(f->a, one);
  assert_int_equal(cookie(f, one), 1);
  assert_int_equal(cookie(f, two), 0);
  ok(st_access_set_role(f->a, "ann", ST_ROLE_VIEWER, &f->err));
  assert_int_equal(cookie(f, two), 0);
  assert_int_equal(f->who.role, ST_ROLE_VIEWER);
  f->now += 43200;
  assert_int_equal(cookie(f, two), 1); /* it is over */
  assert_int_equal(login(f, "ann", "a long password", "192.0.2.1", two), 0);
  ST_CLEANUP(st_access_closep) struct st_access *admin = beside(f);
  ok(st_access_set_password(admin, "ann", "another password", &f->err));
  assert_int_equal(cookie(f, two), 1); /* at once */
  assert_int_equal(login(f, "ann", "a long password", "192.0.2.1", two), 1);
  assert_int_equal(login(f, "ann", "another password", "192.0.2.1", two), 0);
  ok(st_access_remove_user(admin, "ann", &f->err));
  assert_int_equal(cookie(f, two), 1);
  const char *const bad[] = {"", "l", "lAAAA", "s", one + 1};
  for (size_t i = 0; i < ST_COUNT(bad); i++)
    assert_int_equal(cookie(f, bad[i]), 1);
}

/* Nothing that lets anybody in lies in the file. */
static void test_digests_alone(void **state)
{
  struct fixture *f = *state;
  char token[ST_ACCESS_TOKEN_SIZE], api[ST_ACCESS_TOKEN_SIZE];
  add_token(f, (struct st_access_token){.kind = ST_TOKEN_JOIN, .uses = -1}, token);
  add_token(f, (struct st_access_token){.kind = ST_TOKEN_API, .role = ST_ROLE_VIEWER}, api);
  ok(st_access_add_user(f->a, "ann", ST_ROLE_ADMIN, "a long password", &f->err));
  st_access_close(f->a);
  f->a = NULL;
  ST_AUTO_BUFFER all = ST_BUFFER_INIT;
  struct stat st;
  assert_int_equal(fstatat(f->scratch->fd, "access.db", &st, 0), 0);
  assert_int_equal(st.st_mode & 07777, 0600);
  int fd = openat(f->scratch->fd, "access.db", O_RDONLY);
  st_buffer_reserve(&all, (size_t)st.st_size);
  assert_int_equal(read(fd, all.data, (size_t)st.st_size), st.st_size);
  close(fd);
  const char *const secrets[] = {token, token + 1, api + 1, "a long password"};
  for (size_t i = 0; i < ST_COUNT(secrets); i++)
    assert_null(memmem(all.data, (size_t)st.st_size, secrets[i], strlen(secrets[i])));
  assert_non_null(memmem(all.data, (size_t)st.st_size, "$argon2id$v=19$m=32768,t=3,p=1$", 31));
}

/* Whoever guesses elsewhere keeps nobody out for good, and never from where he was before. */
static void test_guesses(void **state)
{
  struct fixture *f = *state;
  struct st_guesses *g = f->a->guesses;
  int64_t t = 1000000;
  for (int i = 0; i < 5; i++) {
    assert_int_equal(st_guesses_wait(g, "ann", "192.0.2.6", false, t), 0);
    st_guesses_wrong(g, "ann", "192.0.2.6", false, t);
  }
  assert_int_equal(st_guesses_wait(g, "ann", "192.0.2.6", false, t), 1);
  assert_int_equal(st_guesses_wait(g, "bob", "192.0.2.6", false, t), 1); /* the address */
  assert_int_equal(st_guesses_wait(g, "ann", "192.0.2.7", false, t), 1); /* the user */
  assert_int_equal(st_guesses_wait(g, "bob", "192.0.2.7", false, t), 0);
  assert_int_equal(st_guesses_wait(g, "ann", "192.0.2.7", true, t), 0);
  assert_int_equal(st_guesses_wait(g, "ann", "192.0.2.6", true, t), 0);
  for (int i = 0; i < 1000; i++)
    st_guesses_wrong(g, "ann", "192.0.2.6", false, t);
  assert_int_equal(st_guesses_wait(g, "ann", "192.0.2.7", false, t), 60); /* never more */
  assert_int_equal(st_guesses_wait(g, "ann", "192.0.2.7", false, t + 60), 0);
  assert_int_equal(st_guesses_wait(g, "ann", "192.0.2.7", true, t), 0);
  /* A known place has its own count; a network of IPv6 is one. */
  for (int i = 0; i < 6; i++) {
    st_guesses_wrong(g, "bob", "192.0.2.8", true, t);
    st_guesses_wrong(g, "cid", "2001:db8::1", false, t);
  }
  assert_int_equal(st_guesses_wait(g, "bob", "192.0.2.8", true, t), 2);
  assert_int_equal(st_guesses_wait(g, "dan", "2001:db8::ffff:2", false, t), 2);
  assert_int_equal(st_guesses_wait(g, "dan", "2001:db8:0:1::1", false, t), 0);
  st_guesses_right(g, "bob", "192.0.2.8");
  assert_int_equal(st_guesses_wait(g, "bob", "192.0.2.8", true, t), 0);
  st_guesses_wrong(g, "ann", "192.0.2.6", false, t + 1000); /* forgiven since */
  assert_int_equal(st_guesses_wait(g, "ann", "192.0.2.6", false, t + 1000), 0);
}

static void test_guessing(void **state)
{
  struct fixture *f = *state;
  char c[ST_ACCESS_TOKEN_SIZE];
  ok(st_access_add_user(f->a, "ann", ST_ROLE_ADMIN, "a long password", &f->err));
  assert_int_equal(login(f, "ann", "a long password", "192.0.2.1", c), 0);
  for (int i = 0; i < 5; i++)
    assert_int_equal(login(f, "ann", "wrong password", "192.0.2.6", c), 1);
  assert_int_equal(f->why.status, 401);
  assert_int_equal(login(f, "ann", "a long password", "192.0.2.6", c), 1);
  assert_int_equal(f->why.status, 429);
  assert_int_equal(login(f, "ann", "a long password", "192.0.2.7", c), 1);
  assert_int_equal(f->why.status, 429);
  st_access_close(f->a); /* where she was is kept */
  f->a = beside(f);
  for (int i = 0; i < 6; i++)
    login(f, "ann", "wrong password", "192.0.2.6", c);
  assert_int_equal(f->why.status, 429);
  assert_int_equal(login(f, "ann", "a long password", "192.0.2.1", c), 0);
}

#define H1 "11111111111111111111111111111111"
#define H2 "22222222222222222222222222222222"

static struct st_identity person(struct fixture *f, const char *name)
{
  char c[ST_ACCESS_TOKEN_SIZE];
  assert_int_equal(login(f, name, "a long password", "192.0.2.1", c), 0);
  assert_int_equal(cookie(f, c), 0);
  return f->who;
}

static void test_groups(void **state)
{
  struct fixture *f = *state;
  ok(st_access_add_user(f->a, "ann", ST_ROLE_VIEWER, "a long password", &f->err));
  ok(st_access_add_user(f->a, "bob", ST_ROLE_NONE, "a long password", &f->err));
  ok(st_access_add_group(f->a, "web", &f->err));
  assert_true(st_access_add_group(f->a, "web", &f->err) < 0);
  assert_error(&f->err, "already");
  ok(st_access_group_host(f->a, "web", H1, true, &f->err));
  ok(st_access_group_user(f->a, "web", "bob", ST_ROLE_OPERATOR, &f->err));
  assert_true(st_access_group_user(f->a, "web", "bob", ST_ROLE_ADMIN, &f->err) < 0);
  assert_error(&f->err, "operator");
  assert_true(st_access_group_user(f->a, "web", "eve", ST_ROLE_VIEWER, &f->err) < 0);
  assert_error(&f->err, "no such user");
  assert_true(st_access_group_host(f->a, "db", H1, true, &f->err) < 0);
  assert_error(&f->err, "no such group");
  struct st_identity ann = person(f, "ann"), bob = person(f, "bob");
  assert_int_equal(bob.role, ST_ROLE_OPERATOR);
  assert_true(st_access_may_see(f->a, &ann, H1) && st_access_may_see(f->a, &ann, H2));
  assert_true(st_access_sees_all(f->a, &ann) && !st_access_sees_all(f->a, &bob));
  assert_false(st_access_may_operate(f->a, &ann, H1));
  assert_true(st_access_may_see(f->a, &bob, H1) && st_access_may_see(f->a, &bob, H1 "/epoch-2"));
  assert_false(st_access_may_see(f->a, &bob, H2));
  assert_true(st_access_may_operate(f->a, &bob, H1));
  assert_false(st_access_may_operate(f->a, &bob, H2));
  const char *const bad[] = {"", "..", H1 "/..", H1 "/epoch-", H1 "/epoch-1/..", H1 "x", "1111"};
  for (size_t i = 0; i < ST_COUNT(bad); i++)
    assert_false(st_access_may_see(f->a, &ann, bad[i]));
  /* What does not exist may not be read by anybody. */
  assert_false(st_access_may_read(f->a, &ann, H1));
  assert_int_equal(mkdirat(f->scratch->fd, "hosts", 0700), 0);
  assert_int_equal(mkdirat(f->scratch->fd, "hosts/" H1, 0700), 0);
  assert_true(st_access_may_read(f->a, &ann, H1));
  assert_false(st_access_may_read(f->a, &ann, H1 "/epoch-1"));
  ok(st_access_remove_group(f->a, "web", &f->err));
  assert_false(st_access_may_see(f->a, &bob, H1)); /* at once */
  const struct st_identity nobody = {0};
  assert_false(st_access_may_see(f->a, &nobody, H1) || st_access_sees_all(f->a, &nobody));
}

static void test_api_tokens(void **state)
{
  struct fixture *f = *state;
  char all[ST_ACCESS_TOKEN_SIZE], web[ST_ACCESS_TOKEN_SIZE];
  struct st_access_token t = {.kind = ST_TOKEN_API, .name = "ci"};
  assert_true(st_access_add_token(f->a, &t, f->now, all, &f->err) < 0);
  assert_error(&f->err, "has a role");
  t.role = ST_ROLE_OPERATOR;
  add_token(f, t, all);
  assert_true(st_access_add_token(f->a, &t, f->now, web, &f->err) < 0);
  assert_error(&f->err, "already");
  ok(st_access_add_group(f->a, "web", &f->err));
  ok(st_access_group_host(f->a, "web", H1, true, &f->err));
  add_token(f,
            (struct st_access_token){.kind = ST_TOKEN_API,
                                     .name = "web",
                                     .role = ST_ROLE_VIEWER,
                                     .group = "web",
                                     .expires = f->now + 5},
            web);
  assert_int_equal(bearer(f, all), 0);
  assert_int_equal(f->who.role, ST_ROLE_OPERATOR);
  assert_string_equal(f->who.user, "token ci");
  assert_true(st_access_may_operate(f->a, &f->who, H2));
  assert_int_equal(bearer(f, web), 0);
  assert_true(st_access_may_see(f->a, &f->who, H1));
  assert_false(st_access_may_see(f->a, &f->who, H2) || st_access_may_operate(f->a, &f->who, H1));
  f->now += 5;
  assert_int_equal(bearer(f, web), 1);
  ok(st_access_revoke_token(f->a, "ci", &f->err));
  assert_int_equal(bearer(f, all), 1);
  assert_int_equal(f->why.status, 401);
}

/* ---- Many at once -------------------------------------------------------------------------------
 */

struct crowd {
  struct fixture *f;
  const char *session;
  const char *cookie;
};

/* A thread of the server: hosts that join, one that asks, a person that looks. */
static void *ask_often(void *arg)
{
  const struct crowd *c = arg;
  struct st_access *a = c->f->a;
  const struct st_access_call call = {"192.0.2.9", BOOT_A, c->f->now};
  struct st_access_refusal why;
  struct st_identity who;
  struct st_error err = ST_ERROR_INIT;
  intptr_t failed = 0;
  for (int i = 0; i < 20; i++) {
    struct st_keys keys;
    ST_CLEANUP(st_signature_headers_clear) struct st_signature_headers h = {0};
    const struct st_signed_request r = {
        .method = "GET", .path = "/", .query = "", .body = "", .archive = ARCHIVE};
    char token[65];
    int64_t expires;
    failed += st_keys_make(&keys, &err) || st_signature_make(&r, &keys, c->f->now, &h, &err) ||
              st_access_by_signature(a, &r, h.content_digest, h.input, h.signature, &call, &who,
                                     &why, &err) ||
              st_access_begin_session(a, &who, token, &expires, &err);
    failed += st_access_by_bearer(a, c->session, &call, &who, &why, &err) != 0;
    failed += st_access_by_cookie(a, c->cookie, &call, &who, &why, &err) != 0;
    failed += !st_access_may_see(a, &who, keys.host_id);
  }
  st_error_clear(&err);
  return (void *)failed;
}

static int count_host(void *arg, const struct st_access_host *host, struct st_error *err)
{
  (void)err;
  assert_int_equal(host->state, ST_HOST_APPROVED);
  ++*(size_t *)arg;
  return 0;
}

static void test_threads(void **state)
{
  struct fixture *f = *state;
  struct st_keys keys;
  char session[ST_ACCESS_TOKEN_SIZE], login_cookie[ST_ACCESS_TOKEN_SIZE];
  pthread_t threads[4];
  make_keys(f, &keys);
  ok(st_access_set_enrolment(f->a, ST_ENROL_OPEN, &f->err));
  assert_let_in(f, &keys, NULL);
  begin_session(f, session);
  ok(st_access_add_user(f->a, "ann", ST_ROLE_VIEWER, "a long password", &f->err));
  assert_int_equal(login(f, "ann", "a long password", "192.0.2.1", login_cookie), 0);
  struct crowd c = {f, session, login_cookie};
  for (size_t i = 0; i < ST_COUNT(threads); i++)
    assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &c), 0);
  ST_CLEANUP(st_access_closep) struct st_access *admin = beside(f);
  for (int i = 0; i < 10; i++) {
    ST_AUTO_FREE char *group = st_format("group-%d", i);
    ok(st_access_add_group(admin, group, &f->err));
    ok(st_access_deny(admin, H1, "root", &f->err));
  }
  for (size_t i = 0; i < ST_COUNT(threads); i++) {
    void *failed;
    pthread_join(threads[i], &failed);
    assert_null(failed);
  }
  size_t n = 0;
  ok(st_access_hosts(f->a, ST_HOST_APPROVED, count_host, &n, &f->err));
  assert_int_equal(n, 1 + 4 * 20);
}

/* ---- The file -----------------------------------------------------------------------------------
 */

static void reopen_fails(struct fixture *f, const char *words)
{
  assert_true(st_access_open(&f->a, f->scratch->fd, &f->err) < 0);
  assert_error(&f->err, words);
}

static void test_file(void **state)
{
  struct fixture *f = *state;
  ST_AUTO_FREE char *path = st_format("%s/access.db", f->scratch->path);
  sqlite3 *db;
  st_access_close(f->a);
  f->a = NULL;
  assert_int_equal(chmod(path, 0640), 0);
  reopen_fails(f, "0600 is needed");
  assert_int_equal(chmod(path, 0600), 0);
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  sqlite3_exec(db, "PRAGMA user_version = 2", NULL, NULL, NULL);
  reopen_fails(f, "schema 2");
  sqlite3_exec(db, "PRAGMA user_version = 1; PRAGMA application_id = 7", NULL, NULL, NULL);
  reopen_fails(f, "none of SysTracker's");
  sqlite3_close(db);
  unlink(path);
  put_file(f->scratch->fd, "access.db", "this is no database, and long enough to be none at all");
  reopen_fails(f, "not a database");
  unlink(path);
  assert_int_equal(symlink("/etc/passwd", path), 0);
  reopen_fails(f, "cannot open");
}

static int quiet(void **state)
{
  (void)state;
  st_digest_init();
  st_log_quiet(true);
  return 0;
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      access_test(test_join),
      access_test(test_open),
      access_test(test_server),
      access_test(test_closed),
      access_test(test_quota),
      access_test(test_replay),
      access_test(test_many_signed),
      access_test(test_sessions),
      access_test(test_twins),
      access_test(test_restore),
      access_test(test_restore_revoked),
      access_test(test_logins),
      access_test(test_digests_alone),
      access_test(test_guesses),
      access_test(test_guessing),
      access_test(test_groups),
      access_test(test_api_tokens),
      access_test(test_threads),
      access_test(test_file),
  };
  return cmocka_run_group_tests(tests, quiet, NULL);
}
