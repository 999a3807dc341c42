// Package samplekey writes the ids of samples as keys, and divides samples among shards by them. Every command that
// splits samples does it here, so that shard 1/4 of one is shard 1/4 of all.
package samplekey

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/zeebo/xxh3"

	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A Keyer writes the keys of the rows of one batch. Equal values have equal keys whatever the width of their columns,
// today and in later versions: shards depend on it.
type Keyer struct {
	cols   []arrow.Array
	append []func(dst []byte, col arrow.Array, row int) []byte // of each column
	buf    []byte
}

// New returns an error if a key column is missing.
func New(rec arrow.RecordBatch, columns []string) (*Keyer, error) {
	k := &Keyer{}
	for _, name := range columns {
		at := slices.IndexFunc(rec.Schema().Fields(), func(f arrow.Field) bool { return f.Name == name })
		if at < 0 {
			return nil, fmt.Errorf("there is no id column %q among %q", name, names(rec.Schema()))
		}
		k.cols = append(k.cols, rec.Column(at))
		k.append = append(k.append, rowjson.Appender(rec.Column(at).DataType()))
	}
	return k, nil
}

func names(s *arrow.Schema) []string {
	out := make([]string, s.NumFields())
	for i, f := range s.Fields() {
		out[i] = f.Name
	}
	return out
}

// At returns the key of a row: the JSON of its values, joined by commas. It reports false if one of the values is null.
func (k *Keyer) At(row int) (string, bool) {
	key, ok := k.Bytes(row)
	return string(key), ok
}

// Bytes is At without a copy: the key is valid until the next call.
func (k *Keyer) Bytes(row int) ([]byte, bool) {
	k.buf = k.buf[:0]
	for i, col := range k.cols {
		if col.IsNull(row) {
			return nil, false
		}
		if i > 0 {
			k.buf = append(k.buf, ',')
		}
		k.buf = k.append[i](k.buf, col, row)
	}
	return k.buf, true
}

// InShard reports whether the sample with the key belongs to shard index of count if it lies in no interval of a
// division. A count of 0 or 1 is no division.
func InShard(key string, index, count int) bool {
	return count <= 1 || xxh3.HashString(key)%uint64(count) == uint64(index)
}

// Members tells which rows of a batch belong to a shard.
type Members struct {
	index, count int
	intervals    *store.Division
	values       arrow.Array
}

// NewMembers returns what tells the rows of shard index of count, by a division of the samples or without one. The
// division's column has to be among those of the batch.
func NewMembers(rec arrow.RecordBatch, d *store.Division, index, count int) (*Members, error) {
	m := &Members{index: index, count: count}
	if d == nil || count <= 1 {
		return m, nil
	}
	at := slices.Index(names(rec.Schema()), d.Column)
	if at < 0 {
		return nil, fmt.Errorf("samples are divided by column %q, which is not among %q", d.Column, names(rec.Schema()))
	}
	m.intervals, m.values = d, rec.Column(at)
	return m, nil
}

// Has reports whether a row belongs to the shard. Its key is that of Keyer.At, "" for none: such rows are no samples, and are
// in the first shard unless they lie in an interval.
func (m *Members) Has(key string, row int) bool {
	if m.intervals != nil {
		if value, ok := store.OrderedValue(m.values, row); ok {
			if i, ok := m.intervals.Interval(value); ok {
				return i%m.count == m.index
			}
		}
	}
	if key == "" {
		return m.index == 0
	}
	return InShard(key, m.index, m.count)
}
