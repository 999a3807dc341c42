package metaxy

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/pipes/pipestest"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// manyRows are more than are read of an increment at first, so that they do not all come in one batch.
const manyRows = 2048

// TestMain lets the test binary play an external processor.
func TestMain(m *testing.M) {
	if role := os.Getenv("METAXY_TEST_CHILD"); role != "" {
		if role == "program" {
			Main(Step{Graph: graph, Feature: "video/crop", Process: cropper(slowly)})
		}
		os.Exit(playChild(role))
	}
	os.Exit(m.Run())
}

var (
	ids   = []string{"id"}
	graph = feature.MustGraph(
		feature.Spec{Key: "video", IDColumns: ids},
		feature.Spec{Key: "video/crop", IDColumns: ids, Deps: []feature.Dep{{Feature: "video"}}},
		feature.Spec{Key: "video/face", IDColumns: ids, Deps: []feature.Dep{{Feature: "video/crop", Select: []string{"crop"}}}},
	)
)

// A rootVideo is a row of the root feature, for tables of many.
type rootVideo struct {
	ID         string `arrow:"id"`
	Path       string `arrow:"path"`
	Provenance struct {
		Default string `arrow:"default"`
	} `arrow:"metaxy_provenance_by_field"`
}

func newRootVideo(n int, path, version string) rootVideo {
	v := rootVideo{ID: fmt.Sprintf("v%08d", n), Path: path}
	v.Provenance.Default = version
	return v
}

// tables is a store with an open session, as the steps of a test share it.
type tables struct {
	*store.Memory
	t       *testing.T
	graph   *feature.Graph
	session *pipes.Session
	log     *logBook
}

func newTables(t *testing.T, g *feature.Graph) *tables {
	t.Helper()
	log := &logBook{}
	session, err := pipes.Open(t.Context(), &pipes.Options{Params: pipes.MapParams{}, Log: slog.NewTextHandler(log, nil)})
	if err != nil {
		t.Fatal(err)
	}
	return &tables{Memory: store.NewMemory(), t: t, graph: g, session: session, log: log}
}

// attach makes the session one of Dagster, and returns what it sends.
func (ts *tables) attach(data pipes.ContextData) func() []pipes.Message {
	ts.t.Helper()
	var messages func() []pipes.Message
	ts.session, messages = pipestest.Open(ts.t, data)
	return messages
}

// logBook keeps what is logged.
type logBook struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (ts *tables) lookup(key feature.Key) *feature.Feature {
	ts.t.Helper()
	f, err := ts.graph.Lookup(key)
	if err != nil {
		ts.t.Fatal(err)
	}
	return f
}

// put writes rows, given as JSON objects, to a feature.
func (ts *tables) put(key feature.Key, rows ...string) {
	ts.t.Helper()
	ts.putAt(nextTime(), key, rows...)
}

// putAt is put by a clock that shows another time.
func (ts *tables) putAt(now time.Time, key feature.Key, rows ...string) {
	ts.t.Helper()
	var raw [][]byte
	for _, r := range rows {
		raw = append(raw, []byte(r))
	}
	f := ts.lookup(key)
	rec, err := rowjson.ParseRows(slices.Values(raw), nil, f.Spec().IDColumns...)
	if err != nil {
		ts.t.Fatal(err)
	}
	rec, err = engine.Seal(f, rec, engine.Stamp{Now: now, MaterializationID: "put"})
	if err != nil {
		ts.t.Fatal(err)
	}
	if _, err := ts.Append(ts.t.Context(), key, store.Write{Rows: single(rec)}); err != nil {
		ts.t.Fatal(err)
	}
}

// videos puts samples of the feature video with the given ids, all with one version.
func (ts *tables) videos(version string, names ...string) {
	ts.t.Helper()
	var rows []string
	for _, n := range names {
		rows = append(rows, string(append(rowjson.AppendString([]byte(`{"id":`), n),
			fmt.Sprintf(`,"path":"/v","metaxy_provenance_by_field":{"default":%q}}`, version)...)))
	}
	ts.put("video", rows...)
}

// numbered returns n ids.
func numbered(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("v%04d", i)
	}
	return out
}

// rows returns the current rows of a feature as JSON objects, sorted, with the named columns.
func (ts *tables) rows(key feature.Key, columns ...string) []string {
	ts.t.Helper()
	snap, err := snapshot(ts.t.Context(), ts.Memory, key)
	if err != nil {
		ts.t.Fatal(err)
	}
	out := []string{}
	if snap == nil {
		return out
	}
	for rec, err := range engine.Read(ts.t.Context(), snap, ts.lookup(key), engine.ReadOptions{Columns: columns}) {
		if err != nil {
			ts.t.Fatal(err)
		}
		for i := range int(rec.NumRows()) {
			out = append(out, string(rowjson.AppendRow(nil, rec, i)))
		}
	}
	slices.Sort(out)
	return out
}

// stored counts the physical rows of a feature, history included.
func (ts *tables) stored(key feature.Key) int {
	ts.t.Helper()
	snap, err := snapshot(ts.t.Context(), ts.Memory, key)
	if err != nil || snap == nil {
		ts.t.Fatal(err)
	}
	n := 0
	for b, err := range snap.Scan(ts.t.Context(), store.Query{}) {
		if err != nil {
			ts.t.Fatal(err)
		}
		n += int(b.NumRows())
	}
	return n
}

// step is a step of the feature with everything but what the test is about.
func (ts *tables) step(key feature.Key, p Processor) Step {
	return Step{Graph: ts.graph, Feature: key, Process: p,
		Store: func(context.Context) (store.Store, error) { return borrowed{ts.Memory}, nil }}
}

// run runs one step and returns its result.
func (ts *tables) run(o Options, s Step) (Result, error) {
	ts.t.Helper()
	rs, err := Run(ts.t.Context(), ts.session, o, s)
	if len(rs) == 0 {
		return Result{}, err
	}
	return rs[0], err
}

// mustRun is run for a test that does not expect an error.
func (ts *tables) mustRun(o Options, s Step) Result {
	ts.t.Helper()
	r, err := ts.run(o, s)
	if err != nil {
		ts.t.Fatalf("Run: %v", err)
	}
	return r
}

type video struct {
	ID   string `arrow:"id"`
	Path string `arrow:"path"`
}

type crop struct {
	Crop string `arrow:"crop"`
}

// cropper is a processor that works; on(id) may interfere.
func cropper(on func(ctx context.Context, id string) error) Processor {
	return Each(func(ctx context.Context, v video) (crop, error) {
		if on != nil {
			if err := on(ctx, v.ID); err != nil {
				return crop{}, err
			}
		}
		return crop{v.Path + "/" + v.ID}, nil
	})
}

func equal[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

// counts are the numbers of a result that most tests look at.
func counts(r Result) string {
	return fmt.Sprintf("new=%d stale=%d orphaned=%d processed=%d failed=%d", r.New, r.Stale, r.Orphaned, r.Processed, r.Failed)
}

func wantCounts(t *testing.T, r Result, want string) {
	t.Helper()
	if got := counts(r); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func recordOf(t *testing.T, rows ...string) arrow.RecordBatch {
	t.Helper()
	var raw [][]byte
	for _, r := range rows {
		raw = append(raw, []byte(r))
	}
	rec, err := rowjson.ParseRows(slices.Values(raw), nil, "id")
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func contains(s, part string) bool { return strings.Contains(s, part) }
