import pytest

from metaxy_pipes import Command, CommandError, Description, DescriptionError


def test_reads_what_describe_prints(description):
    crop = description["video/crop"]
    assert [f.key for f in description] == ["video/full", "video/crop", "video/face-crop", "transcript"]
    assert (crop.table, crop.feature_version, crop.code_version) == ("video__crop", "fv-crop", "cv-crop")
    assert crop.deps == ("video/full",)
    assert crop.columns[1].description == "in pixels"
    assert [(s.feature, s.column) for s in crop.column_lineage["id"]] == [("video/full", "id")]
    assert description["video/full"].root and not crop.root


def test_unknown_feature_names_the_known_ones(description):
    with pytest.raises(DescriptionError, match=r"'video/gone'.*video/full, video/crop"):
        description["video/gone"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("[]", "expected what"),
        ("{}", "expected what"),
        ('{"features": [{}]}', "without a key"),
        ('{"features": [{"key": "a"}]}', "feature a: missing"),
        (
            '{"features": [{"key": "a", "table_name": "a", "feature_version": "1", "code_version": "2", "deps": [1]}]}',
            "feature a",
        ),
    ],
)
def test_says_what_is_wrong(text, says):
    with pytest.raises(DescriptionError, match=says):
        Description.loads(text)


def test_names_the_file(tmp_path):
    (tmp_path / "d.json").write_text("{")
    with pytest.raises(DescriptionError, match=r"d\.json: not JSON"):
        Description.load(tmp_path / "d.json")


def test_command_puts_global_flags_after_the_verb():
    command = Command.of("bin", features=["a.yaml", "b"], config="m.toml", store="s3://b/p")
    flags = ["--config", "m.toml", "--store", "s3://b/p", "--features", "a.yaml", "--features", "b"]
    assert command.argv("run", "x", "--limit", "3") == ["bin", "run", *flags, "x", "--limit", "3"]


def test_command_describes(actor, description):
    assert Command.of(actor()).describe() == description


def test_command_that_refuses(actor):
    with pytest.raises(CommandError, match="exit status 4"):
        Command.of(actor(describe_exit=4)).describe()


def test_command_that_is_missing(tmp_path):
    with pytest.raises(CommandError, match="no-such-binary"):
        Command.of(tmp_path / "no-such-binary").describe()


def test_empty_command():
    with pytest.raises(ValueError, match="binary is empty"):
        Command.of([])
