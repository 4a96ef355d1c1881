/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz.h - what fuzz targets share (libFuzzer).  A target is a file of one function,
 * LLVMFuzzerTestOneInput; its seeds are made by LLVMFuzzerInitialize with the very encoders that
 * make the real thing, where FUZZ_SEEDS names a folder for them.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "systracker/base/cleanup.h"
#include "systracker/base/error.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

/* Writes one seed where seeds are asked for. */
void fuzz_seed(const char *name, const void *data, size_t length);
/* A folder of this process, in memory where there is /dev/shm; emptied when the process ends as it
 * should.  Opened. */
int fuzz_scratch(void);
/* Ends the process as a finding unless it holds. */
#define FUZZ_ASSERT(condition) fuzz_assert(condition, #condition, __FILE__, __LINE__)
void fuzz_assert(bool holds, const char *condition, const char *file, int line);
/* The same for what must not fail at all. */
#define FUZZ_OK(call, err) fuzz_ok(call, err, #call)
void fuzz_ok(int result, const struct st_error *err, const char *call);

#endif
