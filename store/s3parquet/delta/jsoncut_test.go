package delta

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzMembers compares the members of JSON objects with what encoding/json finds. Of what is no JSON it may find some.
func FuzzMembers(f *testing.F) {
	for _, text := range []string{
		"", "{", "{}", " { } ", "[]", "null", "7", `{"a":1}`, `{"a":1,}`, `{,}`, `{"a" "b"}`, `{"a":}`, `{"a":1}}`, `{"a":1} x`,
		"{ \"a\" : [ 1 , {\"b\":\"}]\"} ] ,\n\"c\"\t:null}", `{"a":"\\","b":"\"","c\u0041":"\\\"","d":"\ud800"}`, `{"":0}`,
		`{"a":1,"a":2}`, `{"a":{"b":{"c":[[[]]]}},"e":-1.5e+3,"f":true}`, `{"a":"x`, `{"a":"\`, `{"a":{]}`, `{"ü":"ü"}`, "{\"\xff\":1}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, object string) {
		got := map[string]string{}
		whole := eachMember(object, func(name, value string) { got[name] = value })
		var want map[string]json.RawMessage
		if json.Unmarshal([]byte(object), &want) != nil || want == nil {
			if whole && json.Valid([]byte(object)) {
				t.Errorf("%s is no object, and has members", object)
			}
			return
		}
		for name := range want { // such names are not read, as no column has one
			if !utf8.ValidString(object) || strings.ContainsRune(name, utf8.RuneError) {
				return
			}
		}
		if !whole || len(got) != len(want) {
			t.Fatalf("%s has the members %q (whole: %t), want %q", object, got, whole, want)
		}
		for name, raw := range want {
			if got[name] != string(raw) || member(object, name) != string(raw) {
				t.Errorf("%s: member %q is %s, want %s", object, name, got[name], raw)
			}
			var n int64
			if count, ok := number(got[name]); ok != (json.Unmarshal(raw, &n) == nil && string(raw) != "null") || count != n {
				t.Errorf("%s is the number %d (%t), want %d", raw, count, ok, n)
			}
			var s string
			valid := json.Unmarshal(raw, &s) == nil && string(raw) != "null" && !strings.ContainsRune(s, utf8.RuneError)
			if read, ok := text(got[name]); ok != valid || ok && read != s {
				t.Errorf("%s is the text %q (%t), want %q", raw, read, ok, s)
			}
		}
	})
}

// Whatever stats are cut off, they say nothing.
func TestStatsCutOff(t *testing.T) {
	t.Parallel()
	const whole = `{"numRecords":3,"minValues":{"id":"a"},"maxValues":{"id":"c"},"nullCount":{"id":0}}`
	for n := range whole {
		if s := (&Add{Stats: whole[:n]}).ParseStats(); s != (Stats{}) {
			t.Errorf("%s is taken for %+v", whole[:n], s)
		}
	}
	if s := (&Add{Stats: whole}).ParseStats(); *s.NumRecords != 3 || s.MayHold("id", "d") || !s.MayHold("id", "b") {
		t.Errorf("the whole is taken for %+v", s)
	}
}
