"""The check on GitHub leads to the pull request's page."""
import pytest
from conftest import end
from gate import Gate
from servers import Cgi
from workspace import CHECK_NAME

ADDRESS = "https://gate.example/ci"


@pytest.fixture(params=["app", "token"])
def site(request, make_site, github):
    github.forget()
    site = make_site(Cgi, github, request.param, extra=f'public_url = "{ADDRESS}"\n')
    yield site
    assert github.violations() == []
    end(site)


def link_of_check(gate):
    pull = gate.sim.state(repo=gate.repo)["repos"][gate.repo]["pulls"]["1"]
    runs = [one["details_url"] for one in pull["checks"][pull["head"]] if one["name"] == CHECK_NAME]
    statuses = [one["target_url"] for one in pull["statuses"][pull["head"]] if one["context"] == CHECK_NAME]
    return (runs + statuses)[-1]


def test_details_of_the_check_are_the_page(site):
    gate = Gate(site)
    gate.do("open", author="bob")
    link = link_of_check(gate)
    assert link == f"{ADDRESS}/status/{gate.repo}/1"
    status, page = site.get(link.removeprefix(ADDRESS))
    assert status == 200
    assert f"<h1>{gate.repo}#1".encode() in page and b"What has to happen next" in page
    gate.do("label", label="CICD", by="tim")
    assert link_of_check(gate) == link
