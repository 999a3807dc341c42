"""Random projects on one store that real Metaxy and metaxy-pipes use in turn: equal increments, tables and version hashes."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from differential import compare
from differential.case import dump, load
from differential.compare import Difference
from differential.generate import generate
from differential.ours import Ours
from differential.run import play
from differential.search import KEPT, differs, search
from differential.shrink import shrink, size

CASES = 240
BATCHES = 12


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ours]:
    with Ours(tmp_path_factory.mktemp("differential")) as helper:
        yield helper


@pytest.fixture(scope="module")
def seen() -> Counter[str]:
    """What the cases of this run were made of."""
    return Counter()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("batch", range(BATCHES))
def test_metaxy_and_we_agree(batch: int, tmp_path: Path, ours: Ours, seen: Counter[str]) -> None:
    for seed in range(batch, CASES, BATCHES):
        seen["cases"] += 1
        try:
            play(generate(seed), tmp_path / str(seed), ours, seen)
        except Exception as err:
            err.add_note(f"seed {seed}: python -m differential.search --seed {seed} makes it small")
            raise


def test_the_cases_have_everything(seen: Counter[str]) -> None:
    """Each kind of step, outcome and option is there often enough for the agreement to mean something."""
    if seen["cases"] < CASES:
        pytest.skip("only a part of the cases was played")
    few = {"compute by both": 10, "refused by metaxy": 1, "skip_comparison": 20, "global_filters": 20, "target_filters": 20}
    often = ["write", "advance", "delete"]
    wanted = {
        **few, **{f"{op} by {who}": 40 for op in often for who in ("metaxy", "ours")}, "resolve by both": 500, "read by both": 500,
        "new": 500, "stale": 500, "orphaned": 500, "rows read": 2000, "staleness_predicates": 40, "filters": 40,
    }
    made_of = [
        "xxhash32", "xxhash64", "xxh3_64", "wyhash", "sha256", "md5", "cut to 8", "cut to 16", "cut to 64", "lineage 1:1", "lineage N:1",
        "lineage 1:N", "mapping default", "mapping specific", "mapping all", "mapping none", "dep optional", "dep rename", "dep select",
        "dep filters", "field deps", "all optional", "several parents", "2 features", "8 features",
        *(f"id {t}" for t in ("string", "int64", "int32", "bool", "date", "timestamp", "float64")),
    ]
    wanted |= dict.fromkeys(made_of, 10)
    assert not {k: (seen[k], n) for k, n in wanted.items() if seen[k] < n}
    assert seen["refused"] + seen["refused by metaxy"] < 0.2 * (seen["resolve by both"] + seen["read by both"])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", sorted(KEPT.glob("*.json")), ids=lambda p: p.stem)
def test_what_was_found_before(path: Path, tmp_path: Path, ours: Ours) -> None:
    play(load(path), tmp_path / "case", ours)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("rule", sorted(compare.RULES))
def test_each_rule_is_needed(rule: str, tmp_path: Path, ours: Ours, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where we differ from Metaxy on purpose: without its rule, the smallest case of each is a difference."""
    monkeypatch.setitem(compare.RULES, rule, False)
    with pytest.raises(Difference):
        play(load(KEPT / f"rule_{rule.replace(' ', '_')}.json"), tmp_path / "case", ours)


def test_a_case_is_the_same_every_time() -> None:
    assert dump(generate(7)) == dump(generate(7)) != dump(generate(8))


def test_shrinking_leaves_what_matters() -> None:
    """Looks for an empty version in a table that is aggregated, and finds a case with nothing else."""

    def planted(case: dict[str, Any]) -> bool:
        grouped = {
            d["feature"] for graph in case["graphs"] for spec in graph for d in spec.get("deps", [])
            if d.get("lineage", {}).get("relationship", {}).get("type") == "N:1"
        }
        return any(
            s["op"] == "write" and s["feature"] in grouped and any("" in r["metaxy_provenance_by_field"].values() for r in s["rows"])
            for s in case["steps"]
        )

    def fails(case: dict[str, Any]) -> bool:
        try:
            return planted(case)
        except (KeyError, AttributeError, TypeError):
            return False

    case = next(c for c in map(generate, range(1000)) if fails(c) and len(c["steps"]) > 10)
    small = shrink(case, fails, 60)
    assert size(small) < size(case) / 10
    (graph,), (step,) = small["graphs"], small["steps"]
    (spec,) = graph
    assert list(spec) == ["deps"] and len(spec["deps"]) == 1
    (row,) = step["rows"]
    assert row == {"metaxy_provenance_by_field": row["metaxy_provenance_by_field"]}
    assert list(row["metaxy_provenance_by_field"].values()) == [""]


class Sabotaged:
    """Our side with a mistake: a stale sample whose version begins with 1 to 4 is overlooked."""

    def __init__(self, honest: Ours) -> None:
        self.honest = honest

    def ask(self, **request: Any) -> dict[str, Any]:
        answer = self.honest.ask(**request)
        if request["Op"] == "resolve":
            stale = answer["frames"]["stale"]
            answer["frames"]["stale"] = stale.filter(~pl.col("metaxy_provenance").str.contains("^[1-4]"))
        return answer


@pytest.mark.filterwarnings("ignore")
def test_a_mistake_is_found_and_made_small(tmp_path: Path, ours: Ours, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search over a side with a planted mistake keeps a small case, which shows the mistake and nothing else."""
    monkeypatch.setattr("differential.search.KEPT", tmp_path / "kept")
    monkeypatch.setattr("differential.search.SHRINK_SECONDS", 40.0)
    bad: Any = Sabotaged(ours)
    seed = next(n for n in range(5000, 5100) if differs(generate(n), tmp_path / "case", bad))
    assert search(bad, tmp_path, 60, seed) == 1
    (kept,) = (tmp_path / "kept").glob("*.json")
    small = load(kept)
    assert size(small) < 1000, dump(small)
    with pytest.raises(Difference, match="stale"):
        play(copy.deepcopy(small), tmp_path / "again", bad)
    play(small, tmp_path / "honest", ours)
