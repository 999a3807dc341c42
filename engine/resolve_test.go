package engine

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// The life of a feature with one parent, as in the package's documentation.
func TestResolveStory(t *testing.T) {
	t.Parallel()
	child := feature.Spec{Key: "speech", IDColumns: []string{"id"}, Fields: []feature.Field{{Key: "text",
		Deps: feature.FieldDeps{On: []feature.FieldDep{{Feature: "video", Fields: []feature.Key{"x"}}}}}},
		Deps: []feature.Dep{{Feature: "video"}}}
	s := newScene(t, xy("video"), child)
	s.root("video", "1 a f", "2 b f")
	s.expect("speech", "new: 1 2")
	s.run("speech")
	s.expect("speech", "")
	s.root("video", "1 a other")
	s.expect("speech", "") // only y changed
	s.root("video", "2 new f", "3 c f")
	s.expect("speech", "new: 3 stale: 2")
	s.delete("video", "1")
	s.expect("speech", "new: 3 stale: 2 orphaned: 1")
	s.delete("speech", "1")
	s.expect("speech", "new: 3 stale: 2")
	s.run("speech")
	s.expect("speech", "")
	s.root("video", "3 - f")
	s.expect("speech", "")
	if n := s.resolve("speech").Unresolvable(); n != 1 {
		t.Errorf("%d samples are unresolvable, want 1", n)
	}
}

func TestResolveIDTypes(t *testing.T) {
	t.Parallel()
	ids := map[string][2]string{
		"string": {`"a"`, `""`}, "int64": {"9007199254740993", "9007199254740992"}, "int32": {"-1", "1"}, "bool": {"true", "false"},
		"date": {`"2024-02-29"`, `"1969-12-31"`}, "timestamp": {`"2024-01-01T00:00:00.000001Z"`, `"2024-01-01T00:00:00.000002Z"`},
		"float64": {"0.1", "0.2"},
	}
	for typ, id := range ids {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, xy("a"), xy("t", feature.Dep{Feature: "a"}))
			versions := `,"metaxy_provenance_by_field":{"x":"1","y":"2"}}`
			s.write("a", s.rows("id:"+typ+" "+sceneVersions, `{"id":`+id[0]+versions))
			s.run("t")
			s.write("a", s.rows("id:"+typ+" "+sceneVersions, `{"id":`+id[1]+versions))
			if inc := s.resolve("t"); inc.Count(New) != 1 || inc.Count(Stale) != 0 || inc.Count(Orphaned) != 0 {
				t.Errorf("new=%d stale=%d orphaned=%d, want 1, 0, 0",
					inc.Count(New), inc.Count(Stale), inc.Count(Orphaned))
			}
		})
	}
}

func TestResolveJoinsIntegersOfAllWidths(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("a"), xy("b"), xy("t", feature.Dep{Feature: "a"}, feature.Dep{Feature: "b"}))
	row := `{"id":7,"metaxy_provenance_by_field":{"x":"1","y":"2"}}`
	s.write("a", s.rows("id:int32 "+sceneVersions, row))
	s.write("b", s.rows("id:int64 "+sceneVersions, row))
	s.expect("t", "new: 7")
	if typ := s.resolve("t").Schema(New).Field(0).Type; typ.ID() != arrow.INT32 {
		t.Errorf("the id is of type %s, want the first parent's", typ)
	}
}

// A full join gives ids of any parent, so that its column has the widest of their types.
func TestResolveAllOptionalIntegersOfAllWidths(t *testing.T) {
	t.Parallel()
	optional := func(key feature.Key) feature.Dep { return feature.Dep{Feature: key, Optional: true} }
	s := newScene(t, xy("a"), xy("b"), xy("t", optional("a"), optional("b")))
	versions := `"metaxy_provenance_by_field":{"x":"1","y":"2"}`
	s.write("a", s.rows("id:int32 "+sceneVersions, `{"id":7,`+versions+`}`, `{"id":8,`+versions+`}`))
	s.write("b", s.rows("id:int64 "+sceneVersions, `{"id":7,`+versions+`}`, `{"id":1099511627776,`+versions+`}`))
	s.expect("t", "new: 1099511627776 7 8")
	if typ := s.resolve("t").Schema(New).Field(0).Type; typ.ID() != arrow.INT64 {
		t.Errorf("the id is of type %s, want the wider one", typ)
	}
	s.run("t")
	s.expect("t", "")
}

func TestResolveOptionalParents(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("a"), xy("b"), xy("one", feature.Dep{Feature: "b", Optional: true}, feature.Dep{Feature: "a"}),
		xy("any", feature.Dep{Feature: "a", Optional: true}, feature.Dep{Feature: "b", Optional: true}))
	s.root("a", "1 p q", "2 p q")
	s.expect("one", "new: 1 2") // b has no table
	s.expect("any", "new: 1 2")
	s.run("one")
	s.root("b", "2 p q", "3 - -")
	s.expect("one", "stale: 2")
	s.expect("any", "new: 1 2 3")
	s.run("any")
	s.delete("b", "3")
	s.expect("any", "orphaned: 3")
}

func TestResolveRefuses(t *testing.T) {
	t.Parallel()
	bare := func(key feature.Key) feature.Dep { return feature.Dep{Feature: key, Select: []string{}} }
	group := feature.Lineage{Kind: feature.ManyToOne}
	a := []feature.Dep{{Feature: "a"}}
	tests := []struct {
		name string
		deps []feature.Dep
		opts Options
		want string
		is   error
	}{
		{"grouping by nothing", []feature.Dep{{Feature: "a", Lineage: feature.Lineage{Kind: feature.ManyToOne,
			On: []string{"nope"}}}}, Options{}, `no column "nope"`, ErrPlan},
		{"grouping by a list", []feature.Dep{{Feature: "l", Lineage: group}}, Options{}, `column "id" of parent "l"`, ErrPlan},
		{"expanding nothing", []feature.Dep{{Feature: "a", Lineage: feature.Lineage{Kind: feature.OneToMany,
			On: []string{"nope"}}}}, Options{}, `"nope"`, ErrPlan},
		{"parent filter", []feature.Dep{{Feature: "a", Filters: []string{"nope > 1"}}}, Options{},
			`filter "nope > 1" on parent "a": there is no column "nope"`, ErrPlan},
		{"parent filter before renaming", []feature.Dep{{Feature: "a", Rename: map[string]string{"c": "c2"},
			Filters: []string{"c > 1"}}}, Options{}, `no column "c"`, ErrPlan},
		{"filter of another type", a, Options{Filters: map[feature.Key][]string{"a": {"c > 'x'"}}}, `"c"`, ErrPlan},
		{"broken filter", a, Options{GlobalFilters: []string{"c >"}}, `filter "c >" on parent "a"`, ErrPlan},
		{"target filter", a, Options{TargetFilters: []string{"nope"}}, `the table of "t": there is no column "nope"`, ErrPlan},
		{"predicate", a, Options{StaleIf: []string{"nope"}}, `staleness predicate "nope"`, ErrPlan},
		{"collision", []feature.Dep{{Feature: "a"}, {Feature: "b"}}, Options{}, `"c"`, ErrPlan},
		{"rename", []feature.Dep{{Feature: "a", Rename: map[string]string{"nope": "c2"}}}, Options{}, `"nope"`, ErrPlan},
		{"rename onto", []feature.Dep{{Feature: "a", Rename: map[string]string{"c": "d"}}}, Options{}, `"d"`, ErrPlan},
		{"select", []feature.Dep{{Feature: "a", Select: []string{"nope"}}}, Options{}, `"nope"`, ErrPlan},
		{"id types", []feature.Dep{bare("a"), bare("n")}, Options{}, "int64", ErrPlan},
		{"list id", []feature.Dep{{Feature: "l"}}, Options{}, "list", ErrPlan},
		{"no table", []feature.Dep{{Feature: "empty"}}, Options{}, "empty", store.ErrNoTable},
		{"hashing", a, Options{Hashing: Hashing{Algorithm: MD5}}, "xxh3_64", ErrHashing},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := refusals(t, test.deps)
			_, err := Resolve(context.Background(), s.store, s.feature("t"), test.opts)
			if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one that wraps %v and names %s", err, test.is, test.want)
			}
			if !strings.Contains(err.Error(), `"t"`) {
				t.Errorf("error %v does not name the feature", err)
			}
		})
	}
}

// refusals has parents with the same columns, but other ids: strings, integers and lists.
func refusals(t *testing.T, deps []feature.Dep) *scene {
	t.Helper()
	s := newScene(t, xy("a"), xy("b"), xy("n"), xy("l"), xy("empty"), xy("t", deps...))
	ids := map[feature.Key][2]string{
		"a": {"string", `"1"`}, "t": {"string", `"1"`}, "b": {"string", `"1"`}, "n": {"int64", "1"}, "l": {"list<string>", `["1"]`},
	}
	for key, id := range ids {
		rec := s.rows("id:"+id[0]+" c:int64 d:int64 "+sceneVersions,
			`{"id":`+id[1]+`,"c":1,"d":2,"metaxy_provenance_by_field":{"x":"1","y":"2"}}`)
		sealed, err := Seal(s.feature(key), rec, Stamp{})
		if err != nil {
			t.Fatal(err)
		}
		w := store.Write{Rows: batches(sealed), Properties: Hashing{}.Properties()}
		if _, err := s.store.Append(context.Background(), key, w); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestResolveRootNeedsSamples(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("a"))
	if _, err := Resolve(context.Background(), s.store, s.feature("a"), Options{}); !errors.Is(err, ErrPlan) {
		t.Errorf("error %v, want ErrPlan", err)
	}
	samples := s.rows("id:string metaxy_provenance_by_field:struct<x:string>", `{"id":"1"}`)
	_, err := Resolve(context.Background(), s.store, s.feature("a"), Options{Samples: batches(samples)})
	if !errors.Is(err, ErrRows) || !strings.Contains(err.Error(), `"y"`) {
		t.Errorf("error %v, want one that names the missing member", err)
	}
}

func TestBatchesColumns(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("a"), xy("t", feature.Dep{Feature: "a"}))
	s.root("a", "1 p q", "2 p q", "3 p q")
	inc := s.resolve("t")
	var sizes []int64
	for _, rec := range collect(t, inc.Batches(context.Background(), New, []string{"metaxy_provenance", "id"}, 2)) {
		sizes = append(sizes, rec.NumRows())
		if got := fieldNames(rec.Schema()); got[0] != "metaxy_provenance" || got[1] != "id" || len(got) != 2 {
			t.Errorf("columns %v, want those asked for, in that order", got)
		}
	}
	if len(sizes) != 2 || sizes[0] != 2 || sizes[1] != 1 {
		t.Errorf("batches of %v rows, want 2 and 1", sizes)
	}
	for _, err := range inc.Batches(context.Background(), Stale, []string{"nope"}, 0) {
		if !errors.Is(err, ErrPlan) || !strings.Contains(err.Error(), `"nope"`) {
			t.Errorf("error %v, want one that names the column", err)
		}
	}
}

func TestResolveCancelled(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("a"), xy("t", feature.Dep{Feature: "a"}))
	s.root("a", "1 p q")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Resolve(ctx, s.store, s.feature("t"), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

// Given samples are read by the caller's own goroutine, so that it can recover when they panic.
func TestPanicOfGivenSamples(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("a"), xy("b", feature.Dep{Feature: "a"}))
	defer func() {
		if p := recover(); p != "spilled" {
			t.Errorf("recovered %v", p)
		}
	}()
	_, err := Resolve(t.Context(), s.store, s.feature("b"), Options{Samples: func(func(arrow.RecordBatch, error) bool) { panic("spilled") }})
	t.Errorf("it returns %v", err)
}
