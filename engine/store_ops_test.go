package engine

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/vectors"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

func TestStoreOpsVectors(t *testing.T) {
	t.Parallel()
	for _, file := range vectors.Files(t, "store_ops") {
		c := loadVector(t, file)
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			op := &c.Operation
			switch {
			case op.Op == "read":
				c.read(t)
			case op.Op == "write":
				c.write(t)
			case op.Op == "delete" && (op.Soft == nil || *op.Soft):
				c.delete(t)
			case op.Op == "delete":
				c.deleteHard(t)
			default:
				t.Fatalf("unknown operation %q", op.Op)
			}
		})
	}
}

func (c *vectorCase) stamp() Stamp {
	return Stamp{
		MaterializationID: c.Operation.MaterializationID, Now: c.Now, Hashing: c.hashing(), ProjectVersion: c.ProjectVersion,
		PreserveVersions: c.Operation.PreserveFeatureVersion,
	}
}

func (c *vectorCase) readOptions(t *testing.T) ReadOptions {
	var filters []string
	if len(c.Operation.Filters) > 0 {
		if err := json.Unmarshal(c.Operation.Filters, &filters); err != nil {
			t.Fatal(err)
		}
	}
	return ReadOptions{
		Columns: c.Operation.Columns, AllSamples: c.Operation.WithSampleHistory,
		AllFeatureVersions: c.Operation.WithFeatureHistory, FeatureVersion: c.Operation.FeatureVersion,
		IncludeDeleted: c.Operation.IncludeSoftDeleted, Filters: filters,
	}
}

func (c *vectorCase) read(t *testing.T) {
	ctx := context.Background()
	f := c.feature(t)
	var schema *arrow.Schema
	var got []arrow.RecordBatch
	snap, err := c.store(t).Snapshot(ctx, f.Key())
	if err == nil {
		schema, err = ReadSchema(snap, f, c.readOptions(t))
	}
	if d, ok := differences[c.Name]; ok {
		t.Logf("differs from Metaxy: %s", d.why)
		c.readAllTheSame(t, snap, f, d.fresh)
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
	got = collect(t, Read(ctx, snap, f, c.readOptions(t)))
	checkFrame(t, "the table read", schema, got, c.Expected.Frame.record(t))
	for i, column := range c.Expected.Frame.Columns {
		if schema.Field(i).Name != column[0] {
			t.Errorf("column %d is %q, want %q", i, schema.Field(i).Name, column[0])
		}
	}
}

// readAllTheSame reads what Metaxy cannot: this many rows of the columns that were asked for.
func (c *vectorCase) readAllTheSame(t *testing.T, snap store.Snapshot, f *feature.Feature, rows int64) {
	t.Helper()
	got := collect(t, Read(context.Background(), snap, f, c.readOptions(t)))
	if len(got) != 1 || got[0].NumRows() != rows {
		t.Fatalf("got %v, want one batch of %d rows", got, rows)
	}
	for i, column := range c.Operation.Columns {
		if name := got[0].ColumnName(i); name != column || got[0].Column(i).NullN() > 0 {
			t.Errorf("column %d is %q with %d nulls, want %q without any", i, name, got[0].Column(i).NullN(), column)
		}
	}
}

func (c *vectorCase) write(t *testing.T) {
	f := c.feature(t)
	df := c.Operation.Df.record(t)
	sealed, err := Seal(f, df, c.stamp())
	if c.Expected.Error != nil {
		if err == nil {
			t.Fatalf("no error, want one like %q", c.Expected.Error.Type)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	c.checkTable(t, sealed)
}

// delete does what soft deletion does with what it reads.
func (c *vectorCase) delete(t *testing.T) {
	f := c.feature(t)
	ctx := context.Background()
	snap, err := c.store(t).Snapshot(ctx, f.Key())
	if err != nil {
		t.Fatal(err)
	}
	var dead []arrow.RecordBatch
	for _, rec := range collect(t, Read(ctx, snap, f, c.readOptions(t))) {
		rec, err := Tombstones(f, rec, c.stamp())
		if err != nil {
			t.Fatal(err)
		}
		dead = append(dead, rec)
	}
	c.checkTable(t, dead...)
}

func (c *vectorCase) deleteHard(t *testing.T) {
	f, s, o := c.feature(t), c.store(t), c.readOptions(t)
	snap, err := s.Snapshot(t.Context(), f.Key())
	if errors.Is(err, store.ErrNoTable) && len(c.Expected.Table.record(t).Columns()) == 0 {
		return // Metaxy does nothing
	}
	if err != nil {
		t.Fatal(err)
	}
	d, err := Deletion(snap, f, o.Filters, o.AllFeatureVersions)
	if err == nil {
		_, err = s.Delete(t.Context(), f.Key(), d)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.checkTableOf(t, s)
}

// checkTable appends to the feature's table and compares all of it.
func (c *vectorCase) checkTable(t *testing.T, rows ...arrow.RecordBatch) {
	t.Helper()
	s, key := c.store(t), c.Operation.Feature
	for _, rec := range rows {
		if rec.NumRows() > 0 {
			appendRows(t, s, key, rec)
		}
	}
	c.checkTableOf(t, s)
}

// checkTableOf compares all of the feature's table.
func (c *vectorCase) checkTableOf(t *testing.T, s store.Store) {
	t.Helper()
	ctx, key := t.Context(), c.Operation.Feature
	want := c.Expected.Table.record(t)
	snap, err := s.Snapshot(ctx, key)
	if err != nil && want.NumRows() == 0 {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	var got []arrow.RecordBatch
	for b, err := range snap.Scan(ctx, store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b.RecordBatch)
	}
	checkFrame(t, "the table", snap.Schema(), got, want)
}
