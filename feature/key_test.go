package feature

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/internal/vectors"
)

// derivedNames is what Metaxy makes of a key.
type derivedNames struct {
	Parts        []string
	String       string
	TableName    string `json:"table_name"`
	StructKey    string `json:"struct_key"`
	ColumnSuffix string `json:"column_suffix"`
	Error        *struct{ Message string }
}

// TestVectorsKeys reads each key as Go code does and as JSON does, and compares the names that are derived from it.
func TestVectorsKeys(t *testing.T) {
	t.Parallel()
	for _, file := range vectors.Files(t, "keys") {
		var group struct {
			Cases []struct {
				Input    json.RawMessage
				Expected map[string]derivedNames
			}
		}
		readCase(t, file, &group)
		if len(group.Cases) == 0 {
			t.Fatalf("%s has no cases", filepath.Base(file))
		}
		for _, c := range group.Cases {
			for kind, want := range c.Expected {
				t.Run(kind+" "+string(c.Input), func(t *testing.T) {
					t.Parallel()
					checkKey(t, c.Input, want)
				})
			}
		}
	}
}

func checkKey(t *testing.T, input json.RawMessage, want derivedNames) {
	tree, err := parseTree(input)
	if err != nil {
		t.Fatal(err)
	}
	d := decoder{}
	k := d.key("key", tree)
	if text, ok := tree.(string); ok {
		parsed, err := ParseKey(text)
		if (err != nil) != (len(d.problems) > 0) || parsed != k {
			t.Errorf("ParseKey: got %q, %v; JSON gives %q, %v", parsed, err, k, d.problems)
		}
	}
	if want.Error != nil {
		if len(d.problems) == 0 || k != "" {
			t.Errorf("got key %q, want an error like %s", k, want.Error.Message)
		}
		return
	}
	if len(d.problems) > 0 {
		t.Fatalf("got %v, want a key", d.problems[0])
	}
	if got := k.Parts(); !slices.Equal(got, want.Parts) {
		t.Errorf("parts: got %q, want %q", got, want.Parts)
	}
	for _, v := range []struct{ what, got, want string }{
		{"string", string(k), want.String},
		{"table", k.Table(), want.TableName},
		{"struct key", k.StructKey(), want.StructKey},
		{"suffix", k.Suffix(), want.ColumnSuffix},
	} {
		if v.got != v.want {
			t.Errorf("%s: got %q, want %q", v.what, v.got, v.want)
		}
	}
}

func TestParseKeyRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "/", "a//b", "a/", "/a", "A", "é", "a b", "a'b", `a"b`, "a\x00", "a\n\n", "\n", "a/\n", "🎬", "..", "a/../b", "a.b",
		"-a", "1a", "a/-b", "a__b", "__", "a\\b", "a\r", strings.Repeat("x", 1<<20) + "!",
	} {
		if k, err := ParseKey(s); !errors.Is(err, ErrKey) || k != "" {
			t.Errorf("ParseKey(%.20q): got %.20q, %v; want ErrKey", s, k, err)
		}
	}
}

func TestKeyOf(t *testing.T) {
	t.Parallel()
	if k, err := KeyOf(); k != "" || err != nil || len(k.Parts()) != 0 {
		t.Errorf("KeyOf(): got %q, %v; want the key without parts", k, err)
	}
	if k, err := KeyOf("a", "0_-"); k != "a/0_-" || err != nil {
		t.Errorf("KeyOf: got %q, %v; want a/0_-", k, err)
	}
	if _, err := KeyOf("a/b"); !errors.Is(err, ErrKey) {
		t.Errorf("KeyOf(a/b): got %v, want ErrKey", err)
	}
}

func TestKeyCompare(t *testing.T) {
	t.Parallel()
	sorted := []Key{"", "_", "a", "a/b", "a/b/c", "a/c", "a-b", "a0", "a_b", "b"}
	shuffled := slices.Clone(sorted)
	slices.Reverse(shuffled)
	slices.SortFunc(shuffled, Key.Compare)
	if !slices.Equal(shuffled, sorted) {
		t.Errorf("got %q, want %q", shuffled, sorted)
	}
}

func FuzzParseKey(f *testing.F) {
	for _, s := range []string{"a", "a/b-c", "A", "", "a//b", "a\n", "a__b", "é", "a/\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, err := ParseKey(s)
		if err != nil {
			if k != "" || !errors.Is(err, ErrKey) {
				t.Fatalf("got %q, %v; want no key and ErrKey", k, err)
			}
			return
		}
		if string(k) != s {
			t.Errorf("got %q, want the key spelled as given, %q", k, s)
		}
		if again, err := KeyOf(k.Parts()...); again != k || err != nil {
			t.Errorf("KeyOf(Parts()): got %q, %v; want %q", again, err, k)
		}
		if table := k.Table(); strings.ContainsAny(table, `/\.-"' `) {
			t.Errorf("table name %q could be mistaken for something else", table)
		}
	})
}
