"""Makes a failing case small: whatever can be left out without the failure going away is left out."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from .case import Case

Path = tuple[Any, ...]


def shrink(case: Case, fails: Callable[[Case], bool], seconds: float = 300) -> Case:
    """The smallest case found in the time for which `fails` holds, as it does for the given one.

    A case that cannot be played is one that does not fail.
    """
    deadline = time.monotonic() + seconds
    smaller = True
    while smaller and time.monotonic() < deadline:
        smaller = False
        for path in sorted(paths(case), key=lambda p: -size(at(case, p))):
            if time.monotonic() > deadline:
                break
            if not exists(case, path):  # gone with what was around it
                continue
            for candidate in simpler(case, path):
                if size(candidate) < size(case) and fails(candidate):
                    case, smaller = candidate, True
                    break
    return case


def paths(node: Any, path: Path = ()) -> Iterator[Path]:
    """The places of everything in a case, those in lists from the end, so that removing one moves none that follows."""
    if path:
        yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in reversed(list(children)):
        yield from paths(child, (*path, key))


def at(node: Any, path: Path) -> Any:
    for key in path:
        node = node[key]
    return node


def exists(node: Any, path: Path) -> bool:
    try:
        at(node, path)
    except (KeyError, IndexError, TypeError):
        return False
    return True


def size(node: Any) -> int:
    return len(json.dumps(node))


def simpler(case: Case, path: Path) -> Iterator[Case]:
    """The case without what is at the path, else with something plainer there."""
    yield edited(case, path, lambda parent, key: parent.pop(key))
    old = at(case, path)
    if isinstance(old, list) and len(old) > 3:
        for part in (old[: len(old) // 2], old[len(old) // 2 :]):
            yield edited(case, path, lambda parent, key, part=part: parent.__setitem__(key, part))
    if isinstance(old, str) and "rows" in path and len(old) > 1:
        yield edited(case, path, lambda parent, key: parent.__setitem__(key, "a"))
    if isinstance(old, dict) and set(old) == {"key", "code_version"}:
        yield edited(case, path, lambda parent, key: parent.__setitem__(key, old["key"]))


def edited(case: Case, path: Path, edit: Callable[[Any, Any], Any]) -> Case:
    new = copy.deepcopy(case)
    edit(at(new, path[:-1]), path[-1])
    return new
