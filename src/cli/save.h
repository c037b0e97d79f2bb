/*
 * save.h - where annotated pictures go: one folder, names as the sources', nothing lost.  Depends on image.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLI_SAVE_H
#define CLI_SAVE_H

#include "cli/sources.h"

#include <serin/image.h>

/* Makes the folder (and those above it) and checks, before anything is done, that no source lies in it and that no two
 * sources have one name: then nothing that was there or was just written is lost. And that files can be made in it, so
 * that no picture is predicted for nothing. SERIN_INVALID, SERIN_IO, SERIN_NOMEM. */
MUST_USE enum serin_errc save_prepare(const char *folder, const struct sources *sources, struct serin_error *error);

/* Writes image as FOLDER/NAME of source: JPEG where the source's name says JPEG, else PNG (".png" is appended where the
 * name has another extension). */
MUST_USE enum serin_errc save_picture(const char *folder, const char *source, const struct serin_image *image,
                                      struct serin_error *error);

#endif
