"""The routes that only the policies beside the gate use: changed files, changes to a pull request, reviews."""
import time

from . import fields, payload
from .reply import Reply, invalid
from .rest import route
from .world import Versioned

FILES_MAX = 3000
STATES = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED", None: "PENDING"}

PULL = {"title": fields.text(least=1, most=256), "body": fields.text(null=True),
        "state": fields.one_of("open", "closed"), "base": fields.text(least=1, most=255),
        "maintainer_can_modify": lambda value: None if isinstance(value, bool) else "is not a boolean"}
REVIEW = {"commit_id": fields.text(pattern=fields.SHA), "body": fields.text(most=65536),
          "event": fields.one_of("APPROVE", "REQUEST_CHANGES", "COMMENT")}


@route("GET", "/repos/{o}/{r}/pulls/{n}/files", permission="pull_requests:read")
def list_files(ask):
    pull = ask.pull()
    return ask.page([_file(pull, one) for one in pull.files[:FILES_MAX]])


def _file(pull, one):
    """A file as a test gave it: {"filename", "patch", "status", ...}; what it left out follows from the patch."""
    patch = one.get("patch")
    lines = patch.split("\n") if patch else []
    shown = {"sha": "0" * 40, "status": "modified", "additions": sum(line.startswith("+") for line in lines),
             "deletions": sum(line.startswith("-") for line in lines), **one}
    url = f"{payload.API}/repos/{pull.repo.full_name}/contents/{one['filename']}?ref={pull.now['head_sha']}"
    return {**shown, "changes": shown["additions"] + shown["deletions"], "contents_url": url,
            "blob_url": f"{payload.WEB}/{pull.repo.full_name}/blob/x", "raw_url": f"{payload.WEB}/raw"}


@route("PATCH", "/repos/{o}/{r}/pulls/{n}", permission="pull_requests:write")
def change_pull(ask):
    pull = ask.pull()
    fields.demand("PullRequest", ask.body, {}, PULL)
    base = ask.body.get("base", pull.now["base_ref"])
    if base != pull.now["base_ref"]:
        if pull.now["state"] == "closed":
            raise invalid("PullRequest", "base", "invalid", "Cannot change the base branch of a closed pull request.")
        if base not in ask.repo.branches:
            raise invalid("PullRequest", "base", "invalid", "Proposed base branch does not exist")
    ask.world.outbox += ask.world.change_pull(pull, ask.credential.actor, **ask.body)
    return Reply(200, payload.pull(pull))


@route("GET", "/repos/{o}/{r}/pulls/{n}/reviews", permission="pull_requests:read")
def list_reviews(ask):
    pull = ask.pull()
    shown = [one.at(ask.when) for one in pull.reviews]
    return ask.page([_review(pull, one) for one in shown if one is not None])


@route("POST", "/repos/{o}/{r}/pulls/{n}/reviews", permission="pull_requests:write")
def add_review(ask):
    pull, author = ask.pull(), ask.credential.actor
    fields.demand("PullRequestReview", ask.body, {}, REVIEW)
    event, commit = ask.body.get("event"), ask.body.get("commit_id", pull.now["head_sha"])
    if event == "APPROVE" and author is pull.author:
        raise invalid("PullRequestReview", "event", "invalid", "Can not approve your own pull request")
    if commit not in pull.heads:
        raise invalid("PullRequestReview", "commit_id", "invalid", "The commit_id is not part of the pull request")
    if event != "APPROVE" and not ask.body.get("body"):
        raise invalid("PullRequestReview", "body", "missing_field", "is needed for that event")
    review = Versioned(id=next(ask.world.ids), user=author, state=STATES[event], commit_id=commit,
                       body=ask.body.get("body", ""), submitted_at=int(time.time()))
    pull.reviews.append(review)
    return Reply(200, _review(pull, review.now))


def _review(pull, one):
    web = f"{payload.WEB}/{pull.repo.full_name}/pull/{pull.number}#pullrequestreview-{one['id']}"
    return {"id": one["id"], "node_id": payload.node_id("PRR", one["id"]), "user": payload.user(one["user"]),
            "body": one["body"], "state": one["state"], "html_url": web, "commit_id": one["commit_id"],
            "submitted_at": payload.iso(one["submitted_at"]), "author_association": "NONE"}
