"""What real Metaxy would compute of the video example, in a process of its own, because Metaxy's graph is global.

`video_by_metaxy.py STORE CROP_SIZE` prints a JSON object: feature to the numbers of new, stale and orphaned samples.
"""

import json
import sys
import tempfile
from pathlib import Path

import metaxy as mx
from metaxy.ext.polars.handlers.delta import DeltaMetadataStore

CONFIG = """store = "shared"
hash_truncation_length = 64

[stores.shared]
type = "metaxy.ext.polars.handlers.delta.DeltaMetadataStore"

[stores.shared.config]
root_path = "{root}"
hash_algorithm = "xxh3_64"
"""


def audio_of_crop(key: str, field: str, code: str) -> dict:
    deps = [{"feature": "video/crop", "fields": ["audio"]}]
    fields = [{"key": field, "code_version": code, "deps": deps}]
    return {"key": key, "id_columns": ["id"], "deps": ["video/crop"], "fields": fields}


def specs(crop_size: str) -> list[dict]:
    crop = [{"key": "audio", "code_version": "copy"}, {"key": "frames", "code_version": f"square-{crop_size}"}]
    return [
        {"key": "video/full", "id_columns": ["id"], "fields": ["audio", "frames"]},
        {"key": "video/crop", "id_columns": ["id"], "deps": ["video/full"], "fields": crop},
        {
            "key": "video/face_crop",
            "id_columns": ["id"],
            "deps": ["video/crop"],
            "fields": [{"key": "frames", "code_version": "skin-1"}],
        },
        audio_of_crop("audio/loudness", "loudness", "ebur128-1"),
        audio_of_crop("transcript", "text", "pocketsphinx-1"),
    ]


def main() -> None:
    root, crop_size = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "metaxy.toml"
        config.write_text(CONFIG.format(root=root))
        mx.MetaxyConfig.load(str(config))
        for spec in specs(crop_size):
            parsed = mx.FeatureSpec.model_validate(spec)
            members = {"__annotations__": {"id": str}, "__module__": __name__, "__metaxy_project__": "video"}
            type("Of_" + parsed.key.table_name, (mx.BaseFeature,), members, spec=parsed)
        found = {}
        with DeltaMetadataStore(root, hash_algorithm=mx.HashAlgorithm("xxh3_64")).open("r") as store:
            for spec in specs(crop_size)[1:]:
                increment = store.resolve_update(spec["key"])
                found[spec["key"]] = [len(f.to_polars()) for f in (increment.new, increment.stale, increment.orphaned)]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
