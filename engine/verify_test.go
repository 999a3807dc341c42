package engine

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// verify returns what is found, as "id column", and the counts.
func (s *scene) verify(key feature.Key) (string, Verification) {
	s.t.Helper()
	var found []Finding
	snap, out, err := Verify(s.t.Context(), s.store, s.feature(key), Hashing{}, func(f Finding) error {
		found = append(found, f)
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	var lines []string
	for _, f := range found {
		rec, err := snap.Fetch(s.t.Context(), []store.RowRef{f.Row}, []string{"id"})
		if err != nil {
			s.t.Fatal(err)
		}
		if f.Stored == f.Expected {
			s.t.Errorf("%+v differs from itself", f)
		}
		lines = append(lines, rec.Column(0).ValueStr(0)+" "+strings.TrimPrefix(f.Column, "metaxy_"))
	}
	slices.Sort(lines)
	return strings.Join(lines, ", "), out
}

func (s *scene) expectVerified(key feature.Key, found string, want Verification) {
	s.t.Helper()
	if got, out := s.verify(key); got != found || out != want {
		s.t.Errorf("%s: found %q, %+v; want %q, %+v", key, got, out, found, want)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("a"), xy("b"), xy("t", feature.Dep{Feature: "a"}, feature.Dep{Feature: "b", Optional: true}))
	s.root("a", "1 p q", "2 p q", "3 p q", "4 p q", "5 - q")
	s.root("b", "1 r s", "2 r s")
	s.run("t")
	s.expectVerified("a", "", Verification{Rows: 5})
	s.expectVerified("t", "", Verification{Rows: 4, Derived: 4})
	// Stale, orphaned and deleted samples are no findings.
	s.root("a", "1 p2 q2", "2 p3 q", "2 p4 q")
	s.delete("a", "3")
	s.root("b", "3 r s")
	s.delete("t", "4")
	s.expectVerified("t", "", Verification{Rows: 5, Derived: 2, Unknown: 1})
	// Rows that were made up, or changed.
	s.write("t", s.rows("id:string metaxy_provenance:string "+sceneVersions,
		`{"id":"1","metaxy_provenance":"wrong","metaxy_provenance_by_field":{"x":"1","y":"2"}}`,
		`{"id":"2","metaxy_provenance":null,"metaxy_provenance_by_field":{"x":"1","y":null}}`))
	s.expectVerified("t", "1 provenance, 1 provenance_by_field.x, 1 provenance_by_field.y, 2 provenance_by_field.x",
		Verification{Rows: 7, Differ: 2, Unknown: 1})
	// Data versions are overridden, or wrong.
	s.write("a", s.rows("id:string metaxy_data_version:string metaxy_data_version_by_field:struct<x:string,y:string> "+sceneVersions,
		`{"id":"6","metaxy_data_version":"own","metaxy_data_version_by_field":{"x":"o","y":"q"},"metaxy_provenance_by_field":{"x":"p","y":"q"}}`,
		`{"id":"7","metaxy_data_version":"wrong","metaxy_data_version_by_field":{"x":"p","y":"q"},"metaxy_provenance_by_field":{"x":"p","y":"q"}}`,
		`{"id":"8","metaxy_data_version":null,"metaxy_data_version_by_field":null,"metaxy_provenance_by_field":{"x":"p","y":"q"}}`))
	s.expectVerified("a", "7 data_version", Verification{Rows: 12, Differ: 1})
	// When rows of a parent were taken out, a sample may come from them.
	d := store.Deletion{Where: []store.Equal{{Column: "id", Value: "4"}}}
	if _, err := s.store.Delete(t.Context(), "a", d); err != nil {
		t.Fatal(err)
	}
	s.expectVerified("t", "1 provenance", Verification{Rows: 7, Differ: 1, Unknown: 3})
}

// Whatever a run writes is right, and stays so when the parents move on.
func TestVerifyOnRandomWorlds(t *testing.T) {
	t.Parallel()
	derived := int64(0)
	for seed := range uint64(randomWorlds / 4) {
		w := newWorld(t, seed, false)
		s := w.store(false)
		check := func(f *feature.Feature, fresh bool) {
			_, out, err := Verify(context.Background(), s, f, w.hashing, func(x Finding) error {
				if strings.HasPrefix(x.Column, feature.ColProvenanceByField) {
					t.Errorf("seed %d: %s: %+v", seed, f.Key(), x)
				}
				return nil
			})
			if err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
			if derived += out.Derived; fresh && out.Unknown > 0 {
				t.Errorf("seed %d: %s: %+v after a run that wrote all", seed, f.Key(), out)
			}
		}
		for _, key := range w.keys {
			f := w.feature(key)
			if f.Root() {
				continue
			}
			if _, err := s.Delete(t.Context(), key, store.Deletion{}); err != nil { // rows that were made up
				t.Fatal(err)
			}
			w.writeAll(f, s)
			check(f, true)
			for _, p := range f.Parents() {
				w.clock += int64(time.Hour / time.Microsecond)
				before := len(w.rows[p.Feature.Key()])
				w.junk(p.Feature, 4)
				for _, rec := range w.rows[p.Feature.Key()][before:] {
					appendRows(t, s, p.Feature.Key(), rec)
				}
			}
			check(f, false)
		}
	}
	if derived == 0 {
		t.Error("nothing was derived")
	}
}
