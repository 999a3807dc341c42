package engine

import (
	"context"
	"fmt"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// Rebase yields rows that were stored under another version of f as they are to be sealed under f's own, without computing
// them anew: with the provenance that f gives their samples now, by what is stored of its parents. Data versions that
// were the provenance become null, so that [Seal] makes them the new one; those that whoever wrote the row knew better
// stay. Rows whose sample f does not expect are left out. A root feature, whose provenance comes from outside, gives an
// error wrapping ErrPlan.
func Rebase(
	ctx context.Context, r store.Reader, f *feature.Feature, rows iter.Seq2[arrow.RecordBatch, error], h Hashing,
) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		if f.Root() {
			yield(nil, fmt.Errorf("rebase %q: %w: the versions of a root feature come from outside; ingest it again", f.Key(), ErrPlan))
			return
		}
		b, err := newRebaser(ctx, r, f, h)
		if err != nil {
			yield(nil, err)
			return
		}
		for rec, err := range rows {
			if err == nil {
				rec, err = b.rebase(rec)
			}
			if err != nil {
				yield(nil, fmt.Errorf("rebase %q: %w", f.Key(), err))
				return
			}
			if rec.NumRows() > 0 && !yield(rec, nil) {
				return
			}
		}
	}
}

// A rebaser knows the provenance of every expected sample.
type rebaser struct {
	keys     []string       // the columns that tell samples apart
	expected map[string]int // by encoded key: the row of byField and sample
	byField  arrow.Array
	sample   arrow.Array
}

func newRebaser(ctx context.Context, r store.Reader, f *feature.Feature, h Hashing) (*rebaser, error) {
	inc, err := Resolve(ctx, r, f, Options{Hashing: h, SkipComparison: true})
	if err != nil {
		return nil, err
	}
	b := &rebaser{keys: SampleColumns(f), expected: map[string]int{}}
	columns := append(append([]string{}, b.keys...), feature.ColProvenanceByField, feature.ColProvenance)
	var byField, sample []arrow.Array
	n := 0
	for rec, err := range inc.Batches(ctx, New, columns, 0) {
		if err != nil {
			return nil, err
		}
		keys, err := keyColumns(rec, b.keys)
		if err != nil {
			return nil, err
		}
		for i := range int(rec.NumRows()) {
			if key, null := appendKey(nil, keys, i); !null {
				b.expected[string(key)] = n + i // of aggregated rows all have the versions of their group
			}
		}
		n += int(rec.NumRows())
		byField = append(byField, columnOf(rec, feature.ColProvenanceByField))
		sample = append(sample, columnOf(rec, feature.ColProvenance))
	}
	schema := inc.Schema(New)
	for _, c := range []struct {
		name  string
		parts []arrow.Array
		into  *arrow.Array
	}{{feature.ColProvenanceByField, byField, &b.byField}, {feature.ColProvenance, sample, &b.sample}} {
		column, _ := store.Column(schema, c.name)
		if *c.into, err = concatenate(column.Type, c.parts); err != nil {
			return nil, fmt.Errorf("column %q: %w", c.name, err)
		}
	}
	return b, nil
}

// rebase returns the rows of expected samples with their new provenance.
func (b *rebaser) rebase(rec arrow.RecordBatch) (arrow.RecordBatch, error) {
	keys, err := keyColumns(rec, b.keys)
	if err != nil {
		return nil, err
	}
	var rows, fresh []int
	var key []byte
	for i := range int(rec.NumRows()) {
		key, _ = appendKey(key[:0], keys, i)
		if at, ok := b.expected[string(key)]; ok {
			rows, fresh = append(rows, i), append(fresh, at)
		}
	}
	if rec, err = forgetDerived(rec); err != nil {
		return nil, err
	}
	if rec, err = store.Take(rec, rows); err != nil {
		return nil, err
	}
	var fields []arrow.Field
	var cols []arrow.Array
	for i, f := range rec.Schema().Fields() {
		switch f.Name {
		case feature.ColProvenance, feature.ColProvenanceByField, feature.ColFeatureVersion, feature.ColProjectVersion:
		default:
			fields, cols = append(fields, f), append(cols, rec.Column(i))
		}
	}
	for i, name := range []string{feature.ColProvenanceByField, feature.ColProvenance} {
		col, err := store.TakeArray([]arrow.Array{b.byField, b.sample}[i], fresh)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", name, err)
		}
		fields, cols = append(fields, arrow.Field{Name: name, Type: col.DataType(), Nullable: true}), append(cols, col)
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), cols, int64(len(rows))), nil
}

// forgetDerived makes data versions null that are the provenance.
func forgetDerived(rec arrow.RecordBatch) (arrow.RecordBatch, error) {
	version, provenance := columnOf(rec, feature.ColDataVersion), columnOf(rec, feature.ColProvenance)
	if version == nil || provenance == nil {
		return rec, nil
	}
	a, err := textCells(version)
	if err != nil {
		return nil, err
	}
	b, err := textCells(provenance)
	if err != nil {
		return nil, err
	}
	own := make([]int, rec.NumRows())
	for i := range own {
		own[i] = i
		if va, vb := (versionTexts{a}).text(i), (versionTexts{b}).text(i); va == vb && va != "" {
			own[i] = -1
		}
	}
	cols := append([]arrow.Array{}, rec.Columns()...)
	for i, f := range rec.Schema().Fields() {
		if f.Name != feature.ColDataVersion && f.Name != feature.ColDataVersionByField {
			continue
		}
		if cols[i], err = store.TakeArray(cols[i], own); err != nil {
			return nil, fmt.Errorf("column %q: %w", f.Name, err)
		}
	}
	return array.NewRecordBatch(rec.Schema(), cols, rec.NumRows()), nil
}

// A StoredVersion is a version of a feature of which a table has rows.
type StoredVersion struct {
	Version string // "" for rows that have none
	Rows    int64  // older rows of samples and deletions among them
}

// StoredVersions lists the versions of its feature of which a table has rows, in the order in which they first appear.
func StoredVersions(ctx context.Context, snap store.Snapshot) ([]StoredVersion, error) {
	var out []StoredVersion
	index := map[string]int{}
	for b, err := range snap.Scan(ctx, store.Query{Columns: []string{feature.ColFeatureVersion}}) {
		if err != nil {
			return nil, err
		}
		c, err := textCells(b.Column(0))
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", feature.ColFeatureVersion, err)
		}
		for i := range int(b.NumRows()) {
			version := versionTexts{c}.text(i)
			at, ok := index[version]
			if !ok {
				at, index[version] = len(out), len(out)
				out = append(out, StoredVersion{Version: version})
			}
			out[at].Rows++
		}
	}
	return out, nil
}
