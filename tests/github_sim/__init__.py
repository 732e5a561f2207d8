"""A stateful simulator of GitHub, as far as prgate talks to it.

It is a process of its own: `python3 -m github_sim --port N`, or github_sim.client.start()
from a test. Below the root it answers like api.github.com, and as strictly; below /_sim/
a test arranges the world, acts as a person, switches faults on and looks at what came
in (control.py); /_ci/hook plays the project's own CI (own_ci.py).

    world.py    the state and what changes it       payload.py  its JSON, GitHub's webhooks
    rest.py     GitHub's routes                     fields.py   what bodies may contain
    auth.py     Apps, tokens                        faults.py   what goes wrong on demand
    journal.py  who called when, and overlaps       server.py   one request's way through
    actions.py  runs and merge queues               actions_rest.py  the routes about runs
    hooks.py    posting deliveries, once more on demand
    own_app.py  what the App asks for, and where its webhook goes
    manifest_flow.py  an App registered from a manifest
    policy_rest.py  routes for policies: files, changing a pull request, reviews
"""
