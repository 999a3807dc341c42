package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
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

	sum      xxh3.Uint128
	recorded bool // it was not computed
}

// DataVersion digests the current samples of the feature's table. The version is the sum, modulo 2^128, of the
// samples' XXH3-128 hashes, so that neither the order of rows nor how they are spread over files matters, nor their
// history. What the table records of it (see [Digest.Marks]) is not computed again. Like Resolve, it uses a private
// temporary file where there are many samples.
func DataVersion(ctx context.Context, snap store.Snapshot, f *feature.Feature) (Digest, error) {
	if d, ok := recordedDigest(snap, f); ok {
		return d, nil
	}
	scan := tableScan{key: f.Key(), snap: snap, version: f.Version(), texts: []string{feature.ColDataVersion}}
	for i, id := range idColumns(f) {
		if _, ok := store.Column(snap.Schema(), id); !ok {
			return Digest{}, fmt.Errorf("digest %q: %w: the table has no column %q, which the feature declares as an id",
				f.Key(), ErrPlan, id)
		}
		scan.keys, scan.ids = append(scan.keys, id), append(scan.ids, i)
	}
	d, err := scan.digestKeyed(ctx)
	if errors.Is(err, errNotKeyed) {
		var t *table
		if t, err = scan.load(ctx); err == nil {
			d = t.digest()
		}
	}
	if err != nil {
		return Digest{}, fmt.Errorf("digest %q: %w", f.Key(), err)
	}
	return d, nil
}

// digest sums up the live rows by their keys and their first text.
func (t *table) digest() Digest {
	var d Digest
	var buf []byte
	for _, p := range t.rows {
		if p.deleted() {
			continue
		}
		c, i := &t.chunks[p.chunk()], p.row()
		d.add(sampleDigest(&buf, c, i), c.time(i))
	}
	return d.summed()
}

// sampleDigest hashes a row's key and its first text.
func sampleDigest(buf *[]byte, c *chunk, row int) xxh3.Uint128 {
	*buf, _ = appendKey((*buf)[:0], c.keys, row)
	version := keyColumn{cells: c.texts[0], class: 's'}
	*buf, _ = version.appendCell(*buf, row)
	return xxh3.Hash128(*buf)
}

// noTime is the time of rows that do not say when they were written.
const noTime = math.MinInt64

// add adds a sample that was written at a time.
func (d *Digest) add(sample xxh3.Uint128, micros int64) {
	var carry uint64
	d.sum.Lo, carry = bits.Add64(d.sum.Lo, sample.Lo, 0)
	d.sum.Hi, _ = bits.Add64(d.sum.Hi, sample.Hi, carry)
	d.Rows++
	if micros != noTime {
		if at := time.UnixMicro(micros).UTC(); at.After(d.LastUpdated) {
			d.LastUpdated = at
		}
	}
}

// merge adds the samples of another digest.
func (d *Digest) merge(o Digest) {
	rows := d.Rows + o.Rows
	d.add(o.sum, noTime)
	d.Rows = rows
	if o.LastUpdated.After(d.LastUpdated) {
		d.LastUpdated = o.LastUpdated
	}
}

// summed is the digest with its version.
func (d *Digest) summed() Digest {
	d.Version = "empty"
	if d.Rows > 0 {
		d.Version = fmt.Sprintf("%016x%016x", d.sum.Hi, d.sum.Lo)
	}
	return *d
}
