/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guesses.c - passwords are guessed slowly: after a few wrong ones there is a pause, which doubles
 * up to a minute.
 *
 * It is counted for each address, and for each user; but a user who logged in from an address
 * before is counted there by himself, so that whoever guesses elsewhere does not keep him out.  The
 * table is of one size: where it is full, what was wrong longest ago is forgotten.
 */
#include <arpa/inet.h>
#include <string.h>

#include "archive-sync/serve/access-inside.h"

#define WAYS 8
#define SETS 512
#define FREE_TRIES 5
#define LONGEST 60         /* seconds */
#define FORGIVEN_AFTER 900 /* seconds without a wrong one */

struct guess {
  uint8_t key[16];
  int64_t wrong;      /* how often */
  int64_t last, next; /* seconds since 1970; next: the next try */
};
struct st_guesses {
  uint8_t secret[ST_KEY_SIZE];
  struct guess table[SETS][WAYS];
};

struct st_guesses *st_guesses_new(void)
{
  struct st_guesses *g = st_calloc(1, sizeof(*g));
  st_random(g->secret, sizeof(g->secret), NULL); /* not random: somebody could fill one set */
  return g;
}

void st_guesses_free(struct st_guesses *g)
{
  free(g);
}

/* Of IPv6 the network: whoever has one address there has all. */
static void add_address(struct st_buffer *out, const char *peer)
{
  struct in6_addr a;
  if (inet_pton(AF_INET6, peer, &a) == 1 && !IN6_IS_ADDR_V4MAPPED(&a))
    st_buffer_append(out, &a, 8);
  else
    st_buffer_append_string(out, peer);
}

/* The entry of a user (NULL: any), at an address (NULL: anywhere); or what it may take the place
 * of. */
static struct guess *find(struct st_guesses *g, const char *user, const char *peer, bool *ret_there)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  uint8_t key[ST_DIGEST_SIZE];
  uint16_t set;
  st_buffer_append(&text, user ? user : "", user ? strlen(user) + 1 : 1);
  if (peer)
    add_address(&text, peer);
  st_hmac(key, g->secret, sizeof(g->secret), text.data, text.length);
  memcpy(&set, key + 16, sizeof(set));
  struct guess *row = g->table[set % SETS], *oldest = row;
  for (size_t i = 0; i < WAYS; i++) {
    if (row[i].last && memcmp(row[i].key, key, sizeof(row[i].key)) == 0) {
      *ret_there = true;
      return &row[i];
    }
    if (row[i].last < oldest->last)
      oldest = &row[i];
  }
  *ret_there = false;
  memset(oldest, 0, sizeof(*oldest));
  memcpy(oldest->key, key, sizeof(oldest->key));
  return oldest;
}

static int64_t wait_of(struct st_guesses *g, const char *user, const char *peer, int64_t now)
{
  bool there;
  const struct guess *e = find(g, user, peer, &there);
  return there && e->next > now ? e->next - now : 0;
}

static void wrong_of(struct st_guesses *g, const char *user, const char *peer, int64_t now)
{
  bool there;
  struct guess *e = find(g, user, peer, &there);
  if (now - e->last > FORGIVEN_AFTER)
    e->wrong = 0;
  e->last = now;
  int64_t over = ++e->wrong - FREE_TRIES;
  e->next = over < 0 ? 0 : now + (over < 6 ? 1 << over : LONGEST);
}

int64_t st_guesses_wait(struct st_guesses *g, const char *user, const char *peer, bool known,
                        int64_t now)
{
  int64_t here = wait_of(g, known ? user : NULL, peer, now);
  int64_t anywhere = known ? 0 : wait_of(g, user, NULL, now);
  return here > anywhere ? here : anywhere;
}

void st_guesses_wrong(struct st_guesses *g, const char *user, const char *peer, bool known,
                      int64_t now)
{
  wrong_of(g, known ? user : NULL, peer, now);
  if (!known)
    wrong_of(g, user, NULL, now);
}

void st_guesses_right(struct st_guesses *g, const char *user, const char *peer)
{
  bool there;
  struct guess *e = find(g, user, peer, &there);
  if (there)
    memset(e, 0, sizeof(*e));
}
