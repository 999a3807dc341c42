// Package vectors finds the test cases that the real Metaxy produced.
package vectors

import (
	"cmp"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Env names the variable that points tests at another folder of cases.
const Env = "METAXY_VECTORS"

// Dir returns the folder of the cases: $METAXY_VECTORS, or testdata/vectors of the module.
func Dir(tb testing.TB) string {
	tb.Helper()
	return cmp.Or(os.Getenv(Env), defaultDir(tb))
}

// Files returns every file of a group, such as "graph" or "keys", in order of name. A group without files fails the
// test, unless the folder is an own one, which need not have every group.
func Files(tb testing.TB, group string) []string {
	tb.Helper()
	dir := Dir(tb)
	files := append(glob(tb, dir, group+".json"), glob(tb, dir, group+"_*.json")...)
	switch {
	case len(files) > 0:
	case os.Getenv(Env) != "":
		tb.Logf("no cases of group %q in %s", group, dir)
	default:
		tb.Fatalf("no cases of group %q in %s", group, dir)
	}
	return files
}

func defaultDir(tb testing.TB) string {
	tb.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		tb.Fatal("find the source file of package vectors: no caller")
	}
	return filepath.Join(filepath.Dir(file), "..", "..", "testdata", "vectors")
}

func glob(tb testing.TB, dir, pattern string) []string {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		tb.Fatalf("find cases %s: %v", pattern, err)
	}
	return files
}
