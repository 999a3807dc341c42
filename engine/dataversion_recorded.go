package engine

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/zeebo/xxh3"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// The marks of a table whose digest is recorded (see store.Write.Marks). They hold at one version of the table.
const (
	digestVersion = "metaxy_pipes.digest.version" // of the table
	digestRules   = "metaxy_pipes.digest.rules"   // a hash of which rows were digested, and how
	digestRows    = "metaxy_pipes.digest.rows"
	digestHigh    = "metaxy_pipes.digest.high"
	digestLow     = "metaxy_pipes.digest.low"
	digestUpdated = "metaxy_pipes.digest.updated" // in microseconds
)

// digestRulesOf hashes what a digest depends on beside the rows.
func digestRulesOf(f *feature.Feature) int64 {
	text, err := json.Marshal([]any{resolveRules, f.Key(), f.Version(), idColumns(f)})
	if err != nil {
		panic(err) // texts
	}
	return int64(xxh3.Hash(text) >> 1)
}

// Marks are the marks that record the digest, for a commit without rows that makes the given version of the table out of
// the one that was digested.
func (d Digest) Marks(f *feature.Feature, version int64) map[string]int64 {
	updated := int64(noTime)
	if !d.LastUpdated.IsZero() {
		updated = d.LastUpdated.UnixMicro()
	}
	return map[string]int64{
		digestVersion: version, digestRules: digestRulesOf(f), digestRows: d.Rows, digestUpdated: updated,
		digestHigh: int64(d.sum.Hi), digestLow: int64(d.sum.Lo),
	}
}

// PaysToRecord reports whether the digest was dear enough to be recorded, which takes a commit.
func (d Digest) PaysToRecord() bool { return !d.recorded && d.Rows >= settleRows }

// recordedDigest is what a table records of itself.
func recordedDigest(snap store.Snapshot, f *feature.Feature) (Digest, bool) {
	marks := snap.Marks()
	if v, ok := marks[digestVersion]; !ok || v != snap.Version() || marks[digestRules] != digestRulesOf(f) {
		return Digest{}, false
	}
	d := Digest{Rows: marks[digestRows], recorded: true}
	d.sum = uint128(uint64(marks[digestLow]), uint64(marks[digestHigh]))
	if at := marks[digestUpdated]; at != noTime {
		d.LastUpdated = time.UnixMicro(at).UTC()
	}
	return d.summed(), true
}

// KnownDigest is the digest of a table of which no row has to be read for it: one that records it, or that is not there, which
// nil stands for.
func KnownDigest(snap store.Snapshot, f *feature.Feature) (Digest, bool) {
	if snap == nil {
		return Digest{Version: "empty"}, true
	}
	return recordedDigest(snap, f)
}

// With returns the digest after a commit of new samples, as Seal made their rows: one of each, and none of a sample that the
// digest knows already. The table has a schema, nil before its first commit; ids of another kind than those of the table, and
// rows that are deletions, give an error wrapping ErrRows.
func (d Digest) With(f *feature.Feature, rows arrow.RecordBatch, table *arrow.Schema) (Digest, error) {
	s := tableScan{keys: idColumns(f), texts: []string{feature.ColDataVersion}}
	c, err := s.prepare(store.Batch{RecordBatch: rows})
	if err != nil {
		return Digest{}, err
	}
	for i, name := range s.keys {
		if table == nil {
			break
		}
		if col, ok := store.Column(table, name); !ok || classOf(col.Type) != c.keys[i].class {
			return Digest{}, fmt.Errorf("%w: the ids %q are not of the table's kind", ErrRows, name)
		}
	}
	d.recorded = false
	var buf []byte
	for i := range int(rows.NumRows()) {
		if !c.deleted.isNull(i) {
			return Digest{}, fmt.Errorf("%w: a row is a deletion", ErrRows)
		}
		d.add(sampleDigest(&buf, &c, i), c.time(i))
	}
	return d.summed(), nil
}
