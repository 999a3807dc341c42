package engine

import (
	"context"
	"fmt"
	"math/bits"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A Digest sums up the current samples of a feature.
type Digest struct {
	// Version changes exactly when the set of samples and their data versions changes; "empty" without any sample.
	Version string
	// Rows is the number of current samples.
	Rows int64
	// LastUpdated is when the newest of them was written; zero without any.
	LastUpdated time.Time
}

// DataVersion digests the current samples of the feature's table. The version is the sum, modulo 2^128, of the
// samples' XXH3-128 hashes, so that neither the order of rows nor how they are spread over files matters, nor their
// history.
func DataVersion(ctx context.Context, snap store.Snapshot, f *feature.Feature) (Digest, error) {
	scan := tableScan{key: f.Key(), snap: snap, version: f.Version(), texts: []string{feature.ColDataVersion}}
	for i, id := range idColumns(f) {
		if _, ok := store.Column(snap.Schema(), id); !ok {
			return Digest{}, fmt.Errorf("digest %q: %w: the table has no column %q, which the feature declares as an id",
				f.Key(), ErrPlan, id)
		}
		scan.keys, scan.ids = append(scan.keys, id), append(scan.ids, i)
	}
	t, err := scan.load(ctx)
	if err != nil {
		return Digest{}, fmt.Errorf("digest %q: %w", f.Key(), err)
	}
	return t.digest(), nil
}

// digest sums up the live rows by their keys and their first text.
func (t *table) digest() Digest {
	var d Digest
	var hi, lo, carry uint64
	var buf []byte
	for _, p := range t.rows {
		if p.deleted() {
			continue
		}
		c, i := &t.chunks[p.chunk()], p.row()
		buf, _ = appendKey(buf[:0], c.keys, i)
		version := keyColumn{cells: c.texts[0], class: 's'}
		buf, _ = version.appendCell(buf, i)
		sum := xxh3.Hash128(buf)
		lo, carry = bits.Add64(lo, sum.Lo, 0)
		hi, _ = bits.Add64(hi, sum.Hi, carry)
		d.Rows++
		if !c.updated.isNull(i) {
			if at := time.UnixMicro(c.updated.fixed[i]).UTC(); at.After(d.LastUpdated) {
				d.LastUpdated = at
			}
		}
	}
	d.Version = "empty"
	if d.Rows > 0 {
		d.Version = fmt.Sprintf("%016x%016x", hi, lo)
	}
	return d
}
