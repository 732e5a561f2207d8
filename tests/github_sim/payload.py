"""The JSON of things as GitHub shows them, in REST replies and webhooks, in full size."""
import json
import time

API = "https://api.github.com"
WEB = "https://github.com"

REPO_URLS = {
    "forks_url": "/forks", "keys_url": "/keys{/key_id}", "collaborators_url": "/collaborators{/collaborator}",
    "teams_url": "/teams", "hooks_url": "/hooks", "issue_events_url": "/issues/events{/number}",
    "events_url": "/events", "assignees_url": "/assignees{/user}", "branches_url": "/branches{/branch}",
    "tags_url": "/tags", "blobs_url": "/git/blobs{/sha}", "git_tags_url": "/git/tags{/sha}",
    "git_refs_url": "/git/refs{/sha}", "trees_url": "/git/trees{/sha}", "statuses_url": "/statuses/{sha}",
    "languages_url": "/languages", "stargazers_url": "/stargazers", "contributors_url": "/contributors",
    "subscribers_url": "/subscribers", "subscription_url": "/subscription", "commits_url": "/commits{/sha}",
    "git_commits_url": "/git/commits{/sha}", "comments_url": "/comments{/number}",
    "issue_comment_url": "/issues/comments{/number}", "contents_url": "/contents/{+path}",
    "compare_url": "/compare/{base}...{head}", "merges_url": "/merges", "archive_url": "/{archive_format}{/ref}",
    "downloads_url": "/downloads", "issues_url": "/issues{/number}", "pulls_url": "/pulls{/number}",
    "milestones_url": "/milestones{/number}", "notifications_url": "/notifications{?since,all,participating}",
    "labels_url": "/labels{/name}", "releases_url": "/releases{/id}", "deployments_url": "/deployments",
}
USER_URLS = {
    "followers_url": "/followers", "following_url": "/following{/other_user}", "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}", "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs", "repos_url": "/repos", "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}
PULL_LINKS = {
    "self": "/pulls/{n}", "issue": "/issues/{n}", "comments": "/issues/{n}/comments",
    "review_comments": "/pulls/{n}/comments", "review_comment": "/pulls/comments{{/number}}",
    "commits": "/pulls/{n}/commits", "statuses": "/statuses/{sha}",
}
NEVER = "2019-01-01T00:00:00Z"


def dumps(body):
    return json.dumps(body, separators=(",", ":"))


def iso(seconds):
    return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def node_id(kind, id_):
    return f"{kind}_kwDOA{id_:x}"


def user(account):
    if account is None:
        return None
    url = f"{API}/users/{account.login}"
    return {"login": account.login, "id": account.id, "node_id": node_id("U", account.id),
            "avatar_url": f"https://avatars.githubusercontent.com/u/{account.id}?v=4", "gravatar_id": "",
            "url": url, "html_url": f"{WEB}/{account.login}",
            **{key: url + tail for key, tail in USER_URLS.items()},
            "type": account.kind, "user_view_type": "public", "site_admin": False}


def repo(place):
    """A repository does not change here: its JSON is made once. Not the caller's to change."""
    if place is None:
        return None
    if place.json is None:
        place.json = _repo(place)
    return place.json


def _repo(place):
    url = f"{API}/repos/{place.full_name}"
    return {"id": place.id, "node_id": node_id("R", place.id), "name": place.full_name.split("/")[1],
            "full_name": place.full_name, "private": place.private, "owner": user(place.owner),
            "html_url": f"{WEB}/{place.full_name}", "description": "What it is, in one line", "fork": False,
            "url": url, **{key: url + tail for key, tail in REPO_URLS.items()},
            "created_at": NEVER, "updated_at": NEVER, "pushed_at": NEVER,
            "git_url": f"git://github.com/{place.full_name}.git",
            "ssh_url": f"git@github.com:{place.full_name}.git", "clone_url": f"{WEB}/{place.full_name}.git",
            "svn_url": f"{WEB}/{place.full_name}", "homepage": "", "size": 221867, "stargazers_count": 16,
            "watchers_count": 16, "language": "C", "has_issues": True, "has_projects": True,
            "has_downloads": True, "has_wiki": False, "has_pages": False, "has_discussions": False,
            "forks_count": 27, "mirror_url": None, "archived": False, "disabled": False, "open_issues_count": 5,
            "license": {"key": "mit", "name": "MIT License", "spdx_id": "MIT", "url": f"{API}/licenses/mit",
                        "node_id": "MDc6TGljZW5zZTEz"},
            "allow_forking": True, "is_template": False, "web_commit_signoff_required": False,
            "topics": ["continuous-integration", "webhooks"],
            "visibility": "private" if place.private else "public", "forks": 27, "open_issues": 5,
            "watchers": 16, "default_branch": place.default_branch, "allow_squash_merge": True,
            "allow_merge_commit": False, "allow_rebase_merge": True, "allow_auto_merge": True,
            "delete_branch_on_merge": True, "allow_update_branch": True,
            "use_squash_pr_title_as_default": False, "squash_merge_commit_message": "COMMIT_MESSAGES",
            "squash_merge_commit_title": "COMMIT_OR_PR_TITLE", "merge_commit_message": "PR_TITLE",
            "merge_commit_title": "MERGE_MESSAGE"}


def label(place, one):
    return {"id": one.id, "node_id": node_id("LA", one.id),
            "url": f"{API}/repos/{place.full_name}/labels/{one.name}", "name": one.name, "color": one.color,
            "default": False, "description": one.description}


def labels(place, some):
    return [label(place, one) for one in some]


def pull(one, when=None, mergeable_known=True):
    """A pull request as of `when`; None if it was not there yet."""
    fields = one.at(when)
    if fields is None:
        return None
    place, n = one.repo, one.number
    url, web = f"{API}/repos/{place.full_name}", f"{WEB}/{place.full_name}/pull/{n}"
    mergeable = one.mergeable_at(when) if mergeable_known and fields["state"] == "open" else None
    links = {name: {"href": url + tail.format(n=n, sha=fields["head_sha"])} for name, tail in PULL_LINKS.items()}
    links["html"] = {"href": web}
    return {"url": f"{url}/pulls/{n}", "id": one.id, "node_id": node_id("PR", one.id), "html_url": web,
            "diff_url": f"{web}.diff", "patch_url": f"{web}.patch", "issue_url": f"{url}/issues/{n}",
            "number": n, "state": fields["state"], "locked": False, "title": fields["title"],
            "user": user(one.author), "body": fields["body"], "created_at": iso(fields["created_at"]),
            "updated_at": iso(fields["updated_at"]), "closed_at": iso(fields["closed_at"]),
            "merged_at": iso(fields["closed_at"]) if fields["merged"] else None,
            "merge_commit_sha": fields["base_sha"], "assignee": None, "assignees": [],
            "requested_reviewers": [], "requested_teams": [], "labels": labels(place, fields["labels"]),
            "milestone": None, "draft": fields["draft"], "commits_url": f"{url}/pulls/{n}/commits",
            "review_comments_url": f"{url}/pulls/{n}/comments",
            "review_comment_url": f"{url}/pulls/comments{{/number}}",
            "comments_url": f"{url}/issues/{n}/comments", "statuses_url": f"{url}/statuses/{fields['head_sha']}",
            "head": _branch(one.head_repo, fields["head_ref"], fields["head_sha"], one.author),
            "base": _branch(place, fields["base_ref"], fields["base_sha"], place.owner), "_links": links,
            "author_association": "CONTRIBUTOR", "auto_merge": None, "active_lock_reason": None,
            "merged": fields["merged"], "mergeable": mergeable, "rebaseable": mergeable,
            "mergeable_state": _mergeable_state(mergeable, fields), "merged_by": None,
            "comments": len(one.comments), "review_comments": 0, "maintainer_can_modify": True, "commits": 1,
            "additions": 12, "deletions": 3, "changed_files": 2}


def _branch(place, ref, sha, owner):
    name = owner.login if owner else "unknown"
    return {"label": f"{name}:{ref}", "ref": ref, "sha": sha, "user": user(owner), "repo": repo(place)}


def _mergeable_state(mergeable, fields):
    if mergeable is None:
        return "unknown"
    if not mergeable:
        return "dirty"
    return "draft" if fields["draft"] else "clean"


def _surroundings(place, sender):
    around = {"repository": repo(place), "sender": user(sender)}
    if place.owner.kind == "Organization":
        url = f"{API}/orgs/{place.owner.login}"
        around["organization"] = {"login": place.owner.login, "id": place.owner.id,
                                  "node_id": node_id("O", place.owner.id), "url": url,
                                  "repos_url": f"{url}/repos", "events_url": f"{url}/events",
                                  "hooks_url": f"{url}/hooks", "issues_url": f"{url}/issues",
                                  "members_url": f"{url}/members{{/member}}",
                                  "public_members_url": f"{url}/public_members{{/member}}", "description": ""}
    if place.installation is not None:
        around["installation"] = {"id": place.installation, "node_id": node_id("MDIz", place.installation)}
    return around


# Just after these GitHub cannot have worked out yet whether the branch merges.
MERGEABLE_NOT_YET_KNOWN = {"opened", "reopened", "synchronize"}


def pull_request_event(one, action, sender, **extra):
    known = action not in MERGEABLE_NOT_YET_KNOWN
    return {"action": action, "number": one.number, "pull_request": pull(one, mergeable_known=known), **extra,
            **_surroundings(one.repo, sender)}


def _listed(one):
    """As checks list pull requests; those from forks they do not list."""
    def side(place, ref, sha):
        return {"ref": ref, "sha": sha, "repo": {"id": place.id, "url": f"{API}/repos/{place.full_name}",
                                                 "name": place.full_name.split("/")[1]}}
    fields = one.now
    return {"url": f"{API}/repos/{one.repo.full_name}/pulls/{one.number}", "id": one.id, "number": one.number,
            "head": side(one.head_repo, fields["head_ref"], fields["head_sha"]),
            "base": side(one.repo, fields["base_ref"], fields["base_sha"])}


def listed_in_run(one):
    """As runs list the pull request that they are of, unless it comes from a fork."""
    return [] if one.head_repo is not one.repo else [_listed(one)]


def merge_group_event(group, action, sender, **extra):
    base = group.base_ref
    commit = {"id": group.sha, "tree_id": group.sha, "message": f"Merge pull request #{group.pull.number} from topic",
              "timestamp": NEVER, "author": {"name": "Ann", "email": "ann@example.com"},
              "committer": {"name": "GitHub", "email": "noreply@github.com"}}
    return {"action": action, **extra,
            "merge_group": {"head_sha": group.sha, "head_ref": f"refs/heads/{group.branch}", "base_sha": group.base_sha,
                            "base_ref": f"refs/heads/{base}", "head_commit": commit},
            **_surroundings(group.pull.repo, sender)}


def check_run_event(place, run, pulls, sender, action="rerequested", **extra):
    shown = {**check_run(place, run), "pull_requests": [_listed(one) for one in pulls]}
    return {"action": action, "check_run": shown, **extra, **_surroundings(place, sender)}


def check_suite_event(place, run, pulls, sender):
    url = f"{API}/repos/{place.full_name}"
    id_ = run["id"] + 1
    shown = {"id": id_, "node_id": node_id("CS", id_), "head_branch": None, "head_sha": run["head_sha"],
             "status": "queued", "conclusion": None, "url": f"{url}/check-suites/{id_}", "before": None,
             "after": run["head_sha"], "pull_requests": [_listed(one) for one in pulls], "app": app(run["app"]),
             "created_at": run["started_at"], "updated_at": run["started_at"], "latest_check_runs_count": 1,
             "check_runs_url": f"{url}/check-suites/{id_}/check-runs"}
    return {"action": "rerequested", "check_suite": shown, **_surroundings(place, sender)}


def issue_comment_event(one, said, action, sender, **extra):
    return {"action": action, **extra, "issue": issue(one), "comment": comment(one, said.now),
            **_surroundings(one.repo, sender)}


def reaction(one):
    return {"id": one["id"], "node_id": node_id("REA", one["id"]), "user": user(one["user"]),
            "content": one["content"], "created_at": iso(one["created_at"])}


def issue(one):
    fields = one.now
    url = f"{API}/repos/{one.repo.full_name}/issues/{one.number}"
    return {"url": url, "id": one.id, "number": one.number, "title": fields["title"], "user": user(one.author),
            "labels": labels(one.repo, fields["labels"]), "state": fields["state"], "body": fields["body"],
            "created_at": iso(fields["created_at"]), "updated_at": iso(fields["updated_at"]),
            "pull_request": {"url": f"{API}/repos/{one.repo.full_name}/pulls/{one.number}"}}


def app(one):
    return {"id": one.id, "slug": one.slug, "node_id": node_id("A", one.id), "name": one.slug,
            "owner": user(one.bot), "description": "", "external_url": "https://prgate.example",
            "html_url": f"{WEB}/apps/{one.slug}", "created_at": NEVER, "updated_at": NEVER,
            "permissions": {"checks": "write", "metadata": "read"}, "events": ["pull_request"]}


def comment(one, fields):
    url = f"{API}/repos/{one.repo.full_name}/issues"
    return {"url": f"{url}/comments/{fields['id']}", "issue_url": f"{url}/{one.number}", "id": fields["id"],
            "html_url": f"{WEB}/{one.repo.full_name}/pull/{one.number}#issuecomment-{fields['id']}",
            "node_id": node_id("IC", fields["id"]), "user": user(fields["user"]), "body": fields["body"],
            "created_at": iso(fields["created_at"]), "updated_at": iso(fields["updated_at"]),
            "author_association": fields["association"],
            "performed_via_github_app": app(fields["app"]) if fields["app"] else None}


def check_run(place, fields):
    url = f"{API}/repos/{place.full_name}"
    return {"id": fields["id"], "name": fields["name"], "node_id": node_id("CR", fields["id"]),
            "head_sha": fields["head_sha"], "external_id": fields["external_id"],
            "url": f"{url}/check-runs/{fields['id']}",
            "html_url": f"{WEB}/{place.full_name}/runs/{fields['id']}", "details_url": fields["details_url"],
            "status": fields["status"], "conclusion": fields["conclusion"], "started_at": fields["started_at"],
            "completed_at": fields["completed_at"],
            "output": {"title": None, "summary": None, "text": None, **fields["output"],
                       "annotations_count": 0,
                       "annotations_url": f"{url}/check-runs/{fields['id']}/annotations"},
            "check_suite": {"id": fields["id"] + 1}, "app": app(fields["app"]), "pull_requests": []}


def status(place, fields):
    url = f"{API}/repos/{place.full_name}/statuses/{fields['sha']}"
    return {"url": url, "avatar_url": "https://avatars.githubusercontent.com/u/1?v=4", "id": fields["id"],
            "node_id": node_id("SC", fields["id"]), "state": fields["state"],
            "description": fields["description"], "target_url": fields["target_url"],
            "context": fields["context"], "created_at": iso(fields["created_at"]),
            "updated_at": iso(fields["created_at"]), "creator": user(fields["creator"])}


def workflow_run(place, run):
    url = f"{API}/repos/{place.full_name}/actions"
    return {"id": run["id"], "name": run["name"], "node_id": node_id("WFR", run["id"]),
            "head_branch": run["head_branch"] or place.default_branch, "head_sha": run["head_sha"], "path": f".github/workflows/{run['name']}",
            "display_title": run["display_title"], "run_number": 1, "run_attempt": 1, "event": run["event"],
            "status": run["status"], "conclusion": run["conclusion"], "workflow_id": run["workflow_id"],
            "url": f"{url}/runs/{run['id']}",
            "html_url": f"{WEB}/{place.full_name}/actions/runs/{run['id']}", "pull_requests": run["pulls"],
            "created_at": iso(run["created_at"]), "updated_at": iso(run["created_at"]),
            "repository": repo(place)}


def delivery(one):
    body = json.loads(one.body)
    good = 200 <= one.status < 300
    text = "OK" if good else f"Invalid HTTP Response: {one.status}" if one.status else "timed out"
    return {"id": one.id, "guid": one.guid, "delivered_at": iso(one.at), "redelivery": one.redelivery,
            "duration": 0.03, "status": text, "status_code": one.status, "event": one.event,
            "action": body.get("action"), "installation_id": one.repo.installation,
            "repository_id": one.repo.id, "throttled_at": None}


def hook(place):
    url = f"{API}/repos/{place.full_name}/hooks/{place.hook_id}"
    return {"type": "Repository", "id": place.hook_id, "name": "web", "active": True, "events": ["pull_request"],
            "config": {"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": place.hook_url},
            "updated_at": NEVER, "created_at": NEVER, "url": url, "test_url": f"{url}/test",
            "ping_url": f"{url}/pings", "deliveries_url": f"{url}/deliveries",
            "last_response": {"code": 202, "status": "active", "message": "OK"}}


def issue_event(one, noted):
    """Of a label it tells name and colour, not the id."""
    url = f"{API}/repos/{one.repo.full_name}/issues/events/{noted['id']}"
    event = {"id": noted["id"], "node_id": node_id("LE", noted["id"]), "url": url, "actor": user(noted["actor"]),
             "event": noted["event"], "commit_id": None, "commit_url": None, "created_at": iso(noted["created_at"]),
             "performed_via_github_app": None}
    if noted["label"]:
        event["label"] = {"name": noted["label"].name, "color": noted["label"].color}
    return event


# What a list of pull requests leaves out.
ONLY_OF_ONE = ("merged", "mergeable", "rebaseable", "mergeable_state", "merged_by", "comments", "review_comments",
               "maintainer_can_modify", "commits", "additions", "deletions", "changed_files")


def listed_pull(one, when=None):
    return {name: value for name, value in pull(one, when).items() if name not in ONLY_OF_ONE}
