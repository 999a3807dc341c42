package featurefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// canonical returns the spec as it is hashed.
func canonical(t *testing.T, d feature.Definition) string {
	t.Helper()
	text, err := d.Spec.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func parse(t *testing.T, name, data string) []feature.Definition {
	t.Helper()
	defs, err := Parse(name, []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return defs
}

// TestYAMLIsJSON reads the same features from YAML, with all that saves typing, and from JSON.
func TestYAMLIsJSON(t *testing.T) {
	t.Parallel()
	fromYAML := parse(t, "f.yaml", `
features:
- key: video/raw
  id_columns: &ids [video_id]
  fields: [audio, {key: frames, code_version: "2"}]
  metadata: {hex: 0x1F, octal: 0o17, grouped: 1_000, big: 123456789012345678901234567890, exact: 1.50, half: .5,
    whole: 1., plus: +3, forced: !!float 2, nan: .nan, inf: -.inf, day: 2024-01-02, yes: yes, text: "1", none: ~, t: true}
  description: >-
    Raw
    vidéos 😀
- &child
  key: [video, crop]
  id_columns: *ids
  deps: [video/raw, {feature: audio, optional: yes, filters: ["size > 1"], lineage: {relationship: {type: "N:1", on: [a]}}}]
  schema: {type: object, n: 1.0}
- <<: *child
  key: video/other
  description: ""
`)
	fromJSON := parse(t, "f.json", `{"features": [
{"key": "video/raw", "id_columns": ["video_id"], "fields": ["audio", {"key": "frames", "code_version": "2"}],
 "metadata": {"hex": 31, "octal": 15, "grouped": 1000, "big": 123456789012345678901234567890, "exact": 1.50, "half": 0.5,
  "whole": 1.0, "plus": 3, "forced": 2.0, "nan": null, "inf": null, "day": "2024-01-02", "yes": "yes", "text": "1",
  "none": null, "t": true},
 "description": "Raw vid\u00e9os \ud83d\ude00"},
{"key": {"parts": ["video", "crop"]}, "id_columns": ["video_id"], "schema": {"type": "object", "n": 1.0},
 "deps": [["video", "raw"], {"feature": "audio", "optional": true, "sql_filters": ["size > 1"],
  "lineage": {"relationship": {"type": "N:1", "on": ["a"]}}}]},
{"key": "video/other", "id_columns": ["video_id"], "schema": {"type": "object", "n": 1.0}, "description": "",
 "deps": ["video/raw", {"feature": "audio", "optional": 1, "filters": ["size > 1"],
  "lineage": {"relationship": {"type": "N:1", "on": ["a"]}}}]}
]}`)
	if len(fromYAML) != 3 || len(fromJSON) != 3 {
		t.Fatalf("got %d and %d features, want 3", len(fromYAML), len(fromJSON))
	}
	for i := range fromYAML {
		if got, want := canonical(t, fromYAML[i]), canonical(t, fromJSON[i]); got != want {
			t.Errorf("feature %d:\nYAML %s\nJSON %s", i, got, want)
		}
		if got, want := string(fromYAML[i].Schema), string(fromJSON[i].Schema); got != want {
			t.Errorf("feature %d, schema: YAML %s, JSON %s", i, got, want)
		}
		if fromYAML[i].Project != "" || fromYAML[i].External {
			t.Errorf("feature %d: got project %q, want none", i, fromYAML[i].Project)
		}
	}
	if string(fromYAML[1].Schema) != `{"type":"object","n":1.0}` || fromYAML[0].Schema != nil {
		t.Errorf("got the schemas %s and %s", fromYAML[0].Schema, fromYAML[1].Schema)
	}
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	defs := parse(t, "f.yml", "features: [{key: a, id_columns: [i]}]\n---\nfeatures: [{key: b, id_columns: [i]}]\n")
	if len(defs) != 2 || defs[1].Spec.Key != "b" {
		t.Errorf("got %v, want the features of both documents", defs)
	}
	if defs := parse(t, "none.yaml", "features: []"); len(defs) != 0 {
		t.Errorf("got %v, want no features", defs)
	}
}

// TestParseRefuses goes through wrong files. Each message must begin with the file and the line of the problem.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	spec := func(members string) string { return "features:\n- key: a/b\n  id_columns: [i]\n  " + members }
	for _, c := range []struct{ name, file, data, want string }{
		{"empty", "f.yaml", "", "f.yaml: the file is empty"},
		{"comment", "f.yaml", "# nothing\n", "f.yaml: the file is empty"},
		{"list", "f.yaml", "- a\n", "f.yaml:1: expected a mapping of names to values, got a list"},
		{"text", "f.yaml", "hello", `got "hello"`},
		{"no features", "f.yaml", "{}", `f.yaml:1: no member "features"`},
		{"other member", "f.yaml", "features: []\nfeature: []\n", `f.yaml:2: unknown member "feature"`},
		{"null", "f.yaml", "features:\n", `expected a list of specs as "features"`},
		{"spec text", "f.yaml", "features:\n- a\n", `f.yaml:2: feature "features[0]": expected a mapping`},
		{"syntax", "f.yaml", "features: [", "f.yaml: yaml: line 1"},
		{"tab", "f.yaml", "features:\n\t- a", "f.yaml: yaml: line 2"},
		{"code version", "f.yaml", spec("fields:\n  - key: x\n    code_version: 1\n"),
			`f.yaml:6: feature "a/b": invalid spec: fields[0].code_version: expected a string, got the number 1; write it in quotes: "1"`},
		{"code version float", "f.yaml", spec("fields: [{code_version: 1.10}]"), `write it in quotes: "1.10"`},
		{"code version bool", "f.yaml", spec("fields: [{code_version: true}]"), `write it in quotes: "true"`},
		{"unknown member", "f.yaml", spec("\n  feilds: [x]\n"),
			`f.yaml:5: feature "a/b": invalid spec: feilds: unknown member`},
		{"unknown deep", "f.yaml", spec("deps:\n  - b\n  - feature: c\n    slect: [x]\n"),
			`f.yaml:7: feature "a/b": invalid spec: deps[1].slect`},
		{"dotted member", "f.yaml", spec("deps:\n  - feature: c\n    'a.b[0]': 1\n"), `deps[0].a.b[0]: unknown member`},
		{"twice", "f.yaml", spec("fields: [x]\n  fields: [y]\n"),
			`f.yaml:5: feature "features[0]": member "fields" stands twice, first in line 4`},
		{"twice deep", "f.yaml", spec("metadata: {x: {y: 1, y: 2}}"), `feature "a/b": member "y" stands twice`},
		{"number as name", "f.yaml", spec("metadata: {1: x}"), `write "1" in quotes`},
		{"list as name", "f.yaml", spec("metadata: {[a]: x}"), "member names are strings"},
		{"null as name", "f.yaml", spec("metadata: {~: x}"), "member names are strings"},
		{"tag", "f.yaml", spec("metadata: {x: !mine 1}"), "the YAML type !mine have no JSON form"},
		{"binary", "f.yaml", spec("metadata: {x: !!binary aGk=}"), "the YAML type !!binary"},
		{"bad tag", "f.yaml", spec("metadata: {x: !!int abc}"), "f.yaml:4: "},
		{"id string", "f.yaml", "features:\n- key: a\n  id_columns: id\n",
			`f.yaml:3: feature "a": id_columns: expected a list of names, got a string; write ["id"]`},
		{"schema", "f.yaml", spec("schema: [x]"), `f.yaml:4: feature "a/b": schema: expected an object`},
		{"schema null", "f.yaml", spec("schema:"), "schema: expected an object"},
		{"both filters", "f.yaml", spec("deps: [{feature: b, filters: [x], sql_filters: [y]}]"), "keep one of them"},
		{"no id", "f.yaml", "features:\n\n- key: a\n", `f.yaml:3: feature "a": invalid spec: id_columns: is missing`},
		{"bad key", "f.yaml", "features:\n- id_columns: [i]\n  key: A b\n",
			`f.yaml:3: a feature without a valid key: invalid spec: key: invalid key "A b"`},
		{"itself", "f.yaml", spec("metadata: &m {x: *m}"), "is an alias part of itself?"},
		{"merge itself", "f.yaml", spec("metadata: &m {<<: *m}"), "itself"},
		{"merge list itself", "f.yaml", spec("metadata: {<<: &m [*m]}"), "does a merge contain itself?"},
		{"merge text", "f.yaml", spec("metadata: {<<: x}"), "expected a mapping"},
		{"second document", "f.yaml", "features: []\n---\n{}\n", `f.yaml:3: no member "features"`},
		{"JSON syntax", "f.json", "{\"features\": [\n{]}", "f.json: line 2: "},
		{"JSON cut off", "f.json", "{\"features\": [", "f.json: line 1: "},
		{"JSON empty", "f.JSON", "", "f.JSON: line 1: unexpected EOF"},
		{"JSON trailing", "f.json", "{\"features\": []}\n{}", "f.json: line 2: something follows"},
		{"JSON twice", "f.json", "{\"features\": [{\"key\":\"a\",\n\"key\":\"b\"}]}",
			`f.json:2: feature "features[0]": member "key" stands twice`},
		{"JSON surrogate", "f.json", `{"features": [{"key":"a","id_columns":["\ud800"]}]}`, "half of a surrogate pair"},
		{"JSON not UTF-8", "f.json", "{\"\xff\": 1}", "not UTF-8"},
		{"JSON is not YAML", "f.json", "features: []", "f.json: line 1: "},
		{"JSON code version", "f.json",
			"{\"features\": [{\"key\":\"a\",\"id_columns\":[\"i\"],\n\"fields\":[\n{\"code_version\":1}]}]}", "f.json:3: "},
		{"JSON deep", "f.json", strings.Repeat("[", 100_000), "nested deeper"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			defs, err := Parse(c.file, []byte(c.data))
			if defs != nil || !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %.300v, want ErrFile with %q", err, c.want)
			}
		})
	}
}

// TestParseTellsEverything checks that problems of several features come at once.
func TestParseTellsEverything(t *testing.T) {
	t.Parallel()
	_, err := Parse("f.yaml",
		[]byte("features:\n- {key: a}\n- {key: b, id_columns: [i], x: 1, deps: [C]}\n- {key: c, id_columns: [i]}\n"))
	for _, want := range []string{`f.yaml:2: feature "a"`, `f.yaml:3: feature "b": invalid spec: x:`,
		`f.yaml:3: feature "b": invalid spec: deps[0]`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	var fe *feature.FeatureError
	if !errors.As(err, &fe) || fe.Feature != "a" {
		t.Errorf("got %+v, want a *feature.FeatureError of a", fe)
	}
}

// TestAliasBombs reads documents whose aliases multiply values, names or text.
func TestAliasBombs(t *testing.T) {
	t.Parallel()
	lists := "features:\n- key: a\n  id_columns: [i]\n  metadata:\n    l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n"
	merges := "features:\n- key: a\n  id_columns: [i]\n  metadata:\n    l0: &l0 {x: 1}\n"
	for i := 1; i < 20; i++ {
		lists += fmt.Sprintf("    l%d: &l%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*l%d, ", i-1),
			10), ", "))
		merges += fmt.Sprintf("    l%d: &l%d {<<: [%s]}\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*l%d, ",
			i-1), 10), ", "))
	}
	text := "features:\n- key: a\n  id_columns: [i]\n  metadata:\n    t: &t " + strings.Repeat("x", 1<<20) +
		"\n    l: [" + strings.TrimSuffix(strings.Repeat("*t, ", 1000), ", ") + "]\n"
	for name, data := range map[string]string{"lists": lists, "merges": merges, "text": text} {
		if _, err := Parse("f.yaml", []byte(data)); !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), "more than") {
			t.Errorf("%s: got %.200v, want ErrFile because of a bound", name, err)
		}
	}
}

// FuzzParse reads any file. What is read must have a canonical form, and a JSON file that says the same.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"features:\n- key: a/b\n  id_columns: [i]\n  deps: [b, {feature: c}]\n  schema: {}\n",
		"features: [{key: a, id_columns: [i], metadata: &m {<<: {a: 1}, b: [0x1, .5, ~, !!str 1]}}]\n---\nfeatures: []\n",
		`{"features":[{"key":"a","id_columns":["i"],"fields":[{"key":"x","code_version":"1"}]}]}`, "", "- ", "{", "&a [*a]", "? a\n: b",
	} {
		f.Add(true, []byte(s))
		f.Add(false, []byte(s))
	}
	f.Fuzz(func(t *testing.T, asYAML bool, data []byte) {
		name := map[bool]string{true: "f.yaml", false: "f.json"}[asYAML]
		defs, err := Parse(name, data)
		if err != nil {
			if !errors.Is(err, ErrFile) || defs != nil {
				t.Fatalf("got %v, %v; want nothing and ErrFile", defs, err)
			}
			return
		}
		again := struct {
			Features []feature.Spec `json:"features"`
		}{Features: []feature.Spec{}}
		for _, d := range defs {
			again.Features = append(again.Features, d.Spec)
		}
		file, err := json.Marshal(again)
		if err != nil {
			t.Fatalf("write what was read: %v", err)
		}
		reread, err := Parse("again.json", file)
		if err != nil {
			t.Fatalf("read what was written: %v\n%s", err, file)
		}
		for i, d := range reread {
			if got, want := canonical(t, d), canonical(t, defs[i]); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})
}
