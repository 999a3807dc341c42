"""Writes what real Metaxy makes of specs and of random graphs, for golden_test.go to compare.

Run in the repository's Python environment: .venv/bin/python feature/testdata/golden.py
"""

import json
import pathlib
import random

import metaxy as mx
from metaxy.models.feature_definition import FeatureDefinition
from metaxy.models.feature_spec import FeatureSpec

HERE = pathlib.Path(__file__).parent


def dep(**members):
    return {"deps": [{"feature": "b", **members}]}


def mapping(**members):
    return dep(fields_mapping={"mapping": members})


def lineage(**members):
    return dep(lineage={"relationship": members})


SPECS = {
    "key object": {"key": {"root": ["a", "b"], "more": 1}},
    "key without parts": {"key": []},
    "dep object": {"deps": [{"feature": {"parts": ["b", "c"]}}]},
    "id columns string": {"id_columns": "é🎬a"},
    "id columns odd": {"id_columns": ["", "id", "id", "metaxy_provenance", 'a"b', "a\nb", "x/y"]},
    "description empty": {"description": ""},
    "description controls": {"description": "".join(map(chr, range(0x20))) + '"\\/\x7f\x80\xa0'},
    "description unicode": {"description": "é\u2028\ufeff\uffff😀\U0010ffff"},
    "select null": dep(select=None, rename=None, filters=None),
    "select empty": dep(select=[], rename={}, filters=[]),
    "select twice": dep(select=["a", "a"], rename={"z": "b", "": "", "y": "y"}),
    "filters": dep(filters=["x > 1", "", "not valid ((("]),
    "sql_filters": dep(sql_filters=["name = 'é'"]),
    "optional yes": dep(optional="yes"),
    "optional one": dep(optional=1),
    "optional off": dep(optional="OFF"),
    "mapping default": mapping(type="default", exclude_fields=["z", "a/b", ["c", "d"], "z"], match_suffix="true", x=1),
    "mapping specific": mapping(type="specific", mapping={"y": [], "x/y": ["b-a", "b/a", ["a"], "a", {"parts": ["q"]}]}),
    "mapping all": mapping(type="all", match_suffix=True),
    "mapping none": mapping(type="none"),
    "lineage identity": lineage(type="1:1", on=["x"]),
    "lineage aggregation": lineage(type="N:1", on=None, id_generation_pattern="x"),
    "lineage aggregation empty": lineage(type="N:1", on=[]),
    "lineage expansion": lineage(type="1:N", on=["x"], id_generation_pattern=""),
    "lineage expansion empty": lineage(type="1:N", on=[]),
    "fields": {"fields": ["x", {"key": ["y", "z"], "code_version": ""}, {"code_version": "1"}]},
    "field deps": {
        "fields": [
            {"key": "x", "deps": [{"feature": ["b", "c"], "fields": ["y/z", ["y", "z"]]}, {"feature": "b", "fields": []}]},
            {"key": "y", "deps": "__METAXY_ALL_DEP__"},
        ]
    },
    "metadata numbers": {
        "metadata": {
            "ints": [0, -1, 2**53 + 1, 10**40, -(10**40)],
            "floats": [0.0, -0.0, 1.0, 0.1, 1e-4, 1e-5, 1e15, 1e16, 123456789012345680.0, 1e22, 5e-324, 1.7976931348623157e308],
        }
    },
    "metadata nested": {"metadata": {"b": {"": [[], {}, None, True, "é"]}, "B": 1, "é": 2, "😀": 3, "\uffff": 4, "a": {"z": 1, "y": 2}}},
}


def spec_cases():
    for name, members in SPECS.items():
        given = {"key": "a", "id_columns": ["id"], **members}
        spec = FeatureSpec.model_validate(given)
        dumped = spec.model_dump(mode="json")
        yield {
            "name": name,
            "input": json.dumps(given),
            "canonical": json.dumps(dumped, sort_keys=True),
            "spec_version": spec.feature_spec_version,
            "code_version": spec.code_version,
        }


PARTS = ["a", "b", "a-b", "a_b", "x", "audio", "frames", "_z", "m0"]


def random_key(rng, taken, derive):
    while True:
        key = "/".join(rng.choice(PARTS) for _ in range(rng.randint(1, 3)))
        if derive(key) not in taken:
            taken.add(derive(key))
            return key


def random_mapping(rng, own, theirs):
    kind = rng.choice(["default", "default", "default", "specific", "all", "none"])
    if kind == "default":
        exclude = rng.sample(theirs, rng.randint(0, len(theirs) - 1)) if rng.random() < 0.3 else []
        return {"type": kind, "match_suffix": rng.random() < 0.5, "exclude_fields": exclude}
    if kind == "specific":
        chosen = {f: rng.sample(theirs + ["nowhere"], rng.randint(1, len(theirs))) for f in own if rng.random() < 0.8}
        return {"type": kind, "mapping": chosen}
    return {"type": kind}


def random_field_deps(rng, parents, fields):
    if rng.random() < 0.7 or not parents:
        return []
    if rng.random() < 0.2:
        return "__METAXY_ALL_DEP__"
    deps = []
    for parent in rng.sample(parents, rng.randint(1, len(parents))):
        d = {"feature": parent}
        if rng.random() < 0.6:
            d["fields"] = rng.sample(fields[parent], rng.randint(0, len(fields[parent])))
        deps.append(d)
    return deps


def random_features(rng):
    tables, fields, out = set(), {}, []
    for i in range(rng.randint(2, 9)):
        key = random_key(rng, tables, lambda k: k.replace("-", "_").replace("/", "__"))
        members = set()
        own = [random_key(rng, members, lambda k: k.replace("/", "_")) for _ in range(rng.randint(1, 5))]
        parents = rng.sample(sorted(fields), rng.randint(0, min(3, len(fields))))
        spec = {
            "key": key,
            "id_columns": ["id"],
            "deps": [{"feature": p, "fields_mapping": {"mapping": random_mapping(rng, own, fields[p])}} for p in parents],
            "fields": [
                {"key": f, "code_version": rng.choice(["1", "2", "é"]), "deps": random_field_deps(rng, parents, fields)}
                for f in own
            ],
        }
        fields[key] = own
        schema = {"n": rng.choice([1.0, 1e16, None, 3]), "title": key, "b": {"z": [], "é": True}}
        feature = {"spec": spec, "schema": schema, "project": rng.choice(["p", "p", "q"])}
        if not parents and rng.random() < 0.3:
            feature["external"] = True
            feature["provenance_by_field"] = {f: f"given-{f}" for f in own if rng.random() < 0.5}
        out.append(feature)
    rng.shuffle(out)
    return out


def definition(feature):
    spec = FeatureSpec.model_validate(feature["spec"])
    if feature.get("external"):
        return FeatureDefinition.external(
            spec=spec,
            project=feature["project"],
            feature_schema=feature["schema"],
            provenance_by_field=feature["provenance_by_field"],
            source="golden.py",
        )
    return FeatureDefinition(
        spec=spec, feature_schema=feature["schema"], feature_class_path=f"m.{spec.table_name()}", project=feature["project"]
    )


def expected(features):
    graph = mx.FeatureGraph()
    for feature in features:
        graph.add_feature_definition(definition(feature))
    result = {
        "features": {},
        "project_version": graph.get_project_version("p"),
        "topological_order": [k.to_string() for k in graph.topological_sort_features()],
    }
    for key, d in graph.feature_definitions_by_key.items():
        one = result["features"][key.to_string()] = {
            "table_name": d.table_name,
            "code_version": d.spec.code_version,
            "feature_spec_version": d.spec.feature_spec_version,
            "definition_version": d.feature_definition_version,
        }
        try:
            one["field_versions"] = graph.get_feature_version_by_field(key)
            one["feature_version"] = graph.get_feature_version(key)
            plan = graph.get_feature_plan(key)
            one["resolved_parent_fields"] = {
                f.key.to_string(): [p.to_string() for p in sorted(plan.get_parent_fields_for_field(f.key))]
                for f in d.spec.fields
            }
        except Exception as e:  # whatever Metaxy raises is what the graph must refuse
            one.pop("field_versions", None)
            one.pop("feature_version", None)
            one["error"] = {"type": type(e).__name__}
    return result


def graph_cases(count, seed):
    rng = random.Random(seed)
    for i in range(count):
        features = random_features(rng)
        case = {"name": f"random {i}", "project": "p", "features": features, "expected": {}}
        for length in (64, 13, 8):
            with mx.MetaxyConfig(project="p", hash_truncation_length=length).use():
                case["expected"][str(length)] = expected(features)
        yield case


def write(name, cases):
    lines = ",\n".join(json.dumps(c) for c in cases)
    (HERE / name).write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    import sys

    count, seed = (int(sys.argv[1]), int(sys.argv[2])) if len(sys.argv) > 2 else (12, 1)
    with mx.MetaxyConfig(project="p", hash_truncation_length=64).use():
        write("specs.json", spec_cases())
    write("random_graphs.json", graph_cases(count, seed))
