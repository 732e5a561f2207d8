/*
 * glob: does a path, or a branch's name, fit a pattern?
 *
 *     glob_fits("lib/(any)/x*.dart", "lib/src/deep/x_y.dart")    with two stars for (any): true
 *
 * A star stands for any run of characters but slashes, a question mark for one (one byte), and two stars that are a
 * whole component for any number of components, none included. Everything else, brackets and backslashes
 * included, is itself: files are called so. glibc's fnmatch() knows no two stars, and its time can grow
 * exponentially with the stars of a pattern; here it is the product of both lengths at most. Pure, thread-safe.
 */
#ifndef PRGATE_GLOB_H
#define PRGATE_GLOB_H

#include <stdbool.h>

bool glob_fits(const char *pattern, const char *text); /* letter case counts */

#endif
