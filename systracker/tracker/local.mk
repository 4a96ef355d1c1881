# SPDX-License-Identifier: GPL-2.0-or-later
libsystracker_la_SOURCES += \
	systracker/tracker/checkpoint.c \
	systracker/tracker/collect.c \
	systracker/tracker/content.c \
	systracker/tracker/context.c \
	systracker/tracker/core.c systracker/tracker/core.h \
	systracker/tracker/facts.c systracker/tracker/facts.h \
	systracker/tracker/host.c systracker/tracker/host.h \
	systracker/tracker/observe.c systracker/tracker/observe.h \
	systracker/tracker/plan.c systracker/tracker/plan.h \
	systracker/tracker/rules.c systracker/tracker/rules.h \
	systracker/tracker/tracker.c systracker/tracker/tracker.h

EXTRA_DIST += systracker/tracker/host.syms

libsystracker_la_SOURCES += \
	systracker/tracker/cli.c systracker/tracker/cli.h \
	systracker/tracker/render.c systracker/tracker/render.h \
	systracker/tracker/render-group.c \
	systracker/tracker/render-history.c \
	systracker/tracker/render-internal.h \
	systracker/tracker/render-json.c \
	systracker/tracker/render-patch.c \
	systracker/tracker/render-words.c
