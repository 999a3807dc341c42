package systemtable

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A Table is all that was ever recorded in a store.
type Table struct {
	// Rows are the recorded features, in the order in which they were recorded: by RecordedAt, then by their place in the
	// table.
	Rows []Row
	// Version is the table's version; -1 when nothing was ever recorded.
	Version int64
}

// Read reads the table. A store without one gives an empty Table. Of a store with fallbacks only the store itself is
// read, as in Metaxy.
func Read(ctx context.Context, r store.Reader) (*Table, error) {
	snap, err := store.Local(r).Snapshot(ctx, FeatureVersions)
	if errors.Is(err, store.ErrNoTable) {
		return &Table{Version: -1}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read recorded graphs: %w", err)
	}
	t := &Table{Version: snap.Version()}
	for b, err := range snap.Scan(ctx, store.Query{}) {
		if err == nil {
			err = t.add(b.RecordBatch)
		}
		if err != nil {
			return nil, fmt.Errorf("read recorded graphs: %w", err)
		}
	}
	slices.SortStableFunc(t.Rows, func(a, b Row) int { return a.RecordedAt.Compare(b.RecordedAt) })
	return t, nil
}

// add takes the rows of a batch.
func (t *Table) add(rec arrow.RecordBatch) error {
	texts := map[string]*array.String{}
	for _, name := range []string{
		colProject, colFeatureKey, colFeatureVersion, colDefinitionVersion, colFeatureSpec, colFeatureSchema,
		colFeatureClassPath, colProjectVersion, colTags,
	} {
		if a := column(rec, name); a != nil {
			var ok bool
			if texts[name], ok = a.(*array.String); !ok {
				return unexpected(name, a, "string")
			}
		}
	}
	var recorded *array.Timestamp
	if a := column(rec, colRecordedAt); a != nil {
		var ok bool
		if recorded, ok = a.(*array.Timestamp); !ok {
			return unexpected(colRecordedAt, a, "timestamp")
		}
	}
	for i := range int(rec.NumRows()) {
		text := func(name string) string {
			if a := texts[name]; a != nil && !a.IsNull(i) {
				return a.Value(i)
			}
			return ""
		}
		t.Rows = append(t.Rows, Row{
			Project: text(colProject), Feature: feature.Key(text(colFeatureKey)), FeatureVersion: text(colFeatureVersion),
			DefinitionVersion: text(colDefinitionVersion), ProjectVersion: text(colProjectVersion),
			RecordedAt: timeOf(recorded, i), Spec: text(colFeatureSpec), Schema: text(colFeatureSchema),
			ClassPath: text(colFeatureClassPath), Tags: text(colTags),
		})
	}
	return nil
}

func column(rec arrow.RecordBatch, name string) arrow.Array {
	if i := rec.Schema().FieldIndices(name); len(i) > 0 {
		return rec.Column(i[0])
	}
	return nil
}

func unexpected(name string, a arrow.Array, want string) error {
	return fmt.Errorf("%w: column %q is of type %s; expected a %s", store.ErrSchema, name, a.DataType(), want)
}

func timeOf(a *array.Timestamp, i int) time.Time {
	if a == nil || a.IsNull(i) {
		return time.Time{}
	}
	return a.Value(i).ToTime(a.DataType().(*arrow.TimestampType).Unit).UTC()
}
