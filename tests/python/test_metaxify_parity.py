"""Side by side with Metaxy's own Dagster integration: what it attaches to an asset and to an event, ours attaches too.

One graph, one store. Metaxy's `metaxify`, `generate_materialize_results`, `generate_observe_results` and IO manager speak
about the same features and the same tables as our definitions. docs/dagster.md has the table that this file checks.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import metaxy as mx
import metaxy.ext.dagster as mxd
import polars as pl
import pytest
from conftest import ROOT
from metaxy.metadata_store.system import SystemTableStorage

from metaxy_pipes import MetaxyPipesIOManager, metaxy_pipes_assets

VIDEO, CROP, FACE, REEL, SCENE = "video/full", "video/crop", "video/face", "reel", "scene"
CONFIG = """
project = "films"
store = "dev"
hash_truncation_length = 64
[stores.dev]
type = "metaxy.ext.polars.handlers.delta.DeltaMetadataStore"
[stores.dev.config]
root_path = "STORE"
hash_algorithm = "xxh3_64"
"""
UPPER = "import json, sys\nfor line in sys.stdin:\n    s = json.loads(line)\n    print(json.dumps({'video': s['video'], 'source': s['source'], 'width': 64}), flush=True)\n"
VIDEOS = dg.StaticPartitionsDefinition(["a", "b", "c"])
ROWS = [{"video": v, "camera": c, "path": f"{v}.mp4"} for v, c in (("a", "left"), ("b", "left"), ("c", "right"))]


def declare() -> None:
    """Features of every lineage, with renamed, passed and aggregated columns."""

    class Video(mx.BaseFeature, spec=mx.FeatureSpec(key=VIDEO, id_columns=["video"], fields=["audio", "frames"])):
        """Videos as they came in."""

        __metaxy_project__ = "films"
        video: str
        camera: str
        path: str

    attributes = {"group_name": "films", "owners": ["team:films"], "kinds": ["metaxy", "ffmpeg"]}

    class Crop(
        mx.BaseFeature,
        spec=mx.FeatureSpec(
            key=CROP,
            id_columns=["video"],
            deps=[mx.FeatureDep(feature=VIDEO, rename={"path": "source"})],
            fields=["audio", mx.FieldSpec(key="frames", code_version="7")],
            metadata={"dagster/attributes": attributes},
        ),
    ):
        """Cropped videos."""

        __metaxy_project__ = "films"
        video: str
        source: str
        width: int

    class Face(
        mx.BaseFeature,
        spec=mx.FeatureSpec(
            key=FACE,
            id_columns=["video"],
            deps=[mx.FeatureDep(feature=VIDEO), mx.FeatureDep(feature=CROP)],
            metadata={"dagster/attributes": {"asset_key": "people/faces", "description": "Found faces."}},
        ),
    ):
        __metaxy_project__ = "films"
        video: str
        camera: str
        width: int

    class Reel(
        mx.BaseFeature,
        spec=mx.FeatureSpec(
            key=REEL,
            id_columns=["camera"],
            deps=[mx.FeatureDep(feature=VIDEO, lineage=mx.LineageRelationship.aggregation(on=["camera"]))],
        ),
    ):
        __metaxy_project__ = "films"
        camera: str
        path: str

    class Scene(
        mx.BaseFeature,
        spec=mx.FeatureSpec(
            key=SCENE,
            id_columns=["video", "scene"],
            deps=[mx.FeatureDep(feature=CROP, lineage=mx.LineageRelationship.expansion(on=["video"]))],
        ),
    ):
        __metaxy_project__ = "films"
        video: str
        scene: int


class World:
    """The graph, the configuration for both sides, and the store."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "metaxy.toml").write_text(CONFIG.replace("STORE", str(home / "store")))
        (home / "upper.py").write_text(UPPER)
        mx.MetaxyConfig.load(home / "metaxy.toml")
        graph = mx.current_graph()
        with mx.MetaxyConfig.get().get_store("dev").open("w") as store:
            SystemTableStorage(store).push_graph_snapshot(project="films")
        definitions = [graph.get_feature_definition(key) for key in graph.topological_sort_features()]
        features = [{**json.loads(d.spec.model_dump_json()), "schema": d.feature_schema} for d in definitions]
        (home / "features.json").write_text(json.dumps({"features": features}))

    def assets(self, **arguments: Any) -> list[Any]:
        processors = {CROP: (sys.executable, str(self.home / "upper.py"))}
        return metaxy_pipes_assets(
            ROOT / "bin" / "metaxy-pipes", config=self.home / "metaxy.toml", processors=processors, **arguments
        )

    def specs(self) -> dict[str, dg.AssetSpec]:
        specs = {}
        for made in self.assets():
            for spec in made.specs if isinstance(made, dg.AssetsDefinition) else [made]:
                specs[spec.metadata["metaxy/feature"]] = spec
        return specs

    def write_root(self) -> None:
        frame = pl.DataFrame([{**r, "metaxy_provenance_by_field": {"audio": r["video"], "frames": r["path"]}} for r in ROWS])
        with mx.MetaxyConfig.get().get_store("dev").open("w") as store:
            store.write(VIDEO, frame)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with mx.FeatureGraph().use():
        mx.MetaxyConfig.set(mx.MetaxyConfig(project="films"))
        declare()
        yield World(tmp_path)


def theirs(feature: str) -> dg.AssetSpec:
    return mxd.metaxify()(dg.AssetSpec("any", metadata={"metaxy/feature": feature}))


@pytest.mark.parametrize("feature", [VIDEO, CROP, FACE, REEL, SCENE])
def test_assets(world: World, feature: str) -> None:
    metaxy, ours = theirs(feature), world.specs()[feature]
    assert ours.key == metaxy.key
    assert {d.asset_key for d in ours.deps} == {d.asset_key for d in metaxy.deps}
    assert metaxy.tags.items() <= ours.tags.items()
    assert metaxy.kinds <= ours.kinds
    assert ours.description == metaxy.description
    assert (ours.group_name, ours.owners) == (metaxy.group_name, metaxy.owners)
    assert set(metaxy.metadata) <= set(ours.metadata)
    assert ours.metadata["metaxy/feature"] == metaxy.metadata["metaxy/feature"]
    info = ours.metadata["metaxy/info"].value
    assert info == metaxy.metadata["metaxy/info"]
    columns = {c.name: c.description for c in ours.metadata["dagster/column_schema"].columns}
    for column in metaxy.metadata["dagster/column_schema"].columns:
        assert columns[column.name] == column.description, column.name
    if metaxy.deps:
        assert lineage(ours) == lineage(metaxy)


def test_code_versions(world: World) -> None:
    """Metaxy's, whoever computes the feature."""
    ours = world.specs()
    for feature in (VIDEO, CROP, FACE, REEL, SCENE):
        assert ours[feature].code_version == theirs(feature).code_version


def test_a_prefix(world: World) -> None:
    """It stands before the keys of assets and of their parents."""
    metaxy = mxd.metaxify(key_prefix=["eu", "west"])(dg.AssetSpec("any", metadata={"metaxy/feature": CROP}))
    (ours,) = [s for a in world.assets(select=[CROP], key_prefix=["eu", "west"]) for s in a.specs]
    assert ours.key == metaxy.key
    assert {d.asset_key for d in ours.deps} == {d.asset_key for d in metaxy.deps}


def lineage(spec: dg.AssetSpec) -> dict[str, set[tuple[str, str]]]:
    by_column = spec.metadata["dagster/column_lineage"].deps_by_column
    return {c: {(d.asset_key.to_user_string(), d.column_name) for d in deps} for c, deps in by_column.items()}


def test_materializations(world: World) -> None:
    """Our run materializes the feature; Metaxy then says what it would have reported of the same table."""
    world.write_root()
    computed = [a for a in world.assets(select=[CROP]) if isinstance(a, dg.AssetsDefinition)]
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            computed, instance=instance, resources={"pipes_client": dg.PipesSubprocessClient()}, raise_on_error=False
        )
        assert result.success
        ours = result.get_asset_materialization_events()[0].materialization
        metaxy = metaxys_materialization(instance, result.run_id)
    for key, value in metaxy.tags.items():
        if key.startswith("metaxy/"):
            assert ours.tags[key] == value
    assert set(metaxy.metadata) <= set(ours.metadata)
    assert ours.tags["dagster/data_version"] and metaxy.tags["dagster/data_version"]
    compare_metadata(world, ours.metadata, metaxy.metadata)
    assert ours.metadata["metaxy/materialized_in_run"] == metaxy.metadata["metaxy/materialized_in_run"] == dg.IntMetadataValue(3)


def metaxys_materialization(
    instance: dg.DagsterInstance, run_id: str, feature: str = CROP, partition: str | None = None
) -> dg.AssetMaterialization:
    """What Metaxy would have reported if that run had been its own."""
    spec = theirs(feature)
    if partition is not None:
        spec = spec.merge_attributes(metadata={"partition_by": "video"}).replace_attributes(partitions_def=VIDEOS)

    @dg.multi_asset(specs=[spec])
    def written(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        store = mx.MetaxyConfig.get().get_store("dev", materialization_id=run_id)
        yield from mxd.generate_materialize_results(context, store)

    result = dg.materialize([written], instance=instance, partition_key=partition)
    return result.get_asset_materialization_events()[0].materialization


def test_a_materialization_of_a_partition(world: World) -> None:
    world.write_root()
    computed = [a for a in world.assets(select=[CROP], partitions_def=VIDEOS, partition_by="video") if isinstance(a, dg.AssetsDefinition)]
    with dg.DagsterInstance.ephemeral() as instance:
        for key in ("a", "b"):
            result = dg.materialize(
                computed, instance=instance, resources={"pipes_client": dg.PipesSubprocessClient()}, partition_key=key
            )
        ours = result.get_asset_materialization_events()[0].materialization
        metaxy = metaxys_materialization(instance, result.run_id, partition="b")
    assert ours.partition == metaxy.partition == "b"
    assert set(metaxy.metadata) <= set(ours.metadata)
    for name, value in {"dagster/row_count": 2, "dagster/partition_row_count": 1, "metaxy/materialized_in_run": 1}.items():
        assert ours.metadata[name] == metaxy.metadata[name] == dg.IntMetadataValue(value), name
    assert [r.data["video"] for r in ours.metadata["dagster/table"].records] == ["b"]


def test_a_materialization_by_ingest(world: World) -> None:
    """A root that our `ingest` feeds has all that one that Metaxy writes has."""
    (world.home / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    source = [str(world.home / "rows.jsonl"), "--version", "audio=video", "--version", "frames=path"]
    versions = []
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            result = dg.materialize(world.assets(select=[VIDEO], ingest={VIDEO: source}), instance=instance)
            ours = result.get_asset_materialization_events()[0].materialization
            versions.append(ours.tags["dagster/data_version"])
            metaxy = metaxys_materialization(instance, result.run_id, VIDEO)
            written = 0 if versions[1:] else len(ROWS)
            assert ours.metadata["metaxy/materialized_in_run"] == metaxy.metadata["metaxy/materialized_in_run"] == dg.IntMetadataValue(written)
    assert versions[0] == versions[1], "what has found nothing new makes nothing stale"
    assert set(metaxy.metadata) <= set(ours.metadata)
    assert {k: v for k, v in metaxy.tags.items() if k.startswith("metaxy/")}.items() <= ours.tags.items()
    for name in ("metaxy/feature", "metaxy/info", "dagster/row_count"):
        assert ours.metadata[name] == metaxy.metadata[name]
    assert without_scheme(ours.metadata["dagster/uri"].value) == metaxy.metadata["dagster/uri"].value
    assert sorted((r.data for r in ours.metadata["dagster/table"].records), key=str) == sorted(ROWS, key=str)


def compare_metadata(world: World, ours: Mapping[str, Any], metaxy: Mapping[str, Any]) -> None:
    assert ours["metaxy/feature"] == metaxy["metaxy/feature"]
    assert ours["metaxy/info"] == metaxy["metaxy/info"]
    assert ours["dagster/row_count"] == metaxy["dagster/row_count"] == dg.IntMetadataValue(3)
    assert without_scheme(ours["dagster/uri"].value) == metaxy["dagster/uri"].value == str(world.home / "store/video/crop.delta")
    mine, their = ours["metaxy/store"].value, metaxy["metaxy/store"].value
    assert set(their) == set(mine) and set(their["resolved_from"]) == set(mine["resolved_from"])
    for part in ("name", "type", "display"):
        assert mine[part] == their[part]
        assert mine["resolved_from"][part] == their["resolved_from"][part]
    assert without_scheme(mine["resolved_from"]["uri"]) == their["resolved_from"]["uri"]
    # Our preview leaves out the columns of versions and times.
    shown = [r.data for r in ours["dagster/table"].records]
    their_rows = [{k: v for k, v in r.data.items() if not k.startswith("metaxy_")} for r in metaxy["dagster/table"].records]
    assert sorted(shown, key=str) == sorted(({k: r[k] for k in shown[0]} for r in their_rows), key=str)


def without_scheme(uri: str) -> str:
    return uri.removeprefix("file://")


def test_observations(world: World) -> None:
    world.write_root()

    @dg.multi_observable_source_asset(specs=[theirs(VIDEO)])
    def video(context: dg.AssetExecutionContext) -> Iterator[dg.ObserveResult]:
        yield from mxd.generate_observe_results(context, mx.MetaxyConfig.get().get_store("dev"))

    ours, metaxy = observation(*world.assets(select=[VIDEO], observe=True)), observation(video)
    assert set(metaxy.metadata) <= set(ours.metadata)
    assert {k: v for k, v in metaxy.tags.items() if k.startswith("metaxy/")}.items() <= ours.tags.items()
    for name in ("metaxy/feature", "metaxy/info", "dagster/row_count"):
        assert ours.metadata[name] == metaxy.metadata[name]
    assert without_scheme(ours.metadata["dagster/uri"].value) == metaxy.metadata["dagster/uri"].value
    assert "dagster/data_version" in ours.tags and "dagster/data_version" in metaxy.tags
    assert [r.data for r in ours.metadata["dagster/table"].records] == ROWS


def observation(asset: dg.AssetsDefinition) -> dg.AssetObservation:
    """What Dagster records of one observation."""
    job = dg.define_asset_job("look", selection=dg.AssetSelection.assets(*asset.keys))
    defs = dg.Definitions(assets=[asset], jobs=[job], resources={"pipes_client": dg.PipesSubprocessClient()})
    result = defs.resolve_job_def("look").execute_in_process(raise_on_error=False)
    assert result.success
    return result.get_asset_observation_events()[0].asset_observation_data.asset_observation


def test_inputs(world: World) -> None:
    """The IO managers load the same rows and say the same of where they are from."""
    world.write_root()
    read: dict[str, pl.DataFrame] = {}
    said: dict[str, Mapping[str, Any]] = {}
    managers = {
        "metaxy": mxd.MetaxyIOManager(store=mxd.MetaxyStoreFromConfigResource(name="dev")),
        "ours": MetaxyPipesIOManager(
            binary=str(ROOT / "bin" / "metaxy-pipes"), config=str(world.home / "metaxy.toml"), format="polars"
        ),
    }
    for name, manager in managers.items():

        @dg.asset(name=f"by_{name}", ins={"videos": dg.AssetIn(theirs(VIDEO).key, input_manager_key="features")})
        def reader(videos) -> None:  # noqa: ANN001, B023
            native = videos if isinstance(videos, pl.DataFrame) else videos.collect().to_polars()
            read[name] = native  # noqa: B023

        result = dg.materialize(
            [reader, *world.assets(select=[VIDEO])],
            resources={"features": manager, "pipes_client": dg.PipesSubprocessClient()},
            selection=[reader],
        )
        events = [e for e in result.all_events if e.event_type_value == "LOADED_INPUT"]
        said[name] = events[0].event_specific_data.metadata
    columns = sorted(read["metaxy"].columns)
    assert sorted(read["ours"].columns) == columns
    assert read["ours"].select(columns).sort("video").to_dicts() == read["metaxy"].select(columns).sort("video").to_dicts()
    assert set(said["metaxy"]) <= set(said["ours"])
    assert said["ours"]["metaxy/store"] == said["metaxy"]["metaxy/store"]
    assert said["ours"]["name"] == said["metaxy"]["name"]


def test_our_assets_are_found_by_metaxys_selection(world: World) -> None:
    defs = dg.Definitions(assets=world.assets(), resources={"pipes_client": dg.PipesSubprocessClient()})
    selected = mxd.select_metaxy_assets(project="films").resolve(defs.resolve_asset_graph())
    assert selected == {theirs(CROP).key}  # of those that can be materialized here


def test_the_description_is_up_to_date_until_a_feature_changes(world: World) -> None:
    """`describe --check` is what a pipeline's CI runs over the file that its definitions load."""

    def binary(*words: str) -> subprocess.CompletedProcess:
        argv = [ROOT / "bin" / "metaxy-pipes", *words, "--config", world.home / "metaxy.toml", "--features", world.home / "features.json"]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    file = world.home / "described.json"
    file.write_text(binary("describe", "--portable").stdout)
    world.write_root()
    assert (binary("describe", "--check", str(file)).returncode, binary("describe", "--check", str(file)).stdout) == (0, "")
    features = world.home / "features.json"
    features.write_text(features.read_text().replace('"code_version": "7"', '"code_version": "8"'))
    done = binary("describe", "--check", str(file))
    assert done.returncode == 1
    assert 'features.video/crop.fields.frames.code_version: the file has "7", now it is "8"' in done.stdout.splitlines()
    assert "out of date" in done.stderr.splitlines()[-1]
