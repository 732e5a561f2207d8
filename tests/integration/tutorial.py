"""A page of docs/ as a script: what a reader types is run, what the page shows is compared.

A block ```sh is run, each in a shell of its own that stops at the first error. A block ```text behind it is what it has
to print; "..." stands for anything. Where a line of its own is an HTML comment,

    <!-- test: WORDS -->     calls the test's deed of that name: what a person does on GitHub's pages
    <!-- not run: REASON --> has the next block left out

A deed that is not there, a block ```text with nothing before it, and a deed that nobody asked for are errors: so no part of a
page is passed over by mistake.
"""
import os
import re
import subprocess

from workspace import ROOT

RUN_S = 60
# A reader does not type below a make, as the tests run: a make of theirs would tell which directories it enters.
OF_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")


class Differs(AssertionError):
    """The page shows something else than what happens."""


def steps(text):
    """[(kind, content)]: "sh", "text", "test" or "not run", in their order; other blocks are left out."""
    found = []
    pattern = re.compile(r"^```(\w*)\n(.*?)^```$|^<!-- (test|not run): (.*?) -->$", re.M | re.S)
    for block in pattern.finditer(text):
        language, content, mark, words = block.groups()
        if mark:
            found.append((mark, words))
        elif language in ("sh", "text"):
            found.append((language, content))
    return found


def fits(wanted, got):
    """Line by line, blanks at the ends aside; "..." is anything, more lines too."""
    pattern = re.escape(wanted.strip()).replace(re.escape("..."), ".*")
    return re.fullmatch(pattern, got.strip(), re.S) is not None


class Tutorial:
    def __init__(self, page, cwd, replacements, environment, deeds):
        """`replacements`: {what stands in the page: what this machine needs instead}; each must be in the page."""
        self.text = (ROOT / "docs" / page).read_text()
        self.cwd, self.environment, self.deeds = cwd, environment, deeds
        self.replacements = replacements
        for old in replacements:
            assert old in self.text, f"{page} does not have {old!r}"
        self.user = {}  # for subprocess: who types
        self.commands = 0

    def here(self, text):
        """The longest first where one is the beginning of another; what was put in is not looked at again."""
        longest_first = sorted(self.replacements, key=len, reverse=True)
        return re.sub("|".join(map(re.escape, longest_first)), lambda found: str(self.replacements[found[0]]), text)

    def run(self):
        printed, left_out, done = None, False, set()
        for kind, content in steps(self.text):
            if kind == "not run":
                left_out = True
            elif kind == "test":
                self.deeds[content]()
                done.add(content)
            elif kind == "sh":
                printed = None if left_out else self.type(content)
                self.commands += not left_out
                left_out = False
            else:
                assert printed is not None, f"nothing was run that could print\n{content}"
                wanted = self.here(content)
                if not fits(wanted, printed):
                    raise Differs(f"the page shows\n{wanted}\nand this was printed\n{printed}")
        assert done == set(self.deeds), f"the page does not have {set(self.deeds) - done}"

    def type(self, block):
        around = {name: value for name, value in os.environ.items() if name not in OF_MAKE}
        ran = subprocess.run(["sh", "-eu", "-c", self.here(block)], cwd=self.cwd, env={**around, **self.environment},
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                             timeout=RUN_S, check=False, **self.user)
        if ran.returncode != 0:
            raise Differs(f"this ended with {ran.returncode}:\n{self.here(block)}\n{ran.stdout}")
        return ran.stdout
