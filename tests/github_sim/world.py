"""The simulated world: repositories, pull requests, people, and what happens to them.

Nothing here knows HTTP. What changes a pull request returns the deliveries that GitHub
would send for it; whoever called decides where they go (a person's: back to the test, a
token's: to the outbox). Things that reads may show late are Versioned.
"""
import collections
import itertools
import random
import re
import time
import uuid

from . import actions, payload

FIRST_ID = 2**31 + 1_000_003  # ids have outgrown 31 bits
ROLES = ("none", "read", "triage", "write", "maintain", "admin")
FOLDED = {"triage": "read", "maintain": "write"}
KEPT_DELIVERIES = 2000
# webhook's action -> the name of the issue's event
NOTED = {"closed": "closed", "reopened": "reopened", "converted_to_draft": "convert_to_draft",
         "ready_for_review": "ready_for_review"}
SHA = re.compile(r"[0-9a-f]{40}\Z")


class NoSuchThing(Exception):
    """A test named something that the world does not have."""


class Versioned:
    """Fields with their past, for reads that lag behind."""

    def __init__(self, **fields):
        self.versions = [(time.monotonic(), fields)]

    def set(self, **changes):
        self.versions.append((time.monotonic(), {**self.versions[-1][1], **changes}))

    @property
    def now(self):
        return self.versions[-1][1]

    def at(self, when):
        """The fields as of `when` (None: now); None if there was nothing yet."""
        if when is None:
            return self.versions[-1][1]
        for born, fields in reversed(self.versions):
            if born <= when:
                return fields
        return None


class User:
    def __init__(self, id_, login, kind="User"):
        self.id, self.login, self.kind = id_, login, kind


class Label:
    def __init__(self, id_, name, color="ededed", description=None):
        self.id, self.name, self.color, self.description = id_, name, color, description


class App:
    def __init__(self, id_, slug, public_key, bot):
        self.id, self.slug, self.public_key, self.bot = id_, slug, public_key, bot


class Workflow:
    """A workflow file: which events start it, and whether it names its runs by prgate's key."""

    def __init__(self, id_, file, events, inputs, names_runs):
        self.id, self.file, self.events, self.inputs, self.names_runs = id_, file, events, inputs, names_runs


class Repo:
    def __init__(self, id_, full_name, owner, installation, private, default_branch):
        self.id, self.full_name, self.owner = id_, full_name, owner
        self.installation, self.private, self.default_branch = installation, private, default_branch
        self.hook_id = None
        self.hook_url = "https://prgate.example/webhook"
        self.labels = {}  # lower-case name -> Label
        self.roles = {}  # lower-case login -> role
        self.pulls = {}  # number -> Pull
        self.branches = {default_branch}
        self.pull_of_sha = {}  # sha -> Pull
        self.check_runs = collections.defaultdict(list)  # sha -> [Versioned]
        self.statuses = collections.defaultdict(list)  # sha -> [Versioned], oldest first
        self.workflows = []
        self.dispatches = []
        self.runs = []
        self.next_number = itertools.count(1)
        self.json = None  # payload.repo() keeps its work here

    def label(self, name):
        return self.labels.get(name.lower())


class Comment(Versioned):
    def __init__(self, **fields):
        super().__init__(**fields)
        self.reactions = []


class Pull(Versioned):
    def __init__(self, repo, id_, number, author, head_repo, **fields):
        super().__init__(**fields)
        self.repo, self.id, self.number, self.author, self.head_repo = repo, id_, number, author, head_repo
        self.comments = []  # [Versioned]
        self.events = []  # what the issue's list of events shows, oldest first
        self.heads = [fields["head_sha"]]
        self.groups = []  # of the merge queue, actions.Group
        self.reviews = []  # [Versioned]
        self.files = [{"filename": "README.md", "patch": "@@ -1 +1 @@\n-old\n+new"}]  # as policy_rest.py shows them

    @property
    def key(self):
        return f"{self.repo.full_name}#{self.number}"

    def mergeable_at(self, when):
        """What GitHub knows: None while its background job has not run."""
        fields = self.at(when)
        if fields["mergeable_from"] > (when or time.monotonic()):
            return None
        return fields["mergeable"]


class Delivery:
    """One attempt. `status` is what the receiver answered, 0 for nothing; who delivers by hand need not tell."""

    def __init__(self, id_, guid, event, body, repo, redelivery=False):
        self.id, self.guid, self.event, self.body, self.repo = id_, guid, event, body, repo
        self.redelivery, self.at = redelivery, time.time()
        self.status = 202

    def json(self):
        return {"event": self.event, "delivery": self.guid, "payload": self.body}


class World:
    def __init__(self, seed=1):
        self.random = random.Random(seed)
        self.ids = itertools.count(FIRST_ID)
        self.repos = {}  # lower-case full name -> Repo
        self.users = {}  # lower-case login -> User
        self.teams = {}  # (org, team, login), lower case -> "active" or "pending"
        self.apps = {}  # id -> App
        self.check_runs = {}  # id -> (Repo, Versioned)
        self.deliveries = collections.deque(maxlen=KEPT_DELIVERIES)
        self.outbox = []
        self.hook = None  # hooks.Hook: redeliveries are posted there, and not left in the outbox
        self.runs_delay = 0.05

    # People and places

    def user(self, login):
        """The account of that name, made when first mentioned; None for a deleted one ("ghost")."""
        if login is None:
            return None
        user = self.users.get(login.lower())
        if user is None:
            kind = "Bot" if login.endswith("[bot]") else "User"
            user = self.users[login.lower()] = User(next(self.ids), login, kind)
        return user

    def add_app(self, id, slug, public_key):
        self.apps[id] = App(id, slug, public_key.encode(), self.user(f"{slug}[bot]"))

    def add_repo(self, full_name, installation=None, private=False, default_branch="main", labels=(),
                 workflows=None, roles=None, id=None):
        repo = Repo(id or next(self.ids), full_name, self.user(full_name.split("/")[0]), installation, private,
                    default_branch)
        repo.owner.kind = "Organization"
        repo.hook_id = next(self.ids)
        self.repos[full_name.lower()] = repo
        for name in labels:
            self.define_label(full_name, name)
        for login, role in (roles or {}).items():
            self.set_role(full_name, login, role)
        for workflow in workflows if workflows is not None else [{}]:
            self._add_workflow(repo, **workflow)
        return repo

    def _add_workflow(self, repo, file="ci.yml", events=("repository_dispatch", "workflow_dispatch"),
                      inputs=("repository", "number", "head_sha", "head_ref", "base_ref", "author", "key"),
                      names_runs=True):
        repo.workflows.append(Workflow(next(self.ids), file, tuple(events), tuple(inputs), names_runs))

    def repo(self, full_name):
        repo = self.repos.get(full_name.lower())
        if repo is None:
            raise NoSuchThing(f"repository {full_name}")
        return repo

    def pull(self, repo, number):
        pull = self.repo(repo).pulls.get(number)
        if pull is None:
            raise NoSuchThing(f"{repo}#{number}")
        return pull

    def define_label(self, repo, name, color="ededed", description=None, id=None):
        """Makes a label, or makes it anew: deleted and created again it has another id."""
        label = Label(id or next(self.ids), name, color, description)
        self.repo(repo).labels[name.lower()] = label
        return label

    def set_role(self, repo, login, role):
        if role not in ROLES:
            raise NoSuchThing(f"role {role}")
        self.user(login)
        self.repo(repo).roles[login.lower()] = role

    def role(self, repo, login):
        """A public repository is everyone's to read."""
        return repo.roles.get(login.lower(), "none" if repo.private else "read")

    def set_team(self, org, team, login, state="active"):
        key = (org.lower(), team.lower(), login.lower())
        self.user(login)
        if state is None:
            self.teams.pop(key, None)
        else:
            self.teams[key] = state

    def new_sha(self):
        return f"{self.random.getrandbits(160):040x}"

    # What people do. Each returns its deliveries.

    def open_pull(self, repo, author, by=None, title="Make it faster", body="What, why and how.\n" * 60,
                  head_ref="topic", base_ref=None, head_sha=None, draft=False, labels=(), mergeable=True,
                  mergeable_after_ms=0, fork=True, deleted_fork=False, number=None):
        repo = self.repo(repo)
        number = number or next(repo.next_number)
        sha = head_sha or self.new_sha()
        base_ref = base_ref or repo.default_branch
        repo.branches.add(base_ref)
        head_repo = None if deleted_fork else self._fork(repo, author) if fork else repo
        now = time.time()
        pull = Pull(repo, next(self.ids), number, self.user(author), head_repo,
                    head_sha=sha, head_ref=head_ref, base_ref=base_ref, base_sha=self.new_sha(), draft=draft,
                    state="open", merged=False, labels=(), mergeable=mergeable,
                    mergeable_from=time.monotonic() + mergeable_after_ms / 1000, title=title, body=body,
                    created_at=int(now), updated_at=int(now), closed_at=None)
        repo.pulls[number] = pull
        repo.pull_of_sha[sha] = pull
        sender = self.user(by or author or "ghost")
        given = [self._label_of(repo, name) for name in labels]
        pull.set(labels=tuple(given))
        for label in given:
            self._note(pull, "labeled", sender, label)
        sent = [self._pull_event(pull, "opened", sender)]
        sent += [self._pull_event(pull, "labeled", sender, label=payload.label(repo, label)) for label in given]
        return sent

    def _fork(self, repo, author):
        name = f"{author}/{repo.full_name.split('/')[1]}"
        fork = self.repos.get(name.lower())
        if fork is None:
            fork = Repo(next(self.ids), name, self.user(author), None, False, repo.default_branch)
            self.repos[name.lower()] = fork
        return fork

    def _label_of(self, repo, name):
        return repo.label(name) or self.define_label(repo.full_name, name)

    def push(self, repo, number, by=None, sha=None, mergeable=True, mergeable_after_ms=0, force=False):
        pull = self.pull(repo, number)
        before, after = pull.now["head_sha"], sha or self.new_sha()
        self._change(pull, head_sha=after, mergeable=mergeable,
                     mergeable_from=time.monotonic() + mergeable_after_ms / 1000)
        if force or after in pull.heads:  # going forward never leads back
            self._note(pull, "head_ref_force_pushed", self._actor(pull, by))
        pull.heads.append(after)
        pull.repo.pull_of_sha[after] = pull
        return [self._pull_event(pull, "synchronize", self._actor(pull, by), before=before, after=after)]

    def label(self, repo, number, label, by):
        pull = self.pull(repo, number)
        return self.add_label(pull, self._label_of(pull.repo, label), self.user(by))

    def add_label(self, pull, label, actor):
        if any(one.id == label.id for one in pull.now["labels"]):
            return []
        self._change(pull, labels=pull.now["labels"] + (label,))
        self._note(pull, "labeled", actor, label)
        return [self._pull_event(pull, "labeled", actor, label=payload.label(pull.repo, label))]

    def unlabel(self, repo, number, label, by):
        pull = self.pull(repo, number)
        found = next((one for one in pull.now["labels"] if one.name.lower() == label.lower()), None)
        return [] if found is None else self.remove_label(pull, found, self.user(by))

    def remove_label(self, pull, label, actor):
        self._change(pull, labels=tuple(one for one in pull.now["labels"] if one.id != label.id))
        self._note(pull, "unlabeled", actor, label)
        return [self._pull_event(pull, "unlabeled", actor, label=payload.label(pull.repo, label))]

    def close(self, repo, number, by=None, merged=False):
        return self._act(repo, number, by, "closed", state="closed", merged=merged, closed_at=int(time.time()))

    def reopen(self, repo, number, by=None):
        return self._act(repo, number, by, "reopened", state="open", closed_at=None)

    def to_draft(self, repo, number, by=None):
        return self._act(repo, number, by, "converted_to_draft", draft=True)

    def ready(self, repo, number, by=None):
        return self._act(repo, number, by, "ready_for_review", draft=False)

    def edit(self, repo, number, by=None, title="A better title"):
        return self._act(repo, number, by, "edited", title=title)

    def change_base(self, repo, number, base, by=None):
        pull = self.pull(repo, number)
        pull.repo.branches.add(base)
        return self.change_pull(pull, self._actor(pull, by), base=base)

    def change_pull(self, pull, actor, **wanted):
        """What PATCH does; each change that is one is told of."""
        names = {"title": "title", "body": "body", "base": "base_ref"}
        changed = {names[name]: wanted[name] for name in names if wanted.get(name, pull.now[names[name]]) !=
                   pull.now[names[name]]}
        was = {"base": {"ref": {"from": pull.now["base_ref"]}}} if "base_ref" in changed else {}
        sent = []
        if changed:
            self._change(pull, **changed)
            sent.append(self._pull_event(pull, "edited", actor, changes=was))
        if wanted.get("state", pull.now["state"]) != pull.now["state"]:
            deed = self.close if wanted["state"] == "closed" else self.reopen
            sent += deed(pull.repo.full_name, pull.number, by=actor.login)
        return sent

    def set_files(self, repo, number, files):
        """What the pull request changes; no event tells of it."""
        self.pull(repo, number).files = files

    def dismiss(self, repo, number):
        """Somebody dismisses all reviews."""
        for review in self.pull(repo, number).reviews:
            review.set(state="DISMISSED")

    def assign(self, repo, number, by=None):
        """An action that no rule is about."""
        return self._act(repo, number, by, "assigned")

    def _act(self, repo, number, by, action, **changes):
        pull = self.pull(repo, number)
        self._change(pull, **changes)
        if action in NOTED:
            self._note(pull, NOTED[action], self._actor(pull, by))
        return [self._pull_event(pull, action, self._actor(pull, by))]

    def _actor(self, pull, by):
        return self.user(by) if by else pull.author or self.user("ghost")

    def rerequest(self, repo, number, by, name, sha=None, suite=False):
        """Somebody presses "Re-run", of the newest check run of that name or of the suite that it is in."""
        pull = self.pull(repo, number)
        sha = sha or pull.now["head_sha"]
        run, same = self._newest_run(pull, name, sha), self._pulls_of(pull.repo, sha)
        make = payload.check_suite_event if suite else payload.check_run_event
        return [self._emit("check_suite" if suite else "check_run",
                           make(pull.repo, run, same, self.user(by)), pull.repo)]

    def press(self, repo, number, by, name, identifier, sha=None):
        """Somebody presses one of the buttons of the newest check run of that name; it has to be there."""
        pull = self.pull(repo, number)
        sha = sha or pull.now["head_sha"]
        run = self._newest_run(pull, name, sha)
        if identifier not in [action["identifier"] for action in run.get("actions", ())]:
            raise NoSuchThing(f"a button {identifier} of the check run {name} of {sha}")
        event = payload.check_run_event(pull.repo, run, self._pulls_of(pull.repo, sha), self.user(by),
                                        "requested_action", requested_action={"identifier": identifier})
        return [self._emit("check_run", event, pull.repo)]

    def _newest_run(self, pull, name, sha):
        runs = [run.now for run in pull.repo.check_runs.get(sha, ()) if run.now["name"] == name]
        if not runs:
            raise NoSuchThing(f"a check run {name} of {sha}")
        return runs[-1]

    def _pulls_of(self, place, sha):
        """Those from forks GitHub does not list."""
        return [one for one in place.pulls.values()
                if one.head_repo is one.repo and one.now["state"] == "open" and one.now["head_sha"] == sha]

    def comment(self, repo, number, body, by, app=None, association="CONTRIBUTOR"):
        pull = self.pull(repo, number)
        return [self.tell_comment(pull, self.add_comment(pull, body, self.user(by), app, association))]

    def add_comment(self, pull, body, actor, app=None, association="CONTRIBUTOR"):
        now = int(time.time())
        comment = Comment(id=next(self.ids), body=body, user=actor, app=app, created_at=now, updated_at=now,
                          association=association)
        pull.comments.append(comment)
        self._change(pull)
        return comment

    def tell_comment(self, pull, comment, action="created", sender=None, **extra):
        sender = sender or comment.now["user"]
        return self._emit("issue_comment", payload.issue_comment_event(pull, comment, action, sender, **extra), pull.repo)

    def edit_comment(self, repo, number, body, by, comment=None):
        """The newest, or the one of that id."""
        pull, found = self._comment(repo, number, comment)
        before = found.now["body"]
        found.set(body=body, updated_at=int(time.time()))
        return [self.tell_comment(pull, found, "edited", self.user(by), changes={"body": {"from": before}})]

    def delete_comment(self, repo, number, by, comment=None):
        pull, found = self._comment(repo, number, comment)
        pull.comments.remove(found)
        return [self.tell_comment(pull, found, "deleted", self.user(by))]

    def _comment(self, repo, number, id_):
        pull = self.pull(repo, number)
        found = next((one for one in reversed(pull.comments) if id_ in (None, one.now["id"])), None)
        if found is None:
            raise NoSuchThing(f"comment {id_}")
        return pull, found

    def set_mergeable(self, repo, number, mergeable, after_ms=0):
        """GitHub's background job finds something out: no event tells of it."""
        self.pull(repo, number).set(mergeable=mergeable, mergeable_from=time.monotonic() + after_ms / 1000)

    def _change(self, pull, **changes):
        pull.set(updated_at=max(int(time.time()), pull.now["updated_at"]), **changes)

    def _note(self, pull, event, actor, label=None):
        pull.events.append({"id": next(self.ids), "event": event, "actor": actor, "label": label,
                            "created_at": pull.now["updated_at"], "at": time.monotonic()})

    def tell_pull(self, pull, action, by=None, **extra):
        """Something that happens to it without a change that its fields show."""
        self._change(pull)
        return [self._pull_event(pull, action, self._actor(pull, by), **extra)]

    # Events

    def emit(self, event, body, repo):
        return self._emit(event, body, repo)

    def _pull_event(self, pull, action, sender, **extra):
        return self._emit("pull_request", payload.pull_request_event(pull, action, sender, **extra), pull.repo)

    def _emit(self, event, body, repo):
        guid = str(uuid.UUID(int=self.random.getrandbits(128), version=1))
        delivery = Delivery(next(self.ids), guid, event, payload.dumps(body), repo)
        self.deliveries.append(delivery)
        return delivery

    def redeliver(self, delivery):
        """Again under the same guid. With a hook it is really posted, a moment later; then the list has it."""
        again = Delivery(next(self.ids), delivery.guid, delivery.event, delivery.body, delivery.repo, True)
        if self.hook is None:
            self.deliveries.append(again)
            self.outbox.append(again)
            return

        def posted(status):
            again.status = status
            self.deliveries.append(again)
        self.hook.post_later(again, posted)

    def attempts(self, guid):
        """Every attempt to deliver that event, oldest first."""
        found = [one for one in self.deliveries if one.guid == guid]
        if not found:
            raise NoSuchThing(f"delivery {guid}")
        return found

    # What only programs do

    def start_runs(self, repo, event, body, key, workflow=None):
        """Starts the workflows that listen; the list of runs shows them after a while."""
        for one in repo.workflows:
            if event not in one.events or (workflow is not None and one is not workflow):
                continue
            title = f"CI {key}" if one.names_runs and key else event
            actions.add_run(self, repo, one, event, title, body=body,
                            number=body.get("number") if isinstance(body, dict) else None)
