/*
 * setup_page: GET /setup and GET /setup/done, by which a person in a browser makes the GitHub App.
 *
 *   /setup?code=CODE               what the App will be, and the form that takes its manifest to GitHub
 *   /setup/done?code=..&state=..   where GitHub leads the browser next: gets the App for GitHub's code, and stores it
 *
 * Both are 404, like any page that there is not, unless the configuration awaits an App and the one-time code, or the
 * state that was made of it, is that of `prgatectl setup`. Thread-safe.
 */
#ifndef PRGATE_SETUP_PAGE_H
#define PRGATE_SETUP_PAGE_H

#include "status.h"

void setup_page_begin(const struct ask *ask, const struct request *request, struct reply *reply);
void setup_page_finish(const struct ask *ask, const struct request *request, struct reply *reply);

#endif
