"""The bench's own arithmetic, and the table that it fills."""
import dataclasses
import json
import math


def percentile(values, share):
    """The smallest of them that `share` (0 to 1) of them do not exceed."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def ratio(value, base):
    """None: there is nothing to compare with."""
    return value / base if value is not None and base else None


def number(value):
    """With three digits that count, or all of those before the point."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 2 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 4)}f}"


@dataclasses.dataclass
class Target:
    text: str
    met: bool | None = None  # None: not to be told here
    why: str = ""            # then

    @property
    def verdict(self):
        return self.why if self.met is None else "met" if self.met else "not met"


def at_least(value, limit, text):
    return unknown(text, "not measured") if value is None or limit is None else Target(text, value >= limit)


def at_most(value, limit, text):
    return unknown(text, "not measured") if value is None or limit is None else Target(text, value <= limit)


def unknown(text, why):
    return Target(text, why=why)


def lower_of(*limits):
    """The lowest of those that are known; None without any."""
    return min((one for one in limits if one is not None), default=None)


@dataclasses.dataclass
class Row:
    group: str              # the letter of the question that it answers
    what: str
    figure: str             # the absolute, for people
    value: float | None = None
    unit: str = ""
    ratio: float | None = None
    of: str = ""            # what the ratio is to
    target: Target | None = None

    def compared(self, base, of):
        """The same row with its ratio to `base`."""
        self.ratio, self.of = ratio(self.value, base), of
        return self

    def aimed(self, target):
        self.target = target
        return self


HEAD = ("", "what", "absolute", "ratio", "target", "")


def cells(row):
    compared = f"{number(row.ratio)} × {row.of}" if row.ratio is not None else ""
    aim = (row.target.text, row.target.verdict) if row.target else ("", "")
    return (f"({row.group})", row.what, row.figure, compared, *aim)


def markdown(rows):
    lines = ["| " + " | ".join(HEAD) + " |", "| " + " | ".join("---" for _ in HEAD) + " |"]
    return "\n".join(lines + ["| " + " | ".join(cells(row)) + " |" for row in rows]) + "\n"


def as_json(machine, rows):
    return json.dumps({"machine": machine, "rows": [dataclasses.asdict(row) for row in rows]}, indent=1,
                      ensure_ascii=False) + "\n"


def plain(rows):
    """The same table in columns, for a terminal."""
    table = [HEAD, *(cells(row) for row in rows)]
    widths = [max(len(line[at]) for line in table) for at in range(len(HEAD))]
    return "".join("  ".join(f"{cell:{width}}" for cell, width in zip(line, widths)).rstrip() + "\n" for line in table)
