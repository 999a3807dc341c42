// Package archtest holds the rule of which package may import which, as a test.
package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/metaxy-pipes/metaxy-pipes"

// A rule says what a package may import: packages of this module by their path below it, and others by prefix. The
// standard library is always allowed.
type rule struct {
	own    []string
	others []string
}

const (
	arrow   = "github.com/apache/arrow-go/v18/arrow"
	parquet = "github.com/parquet-go/parquet-go"
	aws     = "github.com/aws/"

	parquetArrow = "github.com/apache/arrow-go/v18/parquet"
)

// rules is the import table of ARCHITECTURE.md, from the bottom up. A package that is not named here may import nothing.
var rules = map[string]rule{
	"pipes":                             {},
	"pipes/pipestest":                   {own: []string{"pipes"}},
	"pipes/internal/probe":              {own: []string{"pipes"}},
	"pipes/databricks":                  {own: []string{"pipes"}},
	"pipes/s3pipes":                     {own: []string{"pipes"}, others: []string{aws}},
	"pipes/gcspipes":                    {own: []string{"pipes"}, others: []string{"golang.org/x/oauth2/google"}},
	"pipes/azurepipes":                  {own: []string{"pipes"}, others: []string{"github.com/Azure/azure-sdk-for-go/sdk/"}},
	"feature":                           {},
	"feature/featurefile":               {own: []string{"feature"}, others: []string{"go.yaml.in/yaml"}},
	"feature/lockfile":                  {own: []string{"feature"}, others: []string{"github.com/pelletier/go-toml"}},
	"feature/graphdiff":                 {own: []string{"feature"}},
	"systemtable":                       {own: []string{"feature", "store"}, others: []string{arrow}},
	"store":                             {own: []string{"feature"}, others: []string{arrow}},
	"filter":                            {others: []string{arrow}},
	"store/storetest":                   {own: []string{"feature", "store"}, others: []string{arrow}},
	"store/s3parquet/bucket":            {others: []string{aws}},
	"store/s3parquet/columnar":          {own: []string{"internal/machine", "internal/packed", "store"}, others: []string{arrow, parquet, "golang.org/x/sync", "github.com/klauspost/compress", "github.com/pierrec/lz4", "github.com/andybalholm/brotli"}},
	"store/s3parquet/delta":             {own: []string{"internal/machine", "store", "store/s3parquet/bucket", "store/s3parquet/columnar"}, others: []string{arrow, parquet, "golang.org/x/sync", "github.com/google/uuid"}},
	"store/s3parquet":                   {own: []string{"feature", "store", "store/s3parquet/bucket", "store/s3parquet/columnar", "store/s3parquet/delta"}, others: []string{arrow, "golang.org/x/sync", "github.com/google/uuid"}},
	"engine":                            {own: []string{"feature", "filter", "store"}, others: []string{arrow, "github.com/zeebo/xxh3", "github.com/cespare/xxhash", "golang.org/x/sync"}},
	"metadata":                          {own: []string{"engine", "feature", "internal/samplekey", "store"}, others: []string{arrow}},
	"store/s3parquet/bucket/buckettest": {own: []string{"store/s3parquet/bucket"}},
}

type goPackage struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

// TestImports compares the imports of the lower packages with the table. Tests are free to import what they need.
func TestImports(t *testing.T) {
	t.Parallel()
	std := map[string]bool{}
	for _, p := range list(t, "std") {
		std[p.ImportPath] = true
	}
	for _, p := range list(t, module+"/...") {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		r, ruled := rules[name]
		if !ruled && !lower(name) {
			for _, imp := range p.Imports {
				if strings.Contains(imp, "parquet/pqarrow") || strings.Contains(imp, "arrow/flight") {
					t.Errorf("%s imports %s, which brings gRPC and 40 MB into the binary: use store/s3parquet/columnar", name, imp)
				}
			}
			continue
		}
		for _, imp := range p.Imports {
			if !std[imp] && !r.allows(imp) {
				t.Errorf("%s imports %s: the table in internal/archtest does not allow it", name, imp)
			}
		}
	}
}

// TestBinary keeps out of the program what would double its size.
func TestBinary(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, "-deps", module+"/cmd/...") {
		for _, heavy := range []string{"google.golang.org/grpc", "go.opentelemetry.io/", "gocloud.dev", parquetArrow} {
			if strings.HasPrefix(p.ImportPath, heavy) {
				t.Errorf("the program contains %s: see with go mod why -m who brings it", p.ImportPath)
			}
		}
	}
}

// lower reports whether a package is one of the layers below the runner, test packages aside.
func lower(name string) bool {
	for _, layer := range []string{"pipes", "feature", "store", "engine"} {
		if (name == layer || strings.HasPrefix(name, layer+"/")) && !strings.HasSuffix(name, "test") && !strings.Contains(name, "/internal/") {
			return true
		}
	}
	return false
}

func (r rule) allows(imp string) bool {
	if own, ok := strings.CutPrefix(imp, module+"/"); ok {
		return slices.Contains(r.own, own)
	}
	return slices.ContainsFunc(r.others, func(prefix string) bool { return strings.HasPrefix(imp, prefix) }) &&
		!strings.Contains(imp, "pqarrow") && !strings.Contains(imp, "arrow/flight")
}

func list(t *testing.T, patterns ...string) []goPackage {
	t.Helper()
	args := append([]string{"list", "-json=ImportPath,Imports,Standard"}, patterns...)
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		t.Fatalf("go list %s: %v", patterns, err)
	}
	var pkgs []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	if len(pkgs) == 0 {
		t.Fatalf("go list %s found nothing", patterns)
	}
	return pkgs
}
