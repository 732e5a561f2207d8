#!/usr/bin/python3
"""docs.py [DIRECTORY]: links of the pages in DIRECTORY, else of those in the sources. Each relative link leads to a file,
and each anchor to a heading, by the names that GitHub gives them. Of the sources also: what a page quotes as a message of
prgate's (a block ```message) really stands in the code, and each workflow is one that GitHub would take."""
import pathlib
import re
import sys
import urllib.parse

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent


def prose(text):
    """Without fenced code and code spans: a link in there is none."""
    text = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(text):
    """GitHub's: small letters, no punctuation, blanks are hyphens; the second of a name gets -1, and so on."""
    text = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.M | re.S)
    found, seen = set(re.findall(r'<a (?:id|name)="([^"]+)"', text)), {}
    for heading in re.findall(r"^#+ +(.+?) *$", text, re.M):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{name}-{seen[name]}" if name in seen else name)
        seen[name] = seen.get(name, 0) + 1
    return found


def links(text):
    text = prose(text)
    return re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:href|src)="([^"]+)"', text)


def broken_links(pages):
    """What is wrong, a line each; and how many relative links there are."""
    wrong, count = [], 0
    for page in pages:
        for link in links(page.read_text()):
            if re.match(r"[a-z]+:", link):
                continue
            count += 1
            path, _, anchor = urllib.parse.unquote(link).partition("#")
            target = (page.parent / path) if path else page
            if not target.exists():
                wrong.append(f"{page}: {link}: there is no such file")
            elif anchor and anchor not in anchors(target.read_text()):
                wrong.append(f"{page}: {link}: there is no such heading")
    return wrong, count


def check_links(pages):
    wrong, count = broken_links(pages)
    if count < 20:
        wrong.append(f"only {count} relative links were found")
    return wrong


# ---- messages --------------------------------------------------------------------------

FRAGMENT_MIN = 6  # what is shorter stands somewhere by chance


def spoken(text):
    """The texts of a C source: neighbouring literals joined, escapes resolved."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    literal = r'"(?:[^"\\\n]|\\.)*"'
    for group in re.findall(rf"{literal}(?:\s*(?:PRI\w+\s*)?{literal})*", text):
        yield "".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', group)).replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")


def corpus():
    """All that prgate may say, and what nginx says in its stead; one text a line."""
    texts = [text for pattern in ("core/*.c", "fcgi/*.c", "cli/*.c") for file in sorted(ROOT.glob(pattern))
             for text in spoken(file.read_text())]
    texts += re.findall(r"return \d+ '(.*)\\n'", (ROOT / "nginx.conf.example").read_text())
    return texts


def not_said(quote, texts):
    """The first part of the quotation that nothing says; None if all is well. "..." separates parts."""
    parts = [part.strip() for part in quote.split("...")]
    wanted = [part for part in parts if len(part) >= FRAGMENT_MIN]
    if not wanted:
        return quote
    for part in wanted:
        if not any(part in text for text in texts):
            return part
    return None


def check_messages(pages):
    texts, wrong, count = corpus(), [], 0
    for page in pages:
        for block in re.findall(r"^```message\n(.*?)^```$", page.read_text(), re.M | re.S):
            for quote in block.splitlines():
                count += 1
                part = not_said(quote, texts)
                if part is not None:
                    wrong.append(f"{page}: prgate never says: {part}")
    if count < 40:
        wrong.append(f"only {count} messages were found")
    # Would a message be missed that nobody says?
    for made_up in ("the flux capacitor is not configured", "the pull request is closed: dropped it"):
        if not_said(made_up, texts) is None:
            wrong.append(f"a made-up message passes: {made_up}")
    return wrong


# ---- workflows --------------------------------------------------------------------------

INPUTS = {"repository", "number", "head_sha", "head_ref", "base_ref", "author", "key"}
STRANGERS = re.compile(r"\$\{\{[^}]*\b(head_ref|author)\b")


def steps_mistakes(name, job):
    if "runs-on" not in job or not isinstance(job.get("steps"), list):
        yield f"job {name} has no runs-on, or no steps"
        return
    for step in job["steps"]:
        if ("run" in step) == ("uses" in step):
            yield f"job {name}: a step is either run or uses"
        if STRANGERS.search(str(step.get("run", ""))):
            yield f"job {name}: a stranger's text in a script"


def jobs_mistakes(jobs):
    for name, job in jobs.items():
        yield from steps_mistakes(name, job)
        needs = job.get("needs", [])
        for one in [needs] if isinstance(needs, str) else needs:
            if one not in jobs:
                yield f"job {name} needs {one}, which is not there"


def gated_mistakes(flow, text):
    """Of a workflow that prgate starts."""
    listens = flow[True]  # YAML takes "on" for a truth value
    if set(listens) - {"repository_dispatch", "workflow_dispatch"}:
        yield f"it listens to {', '.join(listens)}: it would run ungated"
    inputs = (listens.get("workflow_dispatch") or {}).get("inputs")
    if "workflow_dispatch" in listens and (set(inputs) != INPUTS or any(one["type"] != "string" for one in inputs.values())):
        yield "its inputs are not the seven that prgate sends, as strings"
    if flow.get("permissions") != {}:
        yield "it does not take all permissions away at its head"
    if "key" not in flow.get("run-name", ""):
        yield "its runs do not have the key in their names"
    for job in flow["jobs"].values():
        writes = "write" in job.get("permissions", {}).values()
        if writes and any("checkout" in step.get("uses", "") for step in job["steps"]):
            yield "a job that has the stranger's code may write"
    if text.count("${{") != text.count("}}"):
        yield "an expression is not closed"


def check_workflows(pages):
    wrong, count = [], 0
    for page in pages:
        for before, text in re.findall(r"^(<!-- before -->\n)?```yaml\n(.*?)^```$", page.read_text(), re.M | re.S):
            try:
                flow = yaml.safe_load(text)
            except yaml.YAMLError as error:
                wrong.append(f"{page}: a block is no YAML: {error}")
                continue
            if "jobs" not in flow:
                continue
            count += not before
            mistakes = [*jobs_mistakes(flow["jobs"]), *([] if before else gated_mistakes(flow, text))]
            wrong += [f"{page}: workflow {flow.get('name')}: {mistake}" for mistake in mistakes]
    if count < 4:
        wrong.append(f"only {count} workflows were found")
    return wrong


def main():
    if len(sys.argv) > 1:
        wrong = check_links(sorted(pathlib.Path(sys.argv[1]).glob("*.md")))
    else:
        pages = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]
        wrong = check_links(pages) + check_messages(pages) + check_workflows(pages)
    for line in wrong:
        print(f"docs: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
