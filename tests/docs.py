#!/usr/bin/python3
"""docs.py [DIRECTORY]: links of the pages in DIRECTORY, else of those in the sources. Each relative link leads to a file,
and each anchor to a heading, by the names that GitHub gives them."""
import pathlib
import re
import sys
import urllib.parse

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


def main():
    if len(sys.argv) > 1:
        wrong = check_links(sorted(pathlib.Path(sys.argv[1]).glob("*.md")))
    else:
        wrong = check_links([*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))])
    for line in wrong:
        print(f"docs: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
