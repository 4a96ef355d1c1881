/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * frame.h - what all pages have in common: head, navigation, landmarks, forms, headers of the
 * answer.
 *
 *   struct st_html h = st_frame_begin(r, "Hosts");
 *   ...
 *   return st_frame_end(&h);
 */
#ifndef ARCHIVE_SYNC_SERVE_FRAME_H
#define ARCHIVE_SYNC_SERVE_FRAME_H

#include "archive-sync/serve/html.h"
#include "archive-sync/serve/request.h"

/* The hidden field of each form that changes something: who->form_token. */
#define ST_FORM_TOKEN "form-token"

/* Starts the page in the reply's body, which is emptied, with its type and headers; within <main>
 * from here on, the title as <h1>.  `title`: words of ours, or with names escaped already. */
struct st_html st_frame_begin(struct st_request *r, const char *title);
/* Ends it; 0. */
int st_frame_end(struct st_html *h);
/* A whole page that says what is refused, for st_reply_refuse. */
void st_frame_refuse(struct st_request *r, const char *message);

/* A form that changes something, with its token; close "form". */
void st_frame_form(struct st_html *h, const struct st_request *r, const struct st_link *action);
/* A hidden field, a button. */
#define st_frame_hidden(h, name, value) st_frame_hidden_text(h, ST_LITERAL(name), value)
void st_frame_hidden_text(struct st_html *h, const char *name, const char *value);
void st_frame_button(struct st_html *h, const char *text);
/* <label>TEXT <input>: attributes of the input may follow. */
#define st_frame_field(h, label, type, name)                                                       \
  st_frame_field_text(h, label, ST_LITERAL(type), ST_LITERAL(name))
void st_frame_field_text(struct st_html *h, const char *label, const char *type, const char *name);

/* <time>, in UTC. */
void st_frame_time(struct st_html *h, int64_t seconds);
/* "3 hours ago", from now on; malloc'ed. */
char *st_frame_age(int64_t seconds, int64_t now);

#endif
