package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A Finding is a stored version that is not the one that its row should have.
type Finding struct {
	// Row is where the row is, in the snapshot that was verified.
	Row store.RowRef
	// Column is metaxy_provenance or metaxy_data_version; or, of one field, metaxy_provenance_by_field.<field>.
	Column string
	// Stored and Expected are the two versions; "" for none.
	Stored, Expected string
}

// A Verification counts what Verify looked at.
type Verification struct {
	// Rows are the stored rows of the feature's version, older ones and deletions among them.
	Rows int64
	// Differ are those of them that have a finding.
	Differ int64
	// Derived are the current samples whose provenance was found again from rows of the parents, present or past.
	Derived int64
	// Unknown are the current samples for which that cannot be said: rows that they may have been computed from are gone, or
	// the parents are aggregated, whose past groups are not looked into.
	Unknown int64
}

// Verify recomputes the versions of the stored rows of f and calls found for each that differs, in no particular order.
//
// Of every row metaxy_provenance has to be the hash of metaxy_provenance_by_field, and metaxy_data_version that of
// metaxy_data_version_by_field or the provenance, unless the data version was overridden. Of the current samples of a
// computed feature, each field's provenance has to come about from rows that the parents have or had. A stale sample is
// no finding: its provenance comes from older rows.
func Verify(
	ctx context.Context, r store.Reader, f *feature.Feature, h Hashing, found func(Finding) error,
) (store.Snapshot, Verification, error) {
	var out Verification
	snap, err := open(ctx, store.Local(r), f.Key(), h)
	if err != nil {
		return nil, out, fmt.Errorf("verify %q: %w", f.Key(), err)
	}
	differ := map[store.RowRef]bool{}
	note := func(x Finding) error {
		differ[x.Row] = true
		return found(x)
	}
	if out.Rows, err = verifyHashes(ctx, snap, f, h, note); err != nil {
		return nil, out, fmt.Errorf("verify %q: %w", f.Key(), err)
	}
	if !f.Root() {
		if err := verifyOrigins(ctx, r, snap, f, h, &out, note); err != nil {
			return nil, out, err
		}
	}
	out.Differ = int64(len(differ))
	return snap, out, nil
}

// hashedColumns are the columns whose values are hashes of each other.
var hashedColumns = []string{feature.ColProvenanceByField, feature.ColProvenance, feature.ColDataVersionByField, feature.ColDataVersion}

// verifyHashes compares the versions of samples with those of their fields, row by row.
func verifyHashes(ctx context.Context, snap store.Snapshot, f *feature.Feature, h Hashing, found func(Finding) error) (int64, error) {
	q := store.Query{Where: []store.Equal{{Column: feature.ColFeatureVersion, Value: f.Version()}}}
	for _, name := range hashedColumns {
		if _, ok := store.Column(snap.Schema(), name); ok {
			q.Columns = append(q.Columns, name)
		}
	}
	rows := int64(0)
	for b, err := range snap.Scan(ctx, q) {
		if err != nil {
			return 0, err
		}
		rows += b.NumRows()
		if err := verifyBatch(b, f, h, found); err != nil {
			return 0, err
		}
	}
	return rows, nil
}

func verifyBatch(b store.Batch, f *feature.Feature, h Hashing, found func(Finding) error) error {
	own, err := versionsOf(f, h, b.RecordBatch, feature.ColProvenanceByField, feature.ColProvenance)
	if err != nil {
		return err
	}
	data, err := versionsOf(f, h, b.RecordBatch, feature.ColDataVersionByField, feature.ColDataVersion)
	if err != nil {
		return err
	}
	for i := range int(b.NumRows()) {
		if got, want := own.stored.text(i), own.hashed.text(i); got != want {
			if err := found(Finding{b.Ref(i), feature.ColProvenance, got, want}); err != nil {
				return err
			}
		}
		got, want := data.stored.text(i), data.hashed.text(i)
		if got == want || got == own.stored.text(i) || !own.sameFields(i, data) {
			continue // the last is the sign of an override, whose version may be anything
		}
		if err := found(Finding{b.Ref(i), feature.ColDataVersion, got, want}); err != nil {
			return err
		}
	}
	return nil
}

// sampleTexts are the versions of a batch of samples: those of the fields, the stored one, and the hash of the former.
type sampleTexts struct {
	fields         []versionTexts
	stored, hashed versionTexts
}

// versionTexts are cells of which "" stands for null.
type versionTexts struct{ cells }

func (t versionTexts) text(i int) string {
	if t.isNull(i) {
		return ""
	}
	return string(t.appendText(nil, i))
}

// versionsOf reads the versions that two columns hold. A column that the table does not have holds none.
func versionsOf(f *feature.Feature, h Hashing, rec arrow.RecordBatch, byField, sample string) (sampleTexts, error) {
	var out sampleTexts
	var members []string
	for _, field := range specFields(f) {
		members = append(members, field.Key.StructKey())
	}
	fields, err := textColumns(rec, byField, members, []string{sample})
	if err != nil {
		return out, err
	}
	for _, c := range fields {
		out.fields = append(out.fields, versionTexts{c})
	}
	out.stored, out.fields = out.fields[len(members)], out.fields[:len(members)]
	if out.hashed.cells = nullCells(int(rec.NumRows())); columnOf(rec, byField) == nil {
		return out, nil
	}
	hashed, err := sampleVersions(f, h, columnOf(rec, byField))
	if err != nil {
		return out, err
	}
	out.hashed.cells, err = textCells(hashed)
	return out, err
}

// sameFields reports whether all fields have the same versions in both.
func (s sampleTexts) sameFields(i int, o sampleTexts) bool {
	for k := range s.fields {
		if s.fields[k].text(i) != o.fields[k].text(i) {
			return false
		}
	}
	return true
}

// verifyOrigins looks for the rows of the parents that the current samples were computed from.
func verifyOrigins(ctx context.Context, r store.Reader, snap store.Snapshot, f *feature.Feature, h Hashing, out *Verification,
	found func(Finding) error) error {
	p, err := prepareOn(ctx, r, snap, f, h)
	if errors.Is(err, store.ErrNoTable) { // of a parent
		d, err := DataVersion(ctx, snap, f)
		out.Unknown = d.Rows
		return err
	}
	if err != nil {
		return err
	}
	tables, target, err := p.load(ctx)
	if err != nil {
		return err
	}
	expected, err := p.joinSources(ctx, tables)
	if err != nil {
		return err
	}
	v := &verifier{explainer: explainer{plan: p, tables: tables, target: target}, out: out, found: found}
	v.pair(expected)
	if err := v.derive(ctx); err != nil {
		return fmt.Errorf("verify %q: %w", f.Key(), err)
	}
	return nil
}

// prepareOn plans the resolve of f against a version of its table.
func prepareOn(ctx context.Context, r store.Reader, snap store.Snapshot, f *feature.Feature, h Hashing) (*plan, error) {
	o := Options{Hashing: h}
	if err := checkFeature(f, o); err != nil {
		return nil, err
	}
	parents, err := openParents(ctx, r, f, h)
	if err != nil {
		return nil, err
	}
	return newPlan(f, o, nil, parents, snap)
}
