# SPDX-License-Identifier: GPL-2.0-or-later
libsystracker_la_SOURCES += \
	systracker/scan/index.c systracker/scan/index.h \
	systracker/scan/indexfile.c systracker/scan/indexfile.h \
	systracker/scan/mounts.c systracker/scan/mounts.h \
	systracker/scan/readfile.c systracker/scan/readfile.h \
	systracker/scan/scope.c \
	systracker/scan/walk.c systracker/scan/walk.h
