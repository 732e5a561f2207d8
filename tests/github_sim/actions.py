"""Runs of GitHub Actions, and the merge queue: what becomes of both without prgate."""
import time

from . import payload


def add_run(world, repo, workflow, event, title, body=None, number=None, sha=None, branch=None, pulls=(),
            status="queued", conclusion=None):
    """The list of runs shows it after a while. A dispatch is of the default branch, whose commit nobody knows."""
    run = {"id": next(world.ids), "name": workflow.file, "display_title": title, "event": event,
           "workflow_id": workflow.id, "created_at": int(time.time()), "body": body, "number": number,
           "head_sha": sha or "0" * 40, "head_branch": branch, "pulls": list(pulls), "status": status,
           "conclusion": conclusion, "approved_by": None, "visible_from": time.monotonic() + world.runs_delay}
    repo.runs.append(run)
    return run


def pull_run(world, repo, number, event="pull_request", first_time=False, status="in_progress", sha=None):
    """A workflow that listens to pull requests; of a first-time contributor it waits for an approval."""
    pull = world.pull(repo, number)
    waiting = {"status": "completed", "conclusion": "action_required"} if first_time else {"status": status}
    run = add_run(world, pull.repo, pull.repo.workflows[0], event, pull.now["title"], number=number,
                  sha=sha or pull.now["head_sha"], branch=pull.now["head_ref"],
                  pulls=payload.listed_in_run(pull), **waiting)
    return run["id"]


def finish_run(world, repo, id, conclusion="success"):
    run = next(one for one in world.repo(repo).runs if one["id"] == id)
    run.update(status="completed", conclusion=conclusion)


class Group:
    """What the merge queue is about to merge: a commit on a branch of its own."""

    def __init__(self, world, pull):
        self.pull, self.sha, self.base_sha = pull, world.new_sha(), world.new_sha()
        self.base_ref = pull.now["base_ref"]
        self.branch = f"gh-readonly-queue/{self.base_ref}/pr-{pull.number}-{self.base_sha}"
        pull.groups.append(self)
        pull.repo.pull_of_sha[self.sha] = pull
        pull.repo.branches.add(self.branch)


QUEUE_BOT = "github-merge-queue[bot]"


def enqueue(world, repo, number):
    """Somebody queues it, and the queue asks for the checks of a group."""
    group = Group(world, world.pull(repo, number))
    return [_group_event(world, group, "checks_requested")]


def destroy_group(world, repo, number, reason="invalidated"):
    """Of its newest group: "merged", "invalidated" or "dequeued"."""
    group = world.pull(repo, number).groups[-1]
    group.pull.repo.branches.discard(group.branch)
    return [_group_event(world, group, "destroyed", reason=reason)]


def dequeue(world, repo, number, by=None, reason="MANUAL"):
    pull = world.pull(repo, number)
    return world.tell_pull(pull, "dequeued", by, reason=reason)


def _group_event(world, group, action, **extra):
    body = payload.merge_group_event(group, action, world.user(QUEUE_BOT), **extra)
    return world.emit("merge_group", body, group.pull.repo)
