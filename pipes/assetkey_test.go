package pipes_test

import (
	"slices"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

func TestParseAssetKey(t *testing.T) {
	t.Parallel()
	// The cases are what dagster_pipes.to_asset_key_path returns.
	for escaped, want := range map[string][]string{
		"":           nil,
		"a":          {"a"},
		"a/b":        {"a", "b"},
		`a\/b`:       {"a/b"},
		`a\\/b`:      {`a\`, "b"},
		`a\\\/b`:     {`a\/b`},
		"a/":         {"a"},
		"/a":         {"", "a"},
		"a//b":       {"a", "", "b"},
		"/":          {""},
		`a\`:         {"a"},
		`a\x`:        {"ax"},
		`\`:          nil,
		"Ü/🎬\x00/\"": {"Ü", "🎬\x00", `"`},
	} {
		if got := pipes.ParseAssetKey(escaped); !slices.Equal(got, want) {
			t.Errorf("ParseAssetKey(%q) = %q, want %q", escaped, got, want)
		}
	}
}

func TestEscapeAssetKey(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		parts []string
		want  string
	}{
		{nil, ""}, {[]string{"a"}, "a"}, {[]string{"a", "b"}, "a/b"}, {[]string{"a/b", `c\d`}, `a\/b/c\\d`},
		{[]string{`\/`}, `\\\/`}, {[]string{"", "a"}, "/a"},
	} {
		if got := pipes.EscapeAssetKey(test.parts...); got != test.want {
			t.Errorf("EscapeAssetKey(%q) = %q, want %q", test.parts, got, test.want)
		}
	}
}

func FuzzAssetKey(f *testing.F) {
	f.Add("a/b", `c\`)
	f.Add("", "x")
	f.Add("🎬", "\xff/")
	f.Fuzz(func(t *testing.T, first, last string) {
		pipes.ParseAssetKey(first)
		if last == "" {
			return // an empty last part does not survive, in Dagster neither
		}
		parts := []string{first, last}
		if got := pipes.ParseAssetKey(pipes.EscapeAssetKey(parts...)); !slices.Equal(got, parts) {
			t.Errorf("%q came back as %q", parts, got)
		}
	})
}
