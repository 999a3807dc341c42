package featurefile

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/vectors"
)

// TestVectorsAsFiles writes the features of every case of real Metaxy as a feature file, in JSON and (which this JSON
// also is) in YAML, and compares the definition versions: nothing of a spec or schema may get lost on the way.
func TestVectorsAsFiles(t *testing.T) {
	t.Parallel()
	for _, file := range vectors.Files(t, "graph") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var c struct {
				Features []struct {
					Spec   map[string]json.RawMessage
					Schema json.RawMessage
				}
				Expected map[string]struct {
					Features map[feature.Key]struct {
						DefinitionVersion string `json:"definition_version"`
					}
				}
			}
			if err := json.Unmarshal(data, &c); err != nil {
				t.Fatal(err)
			}
			specs := []map[string]json.RawMessage{}
			for _, f := range c.Features {
				f.Spec["schema"] = f.Schema
				specs = append(specs, f.Spec)
			}
			written, err := json.Marshal(map[string]any{"features": specs})
			if err != nil {
				t.Fatal(err)
			}
			for name, text := range map[string]string{"f.json": string(written), "f.yaml": escapeDelete(written)} {
				for _, d := range parse(t, name, text) {
					want := c.Expected["64"].Features[d.Spec.Key].DefinitionVersion
					if got := definitionVersion(t, d); got != want || want == "" {
						t.Errorf("%s, %s: got definition version %s, want %s", name, d.Spec.Key, got, want)
					}
				}
			}
		})
	}
}

// escapeDelete writes the one control character out that JSON takes as it is and YAML does not.
func escapeDelete(data []byte) string { return strings.ReplaceAll(string(data), "\x7f", `\u007f`) }

// definitionVersion returns the version of a definition without its parents, which have no part in it.
func definitionVersion(t *testing.T, d feature.Definition) string {
	t.Helper()
	// An external feature whose field versions are all given needs no parents.
	d.External, d.FieldVersions = true, map[feature.Key]string{}
	for _, f := range d.Spec.Fields {
		d.FieldVersions[f.Key] = "given"
	}
	g, err := feature.NewGraph([]feature.Definition{d}, feature.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := g.Lookup(d.Spec.Key)
	if err != nil {
		t.Fatal(err)
	}
	return f.DefinitionVersion()
}
