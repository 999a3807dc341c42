package feature

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
)

// TestMain rewrites the goldens first if it is asked to.
func TestMain(m *testing.M) {
	update := flag.Bool("update", false, "have real Metaxy write testdata again; needs the Python environment in .venv")
	flag.Parse()
	if *update {
		if out, err := exec.Command("../.venv/bin/python", "testdata/golden.py").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "run testdata/golden.py: %v\n%s", err, out)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// TestGoldenSpecs reads specs in every form that Metaxy accepts, and texts and numbers that JSON writers disagree
// about. testdata/golden.py had real Metaxy write down what it makes of them.
func TestGoldenSpecs(t *testing.T) {
	t.Parallel()
	var cases []struct {
		Name, Input, Canonical string
		SpecVersion            string `json:"spec_version"`
		CodeVersion            string `json:"code_version"`
	}
	readCase(t, "testdata/specs.json", &cases)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			var s Spec
			if err := json.Unmarshal([]byte(c.Input), &s); err != nil {
				t.Fatal(err)
			}
			got, err := s.Canonical()
			if got != c.Canonical || err != nil {
				t.Errorf("canonical: %v\n got %s\nwant %s", err, got, c.Canonical)
			}
			f := &Feature{schema: json.RawMessage("{}")}
			if f.spec, err = s.completed(); err != nil {
				t.Fatal(err)
			}
			if err := f.describe(Options{}); err != nil {
				t.Fatal(err)
			}
			if f.SpecVersion() != c.SpecVersion || f.CodeVersion() != c.CodeVersion {
				t.Errorf("got spec version %s and code version %s, want %s and %s",
					f.SpecVersion(), f.CodeVersion(), c.SpecVersion, c.CodeVersion)
			}
		})
	}
}

// TestGoldenGraphs compares random graphs, in which mappings, listed fields, external features and broken features
// meet, with what real Metaxy computed for them.
func TestGoldenGraphs(t *testing.T) {
	t.Parallel()
	var cases []graphCase
	readCase(t, "testdata/random_graphs.json", &cases)
	for _, c := range cases {
		for length, want := range c.Expected {
			n, err := strconv.Atoi(length)
			if err != nil {
				t.Fatal(err)
			}
			t.Run(c.Name+"/"+length, func(t *testing.T) {
				t.Parallel()
				c.check(t, Options{TruncationLength: n}, want)
			})
		}
	}
}
