package feature

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/internal/vectors"
)

// TestVectorsSpecErrors reads what real Metaxy was given, and compares what it made of it.
func TestVectorsSpecErrors(t *testing.T) {
	t.Parallel()
	for _, file := range vectors.Files(t, "spec_errors") {
		var group struct {
			Cases []struct {
				Name, Model string
				Input       json.RawMessage
				Expected    struct {
					OK    json.RawMessage
					Error *struct{ Location, Message string }
				}
			}
		}
		readCase(t, file, &group)
		if len(group.Cases) == 0 {
			t.Fatalf("%s has no cases", filepath.Base(file))
		}
		for _, c := range group.Cases {
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				if c.Model != "FeatureSpec" {
					t.Fatalf("got a case for the model %s, want FeatureSpec", c.Model)
				}
				var s Spec
				err := json.Unmarshal(c.Input, &s)
				if c.Expected.Error != nil {
					if !errors.Is(err, ErrSpec) {
						t.Errorf("got %v, want ErrSpec because of %s: %s",
							err, c.Expected.Error.Location, c.Expected.Error.Message)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				checkForms(t, s, c.Expected.OK)
			})
		}
	}
}

// checkForms checks every form in which a spec is written against the JSON that it should be, and that reading what
// was written gives the same.
func checkForms(t *testing.T, s Spec, want json.RawMessage) {
	t.Helper()
	wantText, err := JSONText(want)
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.Text()
	if err != nil {
		t.Fatal(err)
	}
	if text != wantText {
		t.Errorf("text:\n got %s\nwant %s", text, wantText)
	}
	tree, err := parseTree(want)
	if err != nil {
		t.Fatal(err)
	}
	w := writer{sorted: true}
	w.value(tree)
	if got, err := s.Canonical(); got != string(w.buf) || err != nil {
		t.Errorf("canonical:\n got %s, %v\nwant %s", got, err, w.buf)
	}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var again Spec
	if err := json.Unmarshal(data, &again); err != nil {
		if strings.Contains(err.Error(), `part "" is empty`) {
			return // Metaxy writes a key without parts as "", which nobody can read back
		}
		t.Fatalf("read what was written: %v", err)
	}
	if got, err := again.Text(); got != text || err != nil {
		t.Errorf("written and read:\n got %s, %v\nwant %s", got, err, text)
	}
}

// oneDep is a spec with one dependency on b that has the given further members.
func oneDep(members string) string {
	return `{"key":"a","id_columns":["id"],"deps":[{"feature":"b"` + members + `}]}`
}

// TestSpecRefuses goes through wrong inputs; each message must name the member and say what to do.
func TestSpecRefuses(t *testing.T) {
	t.Parallel()
	member := func(m string) string { return `{"key":"a","id_columns":["id"],` + m + `}` }
	for _, c := range []struct{ name, input, want string }{
		{"null", `null`, "expected an object, got null"},
		{"no members", `{}`, "key: is missing"},
		{"key null", `{"key":null,"id_columns":["id"]}`, "key: expected a key"},
		{"key number", `{"key":3,"id_columns":["id"]}`, "got the number 3"},
		{"key object", `{"key":{},"id_columns":["id"]}`, `{"parts": ["video", "crop"]}`},
		{"key part number", `{"key":["a",1],"id_columns":["id"]}`, "key[1]: expected a string"},
		{"key bad part", `{"key":{"root":["a","B"]},"id_columns":["id"]}`, `part "B"`},
		{"id null", `{"key":"a","id_columns":null}`, "id_columns: expected a list"},
		{"id number", `{"key":"a","id_columns":[1]}`, `write it in quotes: "1"`},
		{"id empty string", `{"key":"a","id_columns":""}`, "no ID columns"},
		{"typo", member(`"metdata":{}`), `did you mean "metadata"?`},
		{"deps null", member(`"deps":null`), "deps: expected a list, got null"},
		{"deps string", member(`"deps":"bc"`), "deps: expected a list"},
		{"dep null", member(`"deps":[null]`), "deps[0]: expected a key"},
		{"dep without feature", member(`"deps":[{}]`), "deps[0].feature: is missing"},
		{"fields null", member(`"fields":null`), "fields: expected a list"},
		{"field list", member(`"fields":[["a","b"]]`), "fields[0]: expected an object, got a list"},
		{"field without parts", member(`"fields":[{"key":[]}]`), "at least one part"},
		{"field key null", member(`"fields":[{"key":null}]`), "fields[0].key"},
		{"field twice", member(`"fields":["x","y","x"]`), `field "x": invalid spec: fields: the field is declared twice`},
		{"default twice", member(`"fields":[{},"default"]`), `field "default"`},
		{"code version float", member(`"fields":[{"key":"x","code_version":1.10}]`), `write it in quotes: "1.10"`},
		{"code version null", member(`"fields":[{"key":"x","code_version":null}]`), "fields[0].code_version"},
		{"field deps null", member(`"fields":[{"key":"x","deps":null}]`), "fields[0].deps"},
		{"field deps word", member(`"fields":[{"key":"x","deps":"all"}]`), `expected "__METAXY_ALL_DEP__"`},
		{"field dep string", member(`"fields":[{"key":"x","deps":["b"]}]`), "fields[0].deps[0]"},
		{"field dep member", member(`"fields":[{"key":"x","deps":[{"feature":"b","z":1}]}]`), "deps[0].z: unknown"},
		{"field dep fields null", member(`"fields":[{"key":"x","deps":[{"feature":"b","fields":null}]}]`), "deps[0].fields"},
		{"metadata null", member(`"metadata":null`), "metadata: expected an object"},
		{"description number", member(`"description":3`), "description"},
		{"select string", oneDep(`,"select":"x"`), "deps[0].select: expected a list"},
		{"select renamed", oneDep(`,"select":["b","a","c"],"rename":{"a":"x","b":"y"}`), `["a" "b"]`},
		{"rename string", oneDep(`,"rename":"x"`), "deps[0].rename"},
		{"rename to number", oneDep(`,"rename":{"a":1}`), "deps[0].rename"},
		{"both filters", oneDep(`,"filters":["x"],"sql_filters":["y"]`), "keep one of them"},
		{"both filters null", oneDep(`,"filters":null,"sql_filters":null`), "keep one of them"},
		{"filter number", oneDep(`,"filters":[1]`), "deps[0].filters[0]"},
		{"optional null", oneDep(`,"optional":null`), "expected true or false"},
		{"optional two", oneDep(`,"optional":2`), "got the number 2"},
		{"mapping null", oneDep(`,"fields_mapping":null`), "deps[0].fields_mapping"},
		{"mapping empty", oneDep(`,"fields_mapping":{}`), "deps[0].fields_mapping.mapping: is missing"},
		{"mapping type", oneDep(`,"fields_mapping":{"mapping":{"type":"zzz"}}`), `["default" "specific" "all" "none"]`},
		{"mapping type number", oneDep(`,"fields_mapping":{"mapping":{"type":1}}`), "got the number 1"},
		{"mapping exclude", oneDep(`,"fields_mapping":{"mapping":{"type":"default","exclude_fields":null}}`),
			"exclude_fields"},
		{"mapping specific", oneDep(`,"fields_mapping":{"mapping":{"type":"specific"}}`), "mapping.mapping: is missing"},
		{"mapping value", oneDep(`,"fields_mapping":{"mapping":{"type":"specific","mapping":{"x":"ab"}}}`),
			"expected a list"},
		{"mapping key", oneDep(`,"fields_mapping":{"mapping":{"type":"specific","mapping":{"X":["a"]}}}`), `part "X"`},
		{"lineage null", oneDep(`,"lineage":null`), "deps[0].lineage"},
		{"lineage word", oneDep(`,"lineage":"1:1"`), "expected an object"},
		{"lineage type", oneDep(`,"lineage":{"relationship":{"type":"2:1"}}`), `["1:1" "N:1" "1:N"]`},
		{"expansion null", oneDep(`,"lineage":{"relationship":{"type":"1:N","on":null}}`), "relationship.on"},
		{"twice", `{"key":"a","id_columns":["id"],"key":"b"}`, `"key" stands twice`},
		{"twice deep", member(`"metadata":{"x":[{"y":1,"y":1}]}`), `"y" stands twice`},
		{"surrogate", member(`"description":"\ud800"`), "half of a surrogate pair"},
		{"surrogate low", member(`"description":"\\\udc00"`), "half of a surrogate pair"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := Spec{Key: "untouched"}
			err := s.UnmarshalJSON([]byte(c.input))
			if !errors.Is(err, ErrSpec) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want ErrSpec with %q", err, c.want)
			}
			if s.Key != "untouched" {
				t.Error("the spec was changed in spite of the error")
			}
		})
	}
}

func TestSpecRefusesBadText(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", maxDepth+2) + strings.Repeat("]", maxDepth+2)
	for name, input := range map[string]string{
		"not UTF-8": "{\"key\":\"a\",\"id_columns\":[\"\xff\"]}",
		"cut off":   `{"key":"a"`,
		"trailing":  `{"key":"a","id_columns":["id"]} x`,
		"empty":     "",
		"too deep":  `{"key":"a","id_columns":["id"],"metadata":{"x":` + deep + `}}`,
	} {
		var s Spec
		if err := s.UnmarshalJSON([]byte(input)); !errors.Is(err, ErrSpec) {
			t.Errorf("%s: got %v, want ErrSpec", name, err)
		}
	}
}

// TestSpecTellsEverything checks that one reading names all problems, each with the feature.
func TestSpecTellsEverything(t *testing.T) {
	t.Parallel()
	var s Spec
	err := json.Unmarshal([]byte(`{"key":"a/b","id_columns":"","fields":["X"],"deps":[{"feature":"b","slect":[]}],"x":1}`), &s)
	for _, want := range []string{`feature "a/b": invalid spec: fields[0]`, "deps[0].slect", `did you mean "select"?`,
		`"a/b": invalid spec: x: `} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	var fe *FeatureError
	if !errors.As(err, &fe) || fe.Feature != "a/b" || fe.Path == "" {
		t.Errorf("got %+v, want a *FeatureError of a/b with a path", fe)
	}
}
