"""Reactions to comments."""
from . import fields, payload
from .reply import Reply, not_found
from .rest import route

CONTENTS = ("+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes")


def _comment(ask):
    """A comment belongs to the repository; the route does not say to which issue."""
    for pull in ask.repo.pulls.values():
        for said in pull.comments:
            if str(said.now["id"]) == ask.params["id"]:
                return pull, said
    raise not_found()


@route("POST", "/repos/{o}/{r}/issues/comments/{id}/reactions", permission="pull_requests:write")
def add_reaction(ask):
    """One of a kind by each account: what is there already is shown again."""
    pull, said = _comment(ask)
    fields.demand("Reaction", ask.body, {"content": fields.one_of(*CONTENTS)})
    actor, content = ask.credential.actor, ask.body["content"]
    found = next((one for one in said.reactions if one["user"] is actor and one["content"] == content), None)
    if found is not None:
        return Reply(200, payload.reaction(found))
    made = {"id": next(ask.world.ids), "user": actor, "content": content, "created_at": pull.now["updated_at"]}
    said.reactions.append(made)
    return Reply(201, payload.reaction(made))


@route("GET", "/repos/{o}/{r}/issues/comments/{id}/reactions", permission="pull_requests:read")
def list_reactions(ask):
    _, said = _comment(ask)
    return ask.page([payload.reaction(one) for one in said.reactions])
