/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-worker.c - the bounded queue: what is refused, what is done, in which order. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "archive-sync/serve/worker.h"

struct gate {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  bool open;
  int running, done;
};

static void pass_gate(void *arg)
{
  struct gate *g = arg;
  pthread_mutex_lock(&g->mutex);
  g->running++;
  pthread_cond_broadcast(&g->changed);
  while (!g->open)
    pthread_cond_wait(&g->changed, &g->mutex);
  pthread_mutex_unlock(&g->mutex);
}

static void count_done(void *arg)
{
  struct gate *g = arg;
  pthread_mutex_lock(&g->mutex);
  g->done++;
  pthread_cond_broadcast(&g->changed);
  pthread_mutex_unlock(&g->mutex);
}

static void open_gate(struct gate *g)
{
  pthread_mutex_lock(&g->mutex);
  g->open = true;
  pthread_cond_broadcast(&g->changed);
  pthread_mutex_unlock(&g->mutex);
}

static void wait_for(struct gate *g, const int *value, int least)
{
  pthread_mutex_lock(&g->mutex);
  while (*value < least)
    pthread_cond_wait(&g->changed, &g->mutex);
  pthread_mutex_unlock(&g->mutex);
}

#define GATE                                                                                       \
  {                                                                                                \
    .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                        \
  }

static enum st_submitted submit(struct st_workers *w, const char *name, struct gate *g)
{
  return st_workers_submit(w, name, "here", pass_gate, count_done, g);
}

static void test_full(void **state)
{
  struct gate g = GATE;
  struct st_workers *w;
  (void)state;
  assert_int_equal(st_workers_start(&w, 1, 2, NULL), 0);
  assert_int_equal(submit(w, "a", &g), ST_SUBMITTED);
  wait_for(&g, &g.running, 1); /* it has left the queue */
  assert_int_equal(submit(w, "b", &g), ST_SUBMITTED);
  assert_int_equal(submit(w, "c", &g), ST_SUBMITTED);
  assert_int_equal(submit(w, "d", &g), ST_SUBMIT_FULL);
  open_gate(&g);
  st_workers_stop(w); /* what waits is done first */
  assert_int_equal(g.done, 3);
}

static void test_one_of_a_name(void **state)
{
  struct gate g = GATE;
  struct st_workers *w;
  (void)state;
  assert_int_equal(st_workers_start(&w, 1, 8, NULL), 0);
  assert_int_equal(submit(w, "a", &g), ST_SUBMITTED);
  wait_for(&g, &g.running, 1);
  assert_int_equal(submit(w, "a", &g), ST_SUBMIT_BUSY); /* it runs */
  assert_int_equal(submit(w, "b", &g), ST_SUBMITTED);
  assert_int_equal(submit(w, "b", &g), ST_SUBMIT_BUSY); /* it waits */
  open_gate(&g);
  wait_for(&g, &g.done, 2);
  assert_int_equal(submit(w, "a", &g), ST_SUBMITTED);
  st_workers_stop(w);
  assert_int_equal(g.done, 3);
}

/* Nobody who is not known yet takes all the room from others. */
static void test_share_of_a_place(void **state)
{
  struct gate g = GATE;
  struct st_workers *w;
  (void)state;
  assert_int_equal(st_workers_start(&w, 1, 4, NULL), 0);
  assert_int_equal(submit(w, "", &g), ST_SUBMITTED);
  wait_for(&g, &g.running, 1);
  assert_int_equal(submit(w, "", &g), ST_SUBMITTED);
  assert_int_equal(submit(w, "", &g), ST_SUBMITTED);
  assert_int_equal(submit(w, "", &g), ST_SUBMIT_FULL);
  assert_int_equal(submit(w, "a", &g), ST_SUBMITTED); /* who is known does not count there */
  assert_int_equal(st_workers_submit(w, "", "there", pass_gate, count_done, &g), ST_SUBMITTED);
  assert_int_equal(submit(w, "b", &g), ST_SUBMIT_FULL);
  open_gate(&g);
  st_workers_stop(w);
  assert_int_equal(g.done, 5);
}

/* A request whose host is known when it runs. */
struct signed_one {
  struct gate *gate;
  struct st_workers *w;
  const char *host;
  bool had_its_turn;
};

static void run_signed(void *arg)
{
  struct signed_one *s = arg;
  s->had_its_turn = st_workers_name(s->w, s, s->host);
  if (s->had_its_turn)
    pass_gate(s->gate);
}

static void signed_done(void *arg)
{
  struct signed_one *s = arg;
  count_done(s->gate);
}

static void test_named_when_it_runs(void **state)
{
  struct gate g = GATE;
  struct st_workers *w;
  (void)state;
  assert_int_equal(st_workers_start(&w, 4, 8, NULL), 0);
  struct signed_one all[] = {{&g, w, "a", false},
                             {&g, w, "a", false},
                             {&g, w, "a", false},
                             {&g, w, "b", false},
                             {&g, w, "a", false}};
  assert_int_equal(st_workers_submit(w, "", "", run_signed, signed_done, &all[0]), ST_SUBMITTED);
  wait_for(&g, &g.running, 1);
  for (int i = 1; i < 3; i++)
    assert_int_equal(st_workers_submit(w, "", "", run_signed, signed_done, &all[i]), ST_SUBMITTED);
  wait_for(&g, &g.done, 2); /* no thread is kept by those */
  assert_true(all[0].had_its_turn);
  assert_false(all[1].had_its_turn || all[2].had_its_turn);
  assert_int_equal(submit(w, "a", &g), ST_SUBMIT_BUSY); /* nor does it count as nobody's */
  assert_int_equal(st_workers_submit(w, "", "", run_signed, signed_done, &all[3]), ST_SUBMITTED);
  wait_for(&g, &g.running, 2);
  assert_true(all[3].had_its_turn);
  open_gate(&g);
  wait_for(&g, &g.done, 4);
  assert_int_equal(st_workers_submit(w, "", "", run_signed, signed_done, &all[4]), ST_SUBMITTED);
  st_workers_stop(w);
  assert_true(all[4].had_its_turn);
}

struct again {
  struct gate gate;
  struct st_workers *w;
  enum st_submitted second;
};

static void run_again(void *arg)
{
  (void)arg;
}

/* When a client has its answer, its next request is not refused for the last one's sake. */
static void submit_again(void *arg)
{
  struct again *a = arg;
  a->second = st_workers_submit(a->w, "a", "", run_again, count_done, &a->gate);
  count_done(&a->gate);
}

static void test_free_when_done(void **state)
{
  struct again a = {.gate = GATE, .second = ST_SUBMIT_BUSY};
  (void)state;
  assert_int_equal(st_workers_start(&a.w, 2, 8, NULL), 0);
  assert_int_equal(st_workers_submit(a.w, "a", "", run_again, submit_again, &a), ST_SUBMITTED);
  wait_for(&a.gate, &a.gate.done, 2);
  assert_int_equal(a.second, ST_SUBMITTED);
  st_workers_stop(a.w);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_full),
      cmocka_unit_test(test_one_of_a_name),
      cmocka_unit_test(test_share_of_a_place),
      cmocka_unit_test(test_named_when_it_runs),
      cmocka_unit_test(test_free_when_done),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
