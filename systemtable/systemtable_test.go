package systemtable_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
	"github.com/metaxy-pipes/metaxy-pipes/systemtable"
)

// sample opens a copy of the store that real Metaxy has written.
func sample(t *testing.T) *s3parquet.Store {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../testdata/store_sample")); err != nil {
		t.Fatal(err)
	}
	return open(t, dir)
}

func open(t *testing.T, dir string) *s3parquet.Store {
	t.Helper()
	st, err := s3parquet.Open(t.Context(), dir, s3parquet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

func read(t *testing.T, r store.Reader) *systemtable.Table {
	t.Helper()
	table, err := systemtable.Read(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func push(t *testing.T, st store.Store, g *feature.Graph, o systemtable.PushOptions) systemtable.PushResult {
	t.Helper()
	r, err := systemtable.Push(t.Context(), st, g, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// graph is a project of two features, and one of another project; another description is another snapshot.
func graph(t *testing.T, description string) *feature.Graph {
	t.Helper()
	g, err := feature.NewGraph([]feature.Definition{
		{Spec: feature.Spec{Key: "video", IDColumns: []string{"id"}, Description: description}},
		{Spec: feature.Spec{Key: "video/crop", IDColumns: []string{"id"},
			Deps: []feature.Dep{{Feature: "video"}, {Feature: "other"}}}},
		{Spec: feature.Spec{Key: "other", IDColumns: []string{"id"}}, Project: "theirs", External: true},
	}, feature.Options{Project: "films"})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestSample reads what real Metaxy has pushed and comes to the same versions.
func TestSample(t *testing.T) {
	t.Parallel()
	var expected struct {
		First string `json:"project_version_first_push"`
		Now   string `json:"project_version_now"`
		Graph map[feature.Key]struct {
			FeatureVersion    string `json:"feature_version"`
			DefinitionVersion string `json:"definition_version"`
			ClassPath         string `json:"feature_class_path"`
		}
	}
	data, err := os.ReadFile("../testdata/store_sample.expected.json")
	if err == nil {
		err = json.Unmarshal(data, &expected)
	}
	if err != nil {
		t.Fatal(err)
	}
	st := sample(t)
	table := read(t, st)
	snapshots := table.Snapshots("videoapp")
	if len(snapshots) != 2 || snapshots[0].Version != expected.Now || snapshots[1].Version != expected.First ||
		snapshots[1].Features != 3 || snapshots[1].Tags["git_commit"] != "abc123" {
		t.Fatalf("snapshots are %+v, want %s and %s", snapshots, expected.Now, expected.First)
	}
	defs, err := table.Definitions(snapshots[0])
	if err != nil {
		t.Fatal(err)
	}
	g, err := feature.NewGraph(defs, feature.Options{Project: "videoapp", TruncationLength: 8})
	if err != nil {
		t.Fatal(err)
	}
	if got := g.ProjectVersion("videoapp"); got != expected.Now {
		t.Errorf("project version %s, want %s", got, expected.Now)
	}
	for key, want := range expected.Graph {
		f, err := g.Lookup(key)
		if err != nil {
			t.Error(err)
			continue
		}
		if f.Version() != want.FeatureVersion || f.DefinitionVersion() != want.DefinitionVersion || f.ClassPath() != want.ClassPath {
			t.Errorf("%s: %s, %s, %s; want %+v", key, f.Version(), f.DefinitionVersion(), f.ClassPath(), want)
		}
	}
	if r := push(t, st, g, systemtable.PushOptions{}); !r.AlreadyPushed || r.Recorded != 0 || r.ProjectVersion != expected.Now {
		t.Errorf("pushing the graph that Metaxy has pushed: %+v", r)
	}
}

// TestRowsOfMetaxy records a graph that Metaxy has recorded, into an empty store, and compares the rows text by text.
func TestRowsOfMetaxy(t *testing.T) {
	t.Parallel()
	theirs := read(t, sample(t))
	snap := theirs.Snapshots("videoapp")[1]
	defs, err := theirs.Definitions(snap)
	if err != nil {
		t.Fatal(err)
	}
	g, err := feature.NewGraph(defs, feature.Options{Project: "videoapp", TruncationLength: 8})
	if err != nil {
		t.Fatal(err)
	}
	st := open(t, t.TempDir())
	push(t, st, g, systemtable.PushOptions{Tags: []systemtable.Tag{{Name: "git_commit", Value: "abc123"}}})
	var want, got []systemtable.Row
	for _, r := range theirs.Rows {
		if r.ProjectVersion == snap.Version {
			want = append(want, r)
		}
	}
	got = read(t, st).Rows
	for _, rows := range [][]systemtable.Row{want, got} {
		slices.SortFunc(rows, func(a, b systemtable.Row) int { return a.Feature.Compare(b.Feature) })
		for i := range rows {
			rows[i].RecordedAt = time.Time{}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("recorded\n%+v\nwant\n%+v", got, want)
	}
}

// TestPush records each state once in a row, and a state that comes back again.
func TestPush(t *testing.T) {
	t.Parallel()
	for _, st := range []store.Store{store.NewMemory(), open(t, filepath.Join(t.TempDir(), "new"))} {
		a, b := graph(t, "a"), graph(t, "b")
		clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		at := systemtable.PushOptions{Now: clock, Tags: []systemtable.Tag{{Name: "commit", Value: "ä\"\n"}}}
		if r := push(t, st, a, at); r.AlreadyPushed || r.Recorded != 2 || r.Project != "films" {
			t.Fatalf("first push: %+v", r)
		}
		if r := push(t, st, a, at); !r.AlreadyPushed || r.Recorded != 0 || len(r.Updated) != 0 {
			t.Fatalf("the same again: %+v", r)
		}
		if r := push(t, st, b, at); r.AlreadyPushed || r.Recorded != 2 { // in the same microsecond
			t.Fatalf("another: %+v", r)
		}
		at.Now = clock.Add(-time.Hour) // a clock that is behind
		if r := push(t, st, a, at); r.AlreadyPushed || r.Recorded != 2 {
			t.Fatalf("the first comes back: %+v", r)
		}
		table := read(t, st)
		got := table.Snapshots("films")
		if len(got) != 2 || got[0].Version != a.ProjectVersion("films") || got[0].Features != 2 || got[0].First != clock ||
			!got[0].Last.After(got[1].Last) || got[0].Tags["commit"] != "ä\"\n" {
			t.Errorf("snapshots: %+v", got)
		}
		for i := 1; i < len(table.Rows); i++ {
			if !table.Rows[i].RecordedAt.After(table.Rows[i-1].RecordedAt) {
				t.Errorf("row %d is not later than the one before: %s", i, table.Rows[i].RecordedAt)
			}
		}
		if want := `{"commit": "\u00e4\"\n", "metaxy": "{\"version\": \"0.1.11\"}"}`; table.Rows[0].Tags != want {
			t.Errorf("tags %s, want %s", table.Rows[0].Tags, want)
		}
	}
}

// TestRefusedPush names what is missing.
func TestRefusedPush(t *testing.T) {
	t.Parallel()
	nameless := feature.MustGraph(feature.Spec{Key: "a", IDColumns: []string{"id"}})
	for want, c := range map[string]struct {
		g *feature.Graph
		o systemtable.PushOptions
	}{
		"belong to no project":     {nameless, systemtable.PushOptions{}},
		"has no feature":           {graph(t, ""), systemtable.PushOptions{Project: "theirs"}},
		`the tag "metaxy" is Meta`: {graph(t, ""), systemtable.PushOptions{Tags: []systemtable.Tag{{Name: "metaxy"}}}},
		"UTF-8":                    {graph(t, ""), systemtable.PushOptions{Tags: []systemtable.Tag{{Name: "a\xff"}}}},
	} {
		st := store.NewMemory()
		_, err := systemtable.Push(t.Context(), st, c.g, c.o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if table := read(t, st); table.Version != -1 || len(table.Rows) != 0 {
			t.Errorf("%s: %d rows were written", want, len(table.Rows))
		}
	}
}

// TestPushesThatMeet starts many at once, of two states by turns, in stores of their own on one folder: no two records
// of one state stand one after the other, and none is torn.
func TestPushesThatMeet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	graphs := []*feature.Graph{graph(t, "a"), graph(t, "b")}
	var group sync.WaitGroup
	recorded := make([]int, 12)
	for i := range recorded {
		st := open(t, dir)
		group.Go(func() {
			r, err := systemtable.Push(context.Background(), st, graphs[i%2], systemtable.PushOptions{})
			if err != nil {
				t.Error(err)
			}
			recorded[i] = r.Recorded
		})
	}
	group.Wait()
	rows := read(t, open(t, dir)).Rows
	sum := 0
	for _, n := range recorded {
		sum += n
	}
	if len(rows) != sum || len(rows)%2 != 0 || len(rows) < 4 {
		t.Fatalf("%d rows, and the pushes say %v", len(rows), recorded)
	}
	for i := 0; i < len(rows); i += 2 {
		if rows[i].ProjectVersion != rows[i+1].ProjectVersion || i > 0 && rows[i].ProjectVersion == rows[i-1].ProjectVersion {
			t.Errorf("row %d: a snapshot is torn or recorded twice: %s", i, rows[i].ProjectVersion)
		}
	}
}

// TestDefinitions takes the features of other projects as they were recorded last, and passes over what is no feature.
func TestDefinitions(t *testing.T) {
	t.Parallel()
	st := store.NewMemory()
	for _, code := range []string{"1", "2"} {
		theirs, err := feature.NewGraph([]feature.Definition{
			{Spec: feature.Spec{Key: "raw", IDColumns: []string{"id"}, Fields: []feature.Field{{CodeVersion: code}}}},
			{Spec: feature.Spec{Key: "other", IDColumns: []string{"id"}, Deps: []feature.Dep{{Feature: "raw"}}}},
			{Spec: feature.Spec{Key: "unused", IDColumns: []string{"id"}}},
		}, feature.Options{Project: "theirs"})
		if err != nil {
			t.Fatal(err)
		}
		push(t, st, theirs, systemtable.PushOptions{})
	}
	push(t, st, graph(t, ""), systemtable.PushOptions{})
	table := read(t, st)
	snap, err := table.Find("films", "latest")
	if err != nil {
		t.Fatal(err)
	}
	defs, err := table.Definitions(snap)
	if err != nil {
		t.Fatal(err)
	}
	got := map[feature.Key]bool{}
	for _, d := range defs {
		got[d.Spec.Key] = d.External
		if d.Spec.Key == "raw" && d.Spec.Fields[0].CodeVersion != "2" {
			t.Errorf("raw is of code version %s, not the latest", d.Spec.Fields[0].CodeVersion)
		}
	}
	if len(got) != 4 || got["video"] || got["video/crop"] || !got["other"] || !got["raw"] {
		t.Errorf("external features are %v", got)
	}
	broken := *table
	broken.Rows = slices.Clone(table.Rows)
	for i := range broken.Rows {
		if broken.Rows[i].Feature == "raw" {
			broken.Rows[i].Spec = `{"key": "raw"`
		}
	}
	if defs, err = broken.Definitions(snap); len(defs) != 3 || err == nil {
		t.Errorf("with a broken row: %d features, %v", len(defs), err)
	}
	for version, want := range map[string]string{"nothing": "none of the 1 snapshots", "": "none of"} {
		if _, err := table.Find("films", version); !errors.Is(err, systemtable.ErrUnknown) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", version, err)
		}
	}
	if _, err := table.Find("nobody", "latest"); err == nil || !strings.Contains(err.Error(), `["films" "theirs"]`) {
		t.Errorf("an unknown project: %v", err)
	}
	if s, err := table.Find("films", snap.Version[:10]); err != nil || s.Version != snap.Version {
		t.Errorf("the beginning of a version: %+v, %v", s, err)
	}
}
