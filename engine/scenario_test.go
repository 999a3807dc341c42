package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A scene is a graph with tables, for tests that tell a story.
type scene struct {
	t     *testing.T
	graph *feature.Graph
	store store.Store
	clock int64
}

func newScene(t *testing.T, specs ...feature.Spec) *scene {
	return &scene{t: t, graph: feature.MustGraph(specs...), store: store.NewMemory(), clock: 1}
}

func (s *scene) feature(key feature.Key) *feature.Feature {
	s.t.Helper()
	f, err := s.graph.Lookup(key)
	if err != nil {
		s.t.Fatal(err)
	}
	return f
}

// rows parses "column:type column:type" and rows as JSON objects.
func (s *scene) rows(columns string, rows ...string) arrow.RecordBatch {
	s.t.Helper()
	var frame testFrame
	for _, c := range strings.Fields(columns) {
		name, typ, _ := strings.Cut(c, ":")
		frame.Columns = append(frame.Columns, [2]string{name, typ})
	}
	for _, row := range rows {
		frame.Rows = append(frame.Rows, json.RawMessage(row))
	}
	return frame.record(s.t)
}

// write seals and appends rows.
func (s *scene) write(key feature.Key, rec arrow.RecordBatch) {
	s.t.Helper()
	s.clock++
	sealed, err := Seal(s.feature(key), rec, Stamp{Now: time.UnixMicro(s.clock)})
	if err != nil {
		s.t.Fatal(err)
	}
	appendRows(s.t, s.store, key, sealed)
}

const sceneVersions = "metaxy_provenance_by_field:struct<x:string,y:string>"

// root writes samples "id x y" of a root with the fields x and y; "-" is null.
func (s *scene) root(key feature.Key, samples ...string) {
	s.t.Helper()
	var rows []string
	for _, sample := range samples {
		part := strings.Fields(sample)
		for i, p := range part {
			if part[i] = fmt.Sprintf("%q", p); p == "-" {
				part[i] = "null"
			}
		}
		rows = append(rows, fmt.Sprintf(`{"id":%s,"metaxy_provenance_by_field":{"x":%s,"y":%s}}`, part[0], part[1], part[2]))
	}
	s.write(key, s.rows("id:string "+sceneVersions, rows...))
}

func (s *scene) resolve(key feature.Key) *Increment {
	s.t.Helper()
	inc, err := Resolve(context.Background(), s.store, s.feature(key), Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	return inc
}

// run writes all that is new and stale.
func (s *scene) run(key feature.Key) {
	s.t.Helper()
	inc := s.resolve(key)
	for _, status := range []Status{New, Stale} {
		for _, rec := range collect(s.t, inc.Batches(context.Background(), status, nil, 0)) {
			s.write(key, rec)
		}
	}
}

// delete soft-deletes the samples with an id.
func (s *scene) delete(key feature.Key, id string) {
	s.t.Helper()
	snap, err := s.store.Snapshot(context.Background(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	s.clock++
	for _, rec := range collect(s.t, Read(context.Background(), snap, s.feature(key), ReadOptions{})) {
		for i, row := range goRows(rec) {
			if row["id"] != id {
				continue
			}
			dead, err := Tombstones(s.feature(key), rec.NewSlice(int64(i), int64(i)+1), Stamp{Now: time.UnixMicro(s.clock)})
			if err != nil {
				s.t.Fatal(err)
			}
			appendRows(s.t, s.store, key, dead)
		}
	}
}

// ids lists the ids of a part of an increment.
func (s *scene) ids(inc *Increment, status Status) string {
	s.t.Helper()
	var out []string
	for _, row := range goRows(collect(s.t, inc.Batches(context.Background(), status, []string{"id"}, 0))...) {
		out = append(out, fmt.Sprint(row["id"]))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// expect checks an increment, written as "new: 1 2 stale: 3".
func (s *scene) expect(key feature.Key, want string) {
	s.t.Helper()
	inc := s.resolve(key)
	var got []string
	for _, status := range []Status{New, Stale, Orphaned} {
		if inc.Count(status) > 0 {
			got = append(got, status.String()+": "+s.ids(inc, status))
		}
	}
	if g := strings.Join(got, " "); g != want {
		s.t.Errorf("resolve of %s = %q, want %q", key, g, want)
	}
}

func xy(key feature.Key, deps ...feature.Dep) feature.Spec {
	return feature.Spec{Key: key, IDColumns: []string{"id"}, Fields: []feature.Field{{Key: "x"}, {Key: "y"}}, Deps: deps}
}
