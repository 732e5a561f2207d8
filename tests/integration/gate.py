"""One repository of a test's own, the people around it, and what came of it in the end."""
import itertools

from workspace import CHECK_NAME, INSTALLATION, ODD_LABEL, PINNED_LABEL_ID, TOKEN_USER

ROLES = {"ann": "write", "max": "maintain", "tim": "triage", TOKEN_USER: "write"}  # bob has none
ROUNDS = 20
NAMES = itertools.count(1)


def make_repo(site, owner, name=None):
    full_name = f"{owner}/{name or f'r{next(NAMES)}'}"
    site.sim.repo(full_name=full_name, installation=INSTALLATION if site.workspace.credentials == "app" else None,
                  labels=["CICD", "bug", ODD_LABEL], roles=ROLES)
    if owner == "pinned":
        site.sim.label_definition(repo=full_name, name="CICD", id=PINNED_LABEL_ID)
    return full_name


class PullView:
    """A pull request in the simulator's state, read in the gate's terms."""

    def __init__(self, place, number, pull):
        self.number, self.head, self.heads = number, pull["head"], pull["heads"]
        self.labels, self.comments, self.state = pull["labels"], pull["comments"], pull["state"]
        self._pull = pull
        self.sent = [one["payload"] for one in place["dispatches"]] + [one["body"] for one in place["triggers"]]
        self.sent = [one for one in self.sent if int(one["number"]) == number]

    @property
    def started(self):
        """The commits that CI was started for, in order."""
        return [one["head_sha"] for one in self.sent]

    def check(self, sha=None):
        """None, "waiting" or "done": a check run, or the newest commit status. One check run has to do."""
        sha = sha or self.head
        runs = [one for one in self._pull["checks"][sha] if one["name"] == CHECK_NAME]
        statuses = [one for one in self._pull["statuses"][sha] if one["context"] == CHECK_NAME]
        if len(runs) > 1:
            return f"{len(runs)} check runs of one name"
        if runs:
            return {("in_progress", None): "waiting", ("completed", "success"): "done"}[
                runs[0]["status"], runs[0]["conclusion"]]
        if statuses:
            return {"pending": "waiting", "success": "done"}[statuses[-1]["state"]]
        return None


def views(sim, repo):
    place = sim.state(repo=repo)["repos"][repo]
    return {int(number): PullView(place, int(number), pull) for number, pull in place["pulls"].items()}


class Gate:
    """A repository with one pull request, at one site."""

    def __init__(self, site, owner="dispatch"):
        self.site, self.sim = site, site.sim
        self.repo = make_repo(site, owner)

    def happen(self, deed, **arguments):
        """Something that a person does; its deliveries, which GitHub is yet to send."""
        if deed != "open":
            arguments = {"number": 1, **arguments}
        return self.sim.do(deed, {"repo": self.repo, **arguments})

    def do(self, deed, **arguments):
        """The same, delivered and worked off."""
        self.deliver(self.happen(deed, **arguments))
        return self.settled()

    def deliver(self, deliveries):
        self.site.deliver(deliveries)

    def settled(self):
        """Waits until prgate is idle and all echoes of what it did have been delivered too."""
        for _ in range(ROUNDS):
            self.site.wait_idle()
            echoes = self.sim.outbox()
            if not echoes:
                return self.pull
            self.deliver(echoes)
        raise AssertionError("the gate does not come to rest: it answers its own echoes")

    @property
    def pull(self):
        return views(self.sim, self.repo)[1]

    @property
    def ledger(self):
        return self.site.ledger(self.repo, 1)
