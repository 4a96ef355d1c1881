/* SPDX-License-Identifier: GPL-2.0-or-later */
/* units.h - the running system's services, as its systemd has them: which files each is made of,
 * and what its processes have open.  systemctl(1) is asked; no bus of ours. */
#ifndef ST_RESTORE_UNITS_H
#define ST_RESTORE_UNITS_H

#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

struct st_unit {
  char *id;                /* "ssh.service" */
  char *fragment;          /* the file that defines it; "": none */
  struct st_strings files; /* that one, drop-ins, programs, files that its commands name */
  char *group;             /* its control group; "": none */
  int64_t pid;             /* of its main process; 0: none */
  int64_t since_usec;      /* it runs since then, on the monotonic clock */
  bool manual;             /* systemd refuses to start or stop it when asked */
};

struct st_units {
  struct st_unit *items;
  size_t count;
};
#define ST_AUTO_UNITS ST_CLEANUP(st_units_free) struct st_units
void st_units_free(struct st_units *u);

/* Whether systemd runs this system (sd_booted(3)). */
bool st_units_are_here(void);

/* The services that run now. */
int st_units_ask(struct st_units *ret, struct st_error *err);
/* What `systemctl show` prints of units, a block of KEY=VALUE lines each; those that run alone. */
void st_units_parse(const char *text, struct st_units *ret);

/* Why this service is never started anew by us, in words; NULL: it may be.  `own_group`: the
 * control group that we are in. */
const char *st_unit_stays(const struct st_unit *u, const char *own_group);
/* The control group of this process, by systemd's hierarchy; "" when it cannot be told.
 * malloc'ed. */
char *st_units_own_group(void);

/* The files that a process of the service has mapped, its program and libraries among them, each
 * once; `*ret_gone` those that are no longer at their path.  A process that ends meanwhile has
 * none. */
void st_unit_mapped(const struct st_unit *u, struct st_strings *ret, struct st_strings *ret_gone);
/* From /proc/PID/maps (proc(5)). */
void st_units_parse_maps(const char *text, struct st_strings *ret, struct st_strings *ret_gone);

/* Reads unit files again. */
int st_units_reload(struct st_error *err);
/* Starts a service anew that runs, and looks whether it is up then. */
int st_unit_restart(const struct st_unit *u, struct st_error *err);

#endif
