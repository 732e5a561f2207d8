/*
 * config_check: is a text of the configuration what its key asks for? Only config.c includes this.
 *
 * Each returns NULL, or what is wrong and what to do about it, as the end of a
 * sentence that begins with the text ("must be ...", "is no ..."); valid for ever.
 * Pure functions, thread-safe.
 */
#ifndef PRGATE_CONFIG_CHECK_H
#define PRGATE_CONFIG_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "prgate/pr.h"

typedef const char *check_fn(const char *text);

check_fn config_check_label;      /* 1 to 50 printable characters */
check_fn config_check_name;       /* 1 to 100 of them: a check's, an event's */
check_fn config_check_login;      /* "octocat", "dependabot[bot]" */
check_fn config_check_bot;        /* "renovate[bot]", "renovate[bot]:2740" */
check_fn config_check_team;       /* "organization/team-slug" */
check_fn config_check_ref;        /* a branch or tag */
check_fn config_check_workflow;   /* a file's name, without directories, or an id */
check_fn config_check_pattern;    /* what a repo section is called */
check_fn config_check_state_dir;  /* absolute, and not the root directory */
check_fn config_check_pem;        /* begins like a PEM file */
check_fn config_check_token;      /* fit for a header */
check_fn config_check_safe_url;   /* https, or http to this very host */
check_fn config_check_api_url;    /* the same, and without a query */
check_fn config_check_glob;       /* see glob.h */
check_fn config_check_by_author;  /* "login=label" */
check_fn config_check_public_url; /* http or https, without query or fragment */

check_fn config_check_command_prefix; /* what a comment's line begins with: "/ci" */
check_fn config_check_command_word;   /* and what follows: "approve" */

/* Takes such a text apart; *app_id is 0 where it names none. false: it is none. */
bool config_read_bot(const char *text, char login[LOGIN_SIZE], uint64_t *app_id);

#endif
