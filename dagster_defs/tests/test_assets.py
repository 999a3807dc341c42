import dagster as dg
import pytest

from metaxy_pipes import DescriptionError, Ingest, build_definitions, metaxy_pipes_assets

CROP = dg.AssetKey(["video", "crop"])
FACE = dg.AssetKey(["video", "face-crop"])


def nodes(description, **arguments):
    graph = build_definitions("unused", describe=description, **arguments).resolve_asset_graph()
    return {key: graph.get(key) for key in graph.get_all_asset_keys()}


def spec_of(description, key, **arguments):
    for made in metaxy_pipes_assets("unused", describe=description, **arguments):
        for spec in made.specs if isinstance(made, dg.AssetsDefinition) else [made]:
            if spec.key == key:
                return spec
    raise KeyError(key)


def test_a_feature_with_a_processor_is_computed(description):
    node = nodes(description, group_name="films")[CROP]
    assert node.is_materializable
    assert node.parent_keys == {dg.AssetKey(["video", "full"])}
    assert node.code_version == "metaxy:cv-crop"
    assert node.group_name == "films"
    assert node.kinds == {"metaxy", "go", "delta"}
    assert node.tags["metaxy/feature"] == "video__crop"
    assert node.tags["metaxy/project"] == "films"
    assert node.check_keys == {dg.AssetCheckKey(CROP, "samples_processed")}


def test_columns_and_lineage(description):
    metadata = spec_of(description, CROP).metadata
    assert metadata["metaxy/feature"] == "video/crop"
    assert metadata["dagster/uri"] == dg.MetadataValue.text("s3://films/video/crop.delta")
    schema = metadata["dagster/column_schema"]
    assert [(c.name, c.type, c.description) for c in schema.columns] == [
        ("id", "string", None),
        ("width", "long", "in pixels"),
    ]
    assert metadata["dagster/column_lineage"] == dg.TableColumnLineage(
        {"id": [dg.TableColumnDep(asset_key=dg.AssetKey(["video", "full"]), column_name="id")]}
    )


def test_a_prefix_reaches_keys_deps_and_lineage(description):
    key = dg.AssetKey(["eu", "video", "crop"])
    spec = spec_of(description, key, key_prefix="eu")
    full = dg.AssetKey(["eu", "video", "full"])
    assert [dep.asset_key for dep in spec.deps] == [full]
    assert spec.metadata["dagster/column_lineage"].deps_by_column["id"][0].asset_key == full


def test_other_features_are_external(description):
    made = nodes(description)
    full, spoken = made[dg.AssetKey(["video", "full"])], made[dg.AssetKey(["texts", "spoken"])]
    assert not full.is_materializable and full.description == "Videos as they came in."
    assert not spoken.is_materializable and spoken.code_version == "metaxy:cv-text"


def test_attributes_of_the_feature(description):
    spoken = nodes(description)[dg.AssetKey(["texts", "spoken"])]
    assert spoken.owners == ["team:speech"]
    assert spoken.tags["a"] == "b" and spoken.tags["metaxy/feature"] == "transcript"


def test_attributes_of_another_shape(description):
    description["transcript"].metadata["dagster/attributes"] = ["x"]
    with pytest.raises(ValueError, match=r"feature transcript.*expected an object"):
        nodes(description)


def test_an_external_processor_makes_it_computed(description):
    assert nodes(description, processors={"transcript": ["cat"]})[dg.AssetKey(["texts", "spoken"])].is_materializable


def test_ingest_makes_a_root_feature_materializable(description):
    @dg.asset
    def listing():
        pass

    sources = {"video/full": Ingest("rows.jsonl", deps=[listing])}
    full = nodes(description, ingest=sources)[dg.AssetKey(["video", "full"])]
    assert full.is_materializable
    assert full.parent_keys == {dg.AssetKey("listing")}


def test_ingest_of_a_computed_feature_is_refused(description):
    with pytest.raises(ValueError, match="video/crop is no root feature"):
        nodes(description, ingest={"video/crop": "x.jsonl"})


@pytest.mark.parametrize("where", ["select", "processors", "ingest"])
def test_unknown_names_are_refused(description, where):
    with pytest.raises(DescriptionError, match="video/gone"):
        nodes(description, **{where: ["video/gone"] if where == "select" else {"video/gone": ["x"]}})


def test_one_process(description):
    made = metaxy_pipes_assets("unused", describe=description, one_process=True)
    together = [a for a in made if isinstance(a, dg.AssetsDefinition)]
    assert [a.keys for a in together] == [{CROP, FACE}]
    assert together[0].can_subset


def test_select(description):
    made = metaxy_pipes_assets("unused", describe=description, select=["video/crop"])
    assert [a.keys for a in made] == [{CROP}]


def test_partitions(description):
    days = dg.DailyPartitionsDefinition("2026-01-01")
    made = nodes(description, partitions_def=days, partition_by="day")
    assert made[CROP].partitions_def == days
    assert made[CROP].metadata["partition_by"] == "day"
    assert made[dg.AssetKey(["video", "full"])].partitions_def is None


def test_the_binary_is_asked_when_no_file_is_given(actor):
    assert {a.key for a in metaxy_pipes_assets(actor()) if isinstance(a, dg.AssetsDefinition)} == {CROP, FACE}


def test_a_file_needs_no_binary(description_file):
    made = metaxy_pipes_assets("no-such-binary", describe=description_file)
    assert {a.key for a in made if isinstance(a, dg.AssetsDefinition)} == {CROP, FACE}
