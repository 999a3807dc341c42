"""Random conditions, valid and not, over a table with every type: the rows that pass here are those that pass in Metaxy."""

from __future__ import annotations

import datetime
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import narwhals as nw
import polars as pl
import pytest
from differential.ours import Ours, OurError
from metaxy.models.filter_expression import parse_filter_string

CONDITIONS = 1500
TABLE = pl.DataFrame(
    {
        "n": list(range(8)),
        "i": [1, 2, 3, -1, 0, None, 2**53 + 1, 2**53],
        "j": pl.Series([1, 2, 3, -1, 0, None, 7, 8], dtype=pl.Int32),
        "f": [1.0, 2.5, -0.5, None, 0.0, 1e300, 3.0, 2.0],
        "s": ["x", "", "it's", None, "é", "X", "1", "TRUE"],
        "b": [True, False, None, True, False, None, True, False],
        "a.b": [1, 2, None, 4, 5, 6, 7, 8],
        "Mixed Case": [3, 2, 1, None, 3, 2, 1, 0],
        "d": [datetime.date(2024, 1, 1 + n) for n in range(8)],
    }
)
NUMBERS = ["i", "j", "f", "a.b", '"a.b"', '"Mixed Case"']
COMPARISONS = ["=", "==", "!=", "<>", "<", "<=", ">", ">="]
ODD = ["i LIKE 1", "i + 1 = 2", "LOWER(s) = 'x'", "i = 'x'", "s = 1", "gone = 1", "i BETWEEN 1 AND 2", "TRUE", "1 = 1", "i =", "(i = 1", "CAST(i AS TEXT) = '1'", "s || 'x' = 'x'"]


class Conditions:
    """Conditions by the grammar, and some that are not."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def one(self, depth: int = 3) -> str:
        if self.rng.random() < 0.04:
            return self.rng.choice(ODD)
        kind = self.rng.randrange(9 if depth else 5)
        if kind < 5:
            return self.rng.choice([self.comparison, self.comparison, self.null, self.listed, self.truth])()
        if kind == 5:
            return f"{self.rng.choice(['NOT ', 'not ', '!'])}{self.bracketed(depth)}"
        if kind == 6:
            return f"({self.one(depth - 1)})"
        word = self.rng.choice(["AND", "OR", "and", "Or"])
        return f"{self.one(depth - 1)} {word} {self.one(depth - 1)}"

    def bracketed(self, depth: int) -> str:
        inner = self.one(depth - 1)
        return f"({inner})" if self.rng.random() < 0.7 else inner

    def number(self) -> str:
        return self.rng.choice(["1", "2", "0", "-1", "- 1", "+1", "1.0", "2.5", ".5", "1e2", "3.", "9007199254740993", "9007199254740992", "1E300"])

    def text(self) -> str:
        return self.rng.choice(["'x'", "''", "'it''s'", "'é'", "'1'", "'TRUE'"])

    def comparison(self) -> str:
        op = self.rng.choice(COMPARISONS)
        kind = self.rng.randrange(8)
        if kind == 0:
            sides = [self.rng.choice(NUMBERS), self.rng.choice(NUMBERS)]
        elif kind == 1:
            sides = ["s", self.text()]
        elif kind == 2:
            sides = ["b", self.rng.choice(["TRUE", "FALSE", "1", "0", "b"])]
        elif kind == 3:
            sides = [self.rng.choice([*NUMBERS, "s", "b"]), "NULL"]
        else:
            sides = [self.rng.choice(NUMBERS), self.number()]
        if self.rng.random() < 0.3:
            sides.reverse()
        return f"{sides[0]} {op} {sides[1]}"

    def null(self) -> str:
        column = self.rng.choice([*NUMBERS, "s", "b", "d"])
        return f"{column} {self.rng.choice(['IS NULL', 'IS NOT NULL', 'ISNULL', 'NOTNULL', 'is null'])}"

    def truth(self) -> str:
        return self.rng.choice(["b", "NOT b", "b IS TRUE", "b IS NOT TRUE", "b IS FALSE", "b IS NOT FALSE", "i IS 1", "i IS NOT 1", "s IS 'x'"])

    def listed(self) -> str:
        """Lists of the column's own type; what Metaxy makes of others is in docs/compatibility.md."""
        kind = self.rng.choice(["i", "j", "s", "f"])
        literals = {"i": ["1", "2", "-1", "NULL", "9007199254740993"], "j": ["1", "7", "NULL"], "s": ["'x'", "''", "'é'", "NULL"], "f": ["1.0", "2.5", "-0.5", "NULL"]}[kind]
        chosen = ", ".join(self.rng.choices(literals, k=self.rng.randint(1, 3)))
        return f"{kind} {self.rng.choice(['IN', 'NOT IN', 'in'])} ({chosen})"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ours]:
    with Ours(tmp_path_factory.mktemp("filters")) as helper:
        yield helper


def metaxy_rows(condition: str) -> list[int] | None:
    """The rows that pass in Metaxy; None if it refuses."""
    try:
        return nw.from_native(TABLE).filter(parse_filter_string(condition))["n"].to_list()
    except BaseException as err:  # noqa: BLE001: Polars panics too
        if isinstance(err, KeyboardInterrupt):
            raise
        return None


def our_rows(ours: Ours, condition: str) -> list[int] | None:
    try:
        return ours.ask(Op="match", Rows=TABLE, Where=[condition])["frames"]["match"]["n"].to_list()
    except OurError:
        return None


def test_numbers_as_conditions(ours: Ours) -> None:
    """A number alone is true if it is not zero. Within other conditions Metaxy works on its bits, or fails."""
    for condition in ("i", "f", "j"):
        assert metaxy_rows(condition) == our_rows(ours, condition) != []
    assert metaxy_rows("NOT i") == [0, 1, 2, 4, 6, 7]  # all but -1, whose complement is 0
    assert our_rows(ours, "NOT i") == [4]
    assert metaxy_rows("NOT f") is None
    assert our_rows(ours, "NOT f") == [4]
    assert metaxy_rows("f OR b") is None
    assert our_rows(ours, "f OR b") == [0, 1, 2, 3, 5, 6, 7]


def test_not_of_a_bare_null(ours: Ours) -> None:
    """Metaxy fails over it, where three values have an answer."""
    for condition, rows in (("NOT (b OR NULL)", []), ("NOT (b AND NULL)", [1, 4, 7])):
        assert metaxy_rows(condition) is None
        assert our_rows(ours, condition) == rows
    for condition in ("b OR NULL", "b AND NULL", "NULL"):
        assert metaxy_rows(condition) == our_rows(ours, condition)


def test_random_conditions(ours: Ours) -> None:
    seen: Counter[str] = Counter()
    wrong: list[Any] = []
    for seed in range(CONDITIONS):
        condition = Conditions(seed).one()
        theirs, mine = metaxy_rows(condition), our_rows(ours, condition)
        seen["refused" if theirs is None else "some" if theirs else "none"] += 1
        if theirs != mine:
            wrong.append((condition, theirs, mine))
    assert not wrong, f"{len(wrong)} of {CONDITIONS}: {sorted(wrong, key=lambda w: len(w[0]))[:8]}"
    assert seen["some"] > CONDITIONS / 2 and seen["refused"] > 20, seen
