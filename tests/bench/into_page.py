#!/usr/bin/python3
"""into_page.py TABLE PAGE: puts the table that `make bench` wrote between the two marks that the page has for it."""
import pathlib
import re
import sys

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def placed(page, table):
    """The page with that table in it."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{BEGIN} and {END} are not both there")
    return f"{before}{BEGIN}\n{table.strip()}\n{END}{after}"


def missing(table):
    """What keeps the table from being one of a whole run, or None."""
    gap = re.search(r"failed: |not measured|not there: ", table)
    groups = "".join(letter for letter in "abcdefghi" if f"| ({letter}) |" not in table)
    return gap.group().strip(" :") if gap else f"without {groups}" if groups else None


def main():
    table, page = map(pathlib.Path, sys.argv[1:])
    text = table.read_text()
    if missing(text):
        sys.exit(f"into_page.py: {table} is not of a whole run ({missing(text)}); run: make bench-peers bench")
    page.write_text(placed(page.read_text(), text))


if __name__ == "__main__":
    main()
