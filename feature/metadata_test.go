package feature

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// TestMetadataFromGo writes Go values as Metaxy writes the Python values that they correspond to.
func TestMetadataFromGo(t *testing.T) {
	t.Parallel()
	type point struct {
		X int `json:"x"`
	}
	type word string
	one := 1
	noon := time.Date(2024, 1, 2, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		value any
		want  string
	}{
		{nil, "null"}, {true, "true"}, {"é", `"\u00e9"`}, {word("w"), `"w"`},
		{int8(-1), "-1"}, {uint64(math.MaxUint64), "18446744073709551615"}, {&one, "1"}, {(*int)(nil), "null"},
		{1.0, "1.0"}, {float32(0.5), "0.5"}, {1e16, "1e+16"}, {math.Copysign(0, -1), "-0.0"},
		{math.NaN(), "null"}, {math.Inf(-1), "null"},
		{json.Number("1e400"), "null"}, {json.Number("1E5"), "100000.0"}, {json.Number("-0"), "0"}, {json.Number("-0.0"),
			"-0.0"},
		{json.Number("123456789012345678901234567890"), "123456789012345678901234567890"},
		{[]string{"a"}, `["a"]`}, {[2]int{1, 2}, "[1, 2]"}, {[]any(nil), "[]"},
		{map[word]float64{"z": 1, "a": 2}, `{"a": 2.0, "z": 1.0}`}, {point{3}, `{"x": 3}`},
		{noon, `"2024-01-02T12:00:00Z"`}, {noon.Add(600 * time.Microsecond), `"2024-01-02T12:00:00.000600Z"`},
		{noon.In(time.FixedZone("", 7200)), `"2024-01-02T14:00:00+02:00"`},
	} {
		s := Spec{Key: "a", IDColumns: ids(), Metadata: map[string]any{"v": c.value}}
		got, err := s.Canonical()
		if want := `"metadata": {"v": ` + c.want + `}}`; err != nil || !strings.HasSuffix(got, want) {
			t.Errorf("%v: got %s, %v; want it to end in %s", c.value, got, err, want)
		}
	}
}

func TestMetadataRefused(t *testing.T) {
	t.Parallel()
	loop := map[string]any{}
	loop["self"] = loop
	for name, c := range map[string]struct {
		value any
		want  string
	}{
		"function":   {func() {}, `["v"] is a func()`},
		"number":     {json.Number("0x1"), "not a number"},
		"two":        {json.Number("1 2"), "not a number"},
		"no number":  {json.Number(""), "not a number"},
		"map of int": {map[int]int{1: 2}, "its keys must be strings"},
		"loop":       {loop, "is it part of itself?"},
		"not UTF-8":  {"\xff", "not UTF-8"},
		"name":       {map[string]any{"\xff": 1}, "not UTF-8"},
		"marshaler":  {json.RawMessage("{"), "unexpected end"},
	} {
		s := Spec{Key: "a", IDColumns: ids(), Metadata: map[string]any{"v": c.value}}
		if _, err := s.Canonical(); !errors.Is(err, ErrSpec) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %.200v, want ErrSpec with %q", name, err, c.want)
		}
	}
}

func TestJSONText(t *testing.T) {
	t.Parallel()
	got, err := JSONText([]byte(` {"b":[1.0,{"é":null}],"a":{}} `))
	if want := `{"b": [1.0, {"\u00e9": null}], "a": {}}`; got != want || err != nil {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
	if _, err := JSONText([]byte(`{"a":1,"a":2}`)); err == nil {
		t.Error("got no error for a member that stands twice")
	}
}

// FuzzSpec reads any JSON. A spec that is read must be written so that reading gives the same again.
func FuzzSpec(f *testing.F) {
	for _, s := range []string{
		`{"key":"a","id_columns":["id"]}`, `{"key":["a","b"],"id_columns":"id","fields":[],"description":""}`,
		oneDep(`,"lineage":{"relationship":{"type":"1:N","on":["x"]}},"filters":["x > 1"],"select":[],"rename":{"a":"b"}`),
		oneDep(`,"fields_mapping":{"mapping":{"type":"specific","mapping":{"x":["b/c",["a"]]}}}`),
		`{"key":"a","id_columns":["id"],"metadata":{"a":[1e400,-0,1.50,"\ud83d\ude00"]}}`, `null`, `[`, `{"key":"a","key":"b"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var s Spec
		if err := s.UnmarshalJSON(data); err != nil {
			if !errors.Is(err, ErrSpec) {
				t.Fatalf("got %v, want ErrSpec", err)
			}
			return
		}
		text, err := s.Text()
		if err != nil {
			t.Fatalf("write what was read: %v", err)
		}
		checkForms(t, s, json.RawMessage(text))
		if _, err := NewGraph([]Definition{{Spec: s}}, Options{}); err != nil {
			var fe *FeatureError
			if !errors.As(err, &fe) {
				t.Errorf("NewGraph: got %v, want a *FeatureError", err)
			}
		}
	})
}
