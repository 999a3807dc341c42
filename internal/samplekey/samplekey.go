// Package samplekey writes the ids of samples as keys, and divides samples among shards by them. Every command that
// splits samples does it here, so that shard 1/4 of one is shard 1/4 of all.
package samplekey

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/zeebo/xxh3"

	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
)

// A Keyer writes the keys of the rows of one batch. Equal values have equal keys whatever the width of their columns,
// today and in later versions: shards depend on it.
type Keyer struct {
	cols []arrow.Array
	buf  []byte
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
	k.buf = k.buf[:0]
	for i, col := range k.cols {
		if col.IsNull(row) {
			return "", false
		}
		if i > 0 {
			k.buf = append(k.buf, ',')
		}
		k.buf = rowjson.AppendValue(k.buf, col, row)
	}
	return string(k.buf), true
}

// InShard reports whether the sample with the key belongs to shard index of count. A count of 0 or 1 is no division.
func InShard(key string, index, count int) bool {
	return count <= 1 || xxh3.HashString(key)%uint64(count) == uint64(index)
}
