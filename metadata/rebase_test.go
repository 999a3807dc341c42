package metadata_test

import (
	"errors"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/metadata"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// Rows go over to another version of the feature, with what was computed, and nothing is left to do; but only those that
// are expected and are not there yet.
func TestRebase(t *testing.T) {
	t.Parallel()
	s, old, now := store.NewMemory(), graph(t, "1"), graph(t, "2")
	was, is := lookup(t, old, "crop"), lookup(t, now, "crop")
	write(t, table(s, lookup(t, old, "video")), video(t, "1", "a", "b", "c", "d", "e"))
	crops := func(lines ...string) arrow.RecordBatch { return batch(t, []string{"frames"}, lines...) }
	write(t, table(s, was), crops(
		`{"id":"a","path":"a.png","metaxy_created_at":"2001-01-01T00:00:00Z","metaxy_provenance_by_field":{"frames":"1"}}`,
		`{"id":"b","path":"b.png","metaxy_created_at":"2001-01-01T00:00:00Z","metaxy_provenance_by_field":{"frames":"2"}}`,
		`{"id":"c","path":"c.png","metaxy_created_at":"2001-01-01T00:00:00Z","metaxy_provenance_by_field":{"frames":"3"}}`,
		`{"id":"gone","path":"g.png","metaxy_created_at":"2001-01-01T00:00:00Z","metaxy_provenance_by_field":{"frames":"4"}}`,
		`{"id":"d","path":"d.png","metaxy_created_at":"2001-01-01T00:00:00Z","metaxy_provenance_by_field":{"frames":"5"}}`))
	write(t, table(s, was), crops(
		`{"id":"b","path":"b2.png","metaxy_provenance_by_field":{"frames":"2"},"metaxy_data_version_by_field":{"frames":"own"}}`))
	if _, err := table(s, was).Delete(t.Context(), metadata.DeleteOptions{Filters: []string{"id = 'd'"}}); err != nil {
		t.Fatal(err)
	}
	write(t, table(s, is), crops(`{"id":"c","path":"new.png","metaxy_provenance_by_field":{"frames":"9"}}`))

	tab := table(s, is)
	tab.MaterializationID = "rebase"
	res, err := tab.Rebase(t.Context(), metadata.RebaseOptions{From: was.Version()})
	if err != nil || res.Rows != 2 || res.Present != 1 || res.Unexpected != 1 {
		t.Fatalf("Rebase = %+v, %v; want 2 rows, 1 present, 1 unexpected", res, err)
	}
	same(t, read(t, s, is, engine.ReadOptions{}, "id", "path", "metaxy_materialization_id"),
		"a a.png rebase", "b b2.png rebase", "c new.png m")
	inc, err := engine.Resolve(t.Context(), s, is, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n, stale, orphaned := inc.Count(engine.New), inc.Count(engine.Stale), inc.Count(engine.Orphaned); n != 2 || stale != 1 || orphaned != 0 {
		t.Errorf("new=%d stale=%d orphaned=%d, want d and e new, and c stale", n, stale, orphaned)
	}
	got := read(t, s, is, engine.ReadOptions{Filters: []string{"metaxy_materialization_id = 'rebase'"}}, "metaxy_data_version_by_field")
	if len(got) != 2 || got[1] != `{"frames":"own"}` || got[0] == `{"frames":"1"}` {
		t.Errorf("the data versions are %q, want one that was made anew and the one that was given", got)
	}
	if got := read(t, s, is, engine.ReadOptions{Filters: []string{"id = 'a'"}}, "metaxy_created_at"); got[0] != "2001-01-01T00:00:00Z" {
		t.Errorf("a was created at %s", got[0])
	}
	res, err = tab.Rebase(t.Context(), metadata.RebaseOptions{From: was.Version(), Replace: true, Filters: []string{"path = 'c.png'"}})
	if err != nil || res.Rows != 1 {
		t.Fatalf("Rebase = %+v, %v; want 1 row", res, err)
	}
	same(t, read(t, s, is, engine.ReadOptions{}, "path"), "a.png", "b2.png", "c.png")
	same(t, read(t, s, was, engine.ReadOptions{}, "path"), "a.png", "b2.png", "c.png", "g.png")
}

func TestRebaseRefuses(t *testing.T) {
	t.Parallel()
	s, g := store.NewMemory(), graph(t, "1")
	tab := table(s, lookup(t, g, "crop"))
	for _, from := range []string{"", tab.Feature.Version()} {
		if _, err := tab.Rebase(t.Context(), metadata.RebaseOptions{From: from}); !errors.Is(err, metadata.ErrVersion) {
			t.Errorf("rebase from %q: %v, want metadata.ErrVersion", from, err)
		}
	}
	if _, err := tab.Rebase(t.Context(), metadata.RebaseOptions{From: "x"}); !errors.Is(err, store.ErrNoTable) {
		t.Errorf("rebase without a table: %v, want store.ErrNoTable", err)
	}
	root := table(s, lookup(t, g, "video"))
	write(t, root, video(t, "1", "a"))
	if _, err := root.Rebase(t.Context(), metadata.RebaseOptions{From: "x"}); !errors.Is(err, engine.ErrPlan) {
		t.Errorf("rebase of a root: %v, want engine.ErrPlan", err)
	}
}
