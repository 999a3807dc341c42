"""A sensor that starts a run when there is something to do, and says how much."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from metaxy_pipes.command import Command, CommandError
from metaxy_pipes.description import Description, Feature
from metaxy_pipes.specs import asset_key
from metaxy_pipes.status import Status, ask

DEFAULT_INTERVAL_SECONDS = 60
ASK_TIMEOUT_SECONDS = 50


def increment_sensor(
    name: str,
    command: Command,
    description: Description,
    *,
    select: Sequence[str] | None = None,
    key_prefix: str | Sequence[str] = (),
    minimum_interval_seconds: int = DEFAULT_INTERVAL_SECONDS,
    retry_failed_after_seconds: float | None = None,
    minimum_samples: int = 1,
    run_tags: Mapping[str, str] | None = None,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.SensorDefinition:
    """A sensor that materializes the features whose increment is not empty.

    A tick asks the binary, which runs where the sensor does and only reads. It starts one run for all features that have
    something to do; the increment's size stands in the tick's log, its message and the run's tags. An increment is asked
    for once: as long as neither the parents' data nor the feature's version has changed since, samples that failed do not
    start runs again and again.

    Args:
        name: name of the sensor.
        command: the binary with its flags, as `Command.of` makes it.
        description: what the binary describes.
        select: the features to materialize; None means all that have parents and a processor.
        key_prefix: the prefix of the asset keys, as given to `metaxy_pipes_assets`.
        minimum_interval_seconds: time between two ticks.
        retry_failed_after_seconds: ask for the same increment again after so long; None means never.
        minimum_samples: how many samples an increment must have.
        run_tags: tags of the runs.
        default_status: whether the sensor runs as soon as it is deployed.

    """
    prefix = (key_prefix,) if isinstance(key_prefix, str) else tuple(key_prefix)
    if select is None:
        chosen = [f for f in description if f.deps and f.processor]
    else:
        chosen = [description[key] for key in select]
    if not chosen:
        raise ValueError(f"sensor {name}: no feature has parents and a processor; name those to materialize in `select`")
    keys = {f.key: asset_key(f, prefix) for f in chosen}

    @dg.sensor(
        name=name,
        asset_selection=dg.AssetSelection.assets(*keys.values()),
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
        description=f"Materializes {', '.join(keys)} when samples are new or stale.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        asked = [f.key for f in _with_parents(chosen, description)]
        try:
            states = {s.feature: s for s in ask(command, asked, timeout=ASK_TIMEOUT_SECONDS)}
        except CommandError as err:
            raise dg.Failure(str(err)) from err
        seen = Seen.load(context.cursor)
        due = [
            f
            for f in chosen
            if states[f.key].increment >= minimum_samples
            and seen.due(f.key, situation(f, states), retry_failed_after_seconds)
        ]
        lines = [told(states[f.key], f in due) for f in chosen]
        context.log.info("\n".join(lines))
        if not due:
            return dg.SensorResult(skip_reason="; ".join(lines), cursor=seen.dump())
        for f in due:
            seen.ask(f.key, situation(f, states))
        tags = {tag: str(count) for tag, count in _sizes([states[f.key] for f in due]).items()}
        request = dg.RunRequest(asset_selection=[keys[f.key] for f in due], tags={**tags, **(run_tags or {})})
        return dg.SensorResult(run_requests=[request], cursor=seen.dump())

    return sensor


def situation(feature: Feature, states: Mapping[str, Status]) -> str:
    """What an increment comes from; it changes when another increment can be due."""
    parents = [states[dep].data_version or "" for dep in feature.deps if dep in states]
    return ":".join([states[feature.key].feature_version, *parents])


def told(status: Status, due: bool) -> str:
    """An increment in words."""
    if status.problem:
        return f"{status.feature}: {status.problem}"
    if not status.increment:
        return f"{status.feature}: nothing to do"
    text = f"{status.feature}: {status.new or 0} new, {status.stale or 0} stale"
    return text if due else f"{text}, not asked for again"


class Seen:
    """The increments that were asked for, as the sensor's cursor keeps them."""

    def __init__(self, asked: dict[str, dict[str, Any]]) -> None:
        self._asked = asked

    @staticmethod
    def load(cursor: str | None) -> "Seen":
        """Reads a cursor; one of another form counts as none."""
        try:
            asked = json.loads(cursor or "{}")
        except ValueError:
            asked = {}
        return Seen({k: v for k, v in asked.items() if isinstance(v, dict)} if isinstance(asked, dict) else {})

    def due(self, feature: str, situation: str, again_after: float | None) -> bool:
        """Whether this increment was not asked for yet, or too long ago."""
        last = self._asked.get(feature)
        if last is None or last.get("situation") != situation:
            return True
        return again_after is not None and time.time() - float(last.get("at", 0)) >= again_after

    def ask(self, feature: str, situation: str) -> None:
        """Notes that this increment is asked for now."""
        self._asked[feature] = {"situation": situation, "at": time.time()}

    def dump(self) -> str:
        """The cursor."""
        return json.dumps(self._asked, sort_keys=True)


def _sizes(states: Sequence[Status]) -> dict[str, int]:
    return {"metaxy/new": sum(s.new or 0 for s in states), "metaxy/stale": sum(s.stale or 0 for s in states)}


def _with_parents(features: Sequence[Feature], description: Description) -> list[Feature]:
    known = {f.key: f for f in description}
    names = dict.fromkeys(key for f in features for key in (f.key, *f.deps) if key in known)
    return [known[key] for key in names]
