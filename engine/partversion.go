package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A Part says which of the current samples are meant. The zero value is all of them.
type Part struct {
	// Columns are what Keep looks at.
	Columns []string
	// Keep reports whether a row belongs to the part; nil keeps all.
	Keep func(rec arrow.RecordBatch, row int) bool
}

func (p Part) has(rec arrow.RecordBatch, row int) bool { return p.Keep == nil || p.Keep(rec, row) }

// PartVersion digests a part of the current samples, as [DataVersion] digests all of them: the version of a part that is
// everything is that of the whole. It reads the table.
func PartVersion(ctx context.Context, snap store.Snapshot, f *feature.Feature, p Part) (Digest, error) {
	columns := slices.Concat(idColumns(f), p.Columns)
	for _, name := range []string{feature.ColDataVersion, feature.ColUpdatedAt} {
		if _, ok := store.Column(snap.Schema(), name); ok {
			columns = append(columns, name)
		}
	}
	var d Digest
	var buf []byte
	for rows, err := range Locate(ctx, snap, f, distinct(columns)) {
		if err != nil {
			return Digest{}, err
		}
		c, err := digestChunk(rows.RecordBatch, idColumns(f))
		if err != nil {
			return Digest{}, fmt.Errorf("digest %q: %w", f.Key(), err)
		}
		for i := range int(rows.NumRows()) {
			if p.has(rows.RecordBatch, i) {
				d.add(sampleDigest(&buf, &c, i), c.time(i))
			}
		}
	}
	return d.summed(), nil
}

// digestChunk prepares live rows for sampleDigest.
func digestChunk(rec arrow.RecordBatch, ids []string) (chunk, error) {
	c := chunk{deleted: nullCells(int(rec.NumRows()))}
	var err error
	if c.keys, err = keyColumns(rec, ids); err != nil {
		return c, err
	}
	if c.texts, err = textColumns(rec, "", nil, []string{feature.ColDataVersion}); err != nil {
		return c, err
	}
	c.updated, err = timeColumn(rec, feature.ColUpdatedAt)
	return c, err
}
