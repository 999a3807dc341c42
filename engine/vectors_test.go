package engine

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/vectors"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A vectorCase is a case of the groups rows and store_ops, as real Metaxy answered it.
type vectorCase struct {
	Name                 string
	HashAlgorithm        string `json:"hash_algorithm"`
	HashTruncationLength int    `json:"hash_truncation_length"`
	Project              string
	ProjectVersion       string `json:"project_version"`
	Features             []struct {
		Spec              feature.Spec
		Schema            json.RawMessage
		Project           string
		External          bool
		ProvenanceByField map[feature.Key]string `json:"provenance_by_field"`
	}
	FeatureVersions map[feature.Key]string     `json:"feature_versions"`
	Tables          map[feature.Key]*testFrame `json:"tables"`
	FallbackTables  map[feature.Key]*testFrame `json:"fallback_tables"`
	Now             time.Time
	Operation       vectorOperation
	Expected        struct {
		New, Stale, Orphaned, Frame, Table *testFrame
		Error                              *struct{ Type, MessageFirstLine string }
	}
}

type vectorOperation struct {
	Op      string
	Feature feature.Key
	// resolve_update
	Samples             *testFrame
	Filters             json.RawMessage
	GlobalFilters       []string `json:"global_filters"`
	TargetFilters       []string `json:"target_filters"`
	StalenessPredicates []string `json:"staleness_predicates"`
	SkipComparison      bool     `json:"skip_comparison"`
	// write
	Df                     *testFrame
	MaterializationID      string `json:"materialization_id"`
	PreserveFeatureVersion bool   `json:"preserve_feature_version"`
	// read
	Columns            []string
	WithFeatureHistory bool   `json:"with_feature_history"`
	WithSampleHistory  bool   `json:"with_sample_history"`
	IncludeSoftDeleted bool   `json:"include_soft_deleted"`
	FeatureVersion     string `json:"feature_version"`
	// delete
	Soft *bool
}

// Differences lists the cases in which this package deliberately answers otherwise than Metaxy, with the reason and,
// where Metaxy answers at all, a check of the answer given instead.
var differences = map[string]struct {
	why                  string
	fresh, stale, orphan int64
}{
	"three_parents_without_select_fails": {"Metaxy crashes; any number of parents works here", 2, 0, 0},
	"chained_deleted_at_right_fails":     {"Metaxy crashes over a column that it added itself", 1, 0, 0},
	"identity_different_ids_current": {
		"Metaxy compares by a part of the ids and reports unchanged rows as stale; here only v2 is, which did change", 0, 1, 0},
	"required_null_field_value": {
		"Metaxy reports a row that cannot be computed as stale on every resolve; here it is unresolvable", 0, 0, 0},
	"optional_missing_table_error": {"an optional parent's missing table counts as empty", 1, 0, 0},
	"new_field_in_parent": {
		"Metaxy crashes over a table that lacks the version of a field; no row of it has the parent's version yet", 0, 0, 0},
	"samples_for_expansion": {
		"Metaxy compares given children by their parent, with any one child; here each is compared by its own ids", 1, 1, 3},
	"read_columns_without_an_id": {"Metaxy crashes over an id that was not asked for", 2, 0, 0},
	"struct_key_collision":       {"Metaxy drops a field; here the feature is refused", refused, 0, 0},
	"expansion_stale_orphan_new": {
		"Metaxy reports one of an orphaned parent's children, any of them; here it is all of them", 1, 1, 2},
	"table_name_collision_bug": {"Metaxy mixes two parents' values; here the parents are refused", refused, 0, 0},
	"parent_twice":             {"Metaxy takes the versions of one for both; here the second one is refused", refused, 0, 0},
	"shared_internal_column": {
		"Metaxy has one column for the versions of two parents' fields, and hashes one of them twice; here both", 0, 2, 0},
	"filter_in_numbers_of_another_type": {"Metaxy fails over 1.0 in a list for integers; here numbers are compared", 2, 0, 0},
}

// refused, as a count, says that there has to be an error.
const refused = -1

func loadVector(t *testing.T, file string) *vectorCase {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var c vectorCase
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return &c
}

// feature is the feature that the case is about, or nil if the graph is refused as it should be.
func (c *vectorCase) feature(t *testing.T) *feature.Feature {
	t.Helper()
	var defs []feature.Definition
	for _, f := range c.Features {
		defs = append(defs, feature.Definition{
			Spec: f.Spec, Schema: f.Schema, Project: f.Project, External: f.External, FieldVersions: f.ProvenanceByField,
		})
	}
	g, err := feature.NewGraph(defs, feature.Options{Project: c.Project, TruncationLength: c.HashTruncationLength})
	if d, ok := differences[c.Name]; ok && d.fresh == refused && err != nil {
		t.Logf("differs from Metaxy: %s: %v", d.why, err)
		return nil
	}
	if err != nil {
		t.Fatalf("make the graph: %v", err)
	}
	for key, want := range c.FeatureVersions {
		f, err := g.Lookup(key)
		if err != nil {
			t.Fatal(err)
		}
		if f.Version() != want {
			t.Fatalf("version of %s = %s, want %s", key, f.Version(), want)
		}
	}
	f, err := g.Lookup(c.Operation.Feature)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (c *vectorCase) hashing() Hashing {
	return Hashing{Algorithm: Hash(c.HashAlgorithm), TruncationLength: c.HashTruncationLength}
}

// store has the tables of the case.
func (c *vectorCase) store(t *testing.T) store.Store {
	t.Helper()
	m := store.NewMemory()
	for key, frame := range c.Tables {
		appendRows(t, m, key, frame.record(t))
	}
	if len(c.FallbackTables) == 0 {
		return m
	}
	other := store.NewMemory()
	for key, frame := range c.FallbackTables {
		appendRows(t, other, key, frame.record(t))
	}
	return store.WithFallback(m, other)
}

// appendRows appends a batch. Of an empty one it makes a table by a row without a feature version, which nobody
// reads.
func appendRows(t testing.TB, s store.Store, key feature.Key, rec arrow.RecordBatch) {
	t.Helper()
	if rec.NumRows() == 0 {
		cols := make([]arrow.Array, rec.NumCols())
		for i, f := range rec.Schema().Fields() {
			cols[i] = array.MakeArrayOfNull(memory.DefaultAllocator, f.Type, 1)
		}
		rec = array.NewRecordBatch(rec.Schema(), cols, 1)
	}
	if _, err := s.Append(context.Background(), key, store.Write{Rows: batches(rec)}); err != nil {
		t.Fatalf("append to %s: %v", key, err)
	}
}

func (c *vectorCase) options(t *testing.T) Options {
	o := Options{
		Hashing: c.hashing(), GlobalFilters: c.Operation.GlobalFilters, TargetFilters: c.Operation.TargetFilters,
		StaleIf: c.Operation.StalenessPredicates, SkipComparison: c.Operation.SkipComparison,
	}
	if len(c.Operation.Filters) > 0 {
		if err := json.Unmarshal(c.Operation.Filters, &o.Filters); err != nil {
			t.Fatal(err)
		}
	}
	if c.Operation.Samples != nil {
		o.Samples = batches(c.Operation.Samples.record(t))
	}
	return o
}

func TestResolveVectors(t *testing.T) {
	t.Parallel()
	for _, file := range vectors.Files(t, "rows") {
		c := loadVector(t, file)
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			f := c.feature(t)
			if f == nil {
				return
			}
			if c.Operation.Op == "compute_provenance" {
				c.compute(t, f)
				return
			}
			inc, err := Resolve(context.Background(), c.store(t), f, c.options(t))
			c.check(t, inc, err)
		})
	}
}

func (c *vectorCase) compute(t *testing.T, f *feature.Feature) {
	got, err := ComputeProvenance(f, c.Operation.Df.record(t), c.hashing())
	if c.Expected.Error != nil {
		if !errors.Is(err, ErrRows) {
			t.Fatalf("error %v, want ErrRows where Metaxy has %q", err, c.Expected.Error.Type)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	checkFrame(t, "the result", got.Schema(), []arrow.RecordBatch{got}, c.Expected.Frame.record(t))
}

func (c *vectorCase) check(t *testing.T, inc *Increment, err error) {
	t.Helper()
	if d, ok := differences[c.Name]; ok {
		t.Logf("differs from Metaxy: %s", d.why)
		if d.fresh == refused {
			if err == nil {
				t.Error("no error, want that it is refused")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if inc.Count(New) != d.fresh || inc.Count(Stale) != d.stale || inc.Count(Orphaned) != d.orphan {
			t.Errorf("new=%d stale=%d orphaned=%d, want %d, %d, %d",
				inc.Count(New), inc.Count(Stale), inc.Count(Orphaned),
				d.fresh, d.stale, d.orphan)
		}
		return
	}
	if c.Expected.Error != nil {
		if err == nil {
			t.Fatalf("no error, want one like %q", c.Expected.Error.Type)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[Status]*testFrame{New: c.Expected.New, Stale: c.Expected.Stale, Orphaned: c.Expected.Orphaned} {
		checkFrame(t, s.String(), inc.Schema(s), collect(t, inc.Batches(context.Background(), s, nil, 2)), want.record(t))
		if inc.Count(s) != int64(len(want.Rows)) {
			t.Errorf("%s: count = %d, want %d", s, inc.Count(s), len(want.Rows))
		}
	}
}

// checkFrame compares columns and rows; neither have an order.
func checkFrame(t *testing.T, what string, schema *arrow.Schema, got []arrow.RecordBatch, want arrow.RecordBatch) {
	t.Helper()
	if g, w := schemaText(schema), schemaText(want.Schema()); g != w {
		t.Errorf("%s has columns\n  %s, want\n  %s", what, g, w)
	}
	if g, w := rowTexts(t, got...), rowTexts(t, want); !slices.Equal(g, w) {
		t.Errorf("%s has rows\n  %s\nwant\n  %s", what, g, w)
	}
}
