package engine

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// ComputeProvenance returns rows of f's parents, which the caller has joined in a way of its own, with the provenances
// and data versions that they have as samples of f. The rows need a column metaxy_data_version_by_field of each parent,
// optional ones too, with the parent's suffix: metaxy_data_version_by_field__video_full for "video/full". It and the
// parents' provenances are left out of the result. Columns of f's own versions that are there already are replaced. Rows
// that lack such a column give an error wrapping ErrRows.
func ComputeProvenance(f *feature.Feature, rows arrow.RecordBatch, h Hashing) (arrow.RecordBatch, error) {
	out, err := computeProvenance(f, rows, h)
	if err != nil {
		return nil, fmt.Errorf("compute provenance of %q: %w", f.Key(), err)
	}
	return out, nil
}

func computeProvenance(f *feature.Feature, rows arrow.RecordBatch, h Hashing) (arrow.RecordBatch, error) {
	if f.Root() {
		return nil, fmt.Errorf("%w: a root feature has no parents to compute it from", ErrPlan)
	}
	if err := checkFeature(f, Options{}); err != nil {
		return nil, err
	}
	p := &plan{feature: f, hashing: h}
	for _, parent := range f.Parents() {
		name := feature.ColDataVersionByField + parent.Feature.Key().Suffix()
		if !rows.Schema().HasField(name) {
			return nil, fmt.Errorf("%w: there is no column %q, which holds the versions of parent %q; there are %q",
				ErrRows, name, parent.Feature.Key(), fieldNames(rows.Schema()))
		}
		p.sources = append(p.sources, source{
			optional: parent.Dep.Optional, scan: tableScan{key: parent.Feature.Key(), byField: name},
		})
	}
	if err := p.planVersions(); err != nil {
		return nil, err
	}
	schema, err := store.StoredSchema(rows.Schema())
	if err != nil {
		return nil, err
	}
	if rows, err = store.Conform(rows, schema); err != nil {
		return nil, err
	}
	computed, err := p.computeRows(rows)
	if err != nil {
		return nil, err
	}
	return withVersions(f, rows, computed), nil
}

// computeRows computes the versions of rows that have the versions of all sources side by side.
func (p *plan) computeRows(rows arrow.RecordBatch) (versionArrays, error) {
	sources := make([]sourceTexts, len(p.sources))
	for s := range p.sources {
		scan := &p.sources[s].scan
		var err error
		if sources[s].members, err = textColumns(rows, scan.byField, scan.members, nil); err != nil {
			return versionArrays{}, err
		}
	}
	return computeVersions(&p.versions, p.hashing, sources, int(rows.NumRows()))
}

// withVersions adds the computed versions to rows, in place of those that are there, and leaves out what they were
// computed from.
func withVersions(f *feature.Feature, rows arrow.RecordBatch, computed versionArrays) arrow.RecordBatch {
	var dropped []string
	for _, parent := range f.Parents() {
		for _, c := range []string{feature.ColProvenance, feature.ColProvenanceByField, feature.ColDataVersionByField} {
			dropped = append(dropped, c+parent.Feature.Key().Suffix())
		}
	}
	var fields []arrow.Field
	var cols []arrow.Array
	add := func(name string, a arrow.Array) {
		fields = append(fields, arrow.Field{Name: name, Type: a.DataType(), Nullable: true})
		cols = append(cols, a)
	}
	for i, field := range rows.Schema().Fields() {
		switch {
		case slices.Contains(dropped, field.Name):
		case slices.Contains(versionColumns(), field.Name):
			add(field.Name, computed.column(field.Name))
		default:
			add(field.Name, rows.Column(i))
		}
	}
	for _, name := range versionColumns() {
		if !rows.Schema().HasField(name) {
			add(name, computed.column(name))
		}
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), cols, rows.NumRows())
}
