package columnar

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go/format"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// TestTwins writes columns that are the same as others, for all rows or up to some row.
func TestTwins(t *testing.T) {
	t.Parallel()
	schema := arrow.NewSchema([]arrow.Field{
		field("a", arrow.BinaryTypes.String), field("by", arrow.StructOf(field("x", arrow.BinaryTypes.String))),
		field("again", arrow.BinaryTypes.String), field("by_again", arrow.StructOf(field("x", arrow.BinaryTypes.String))),
		field("few", arrow.BinaryTypes.String), field("few_again", arrow.BinaryTypes.String),
	}, nil)
	rows := func(seed uint64, nulls float64, twins bool) arrow.RecordBatch {
		one := newGenerator(seed, nulls).batch(schema, 30_000)
		if !twins {
			return one
		}
		b := array.NewStringBuilder(memory.DefaultAllocator)
		for i := range 30_000 {
			b.Append(fmt.Sprint("few", i%7))
		}
		few := b.NewArray()
		return array.NewRecordBatch(schema, []arrow.Array{one.Column(0), one.Column(1), one.Column(0), one.Column(1), few, few}, 30_000)
	}
	for name, c := range map[string]struct {
		nulls   float64
		batches []bool // whether the columns are the same
		groups  int    // row groups of 25,000 rows, and those that end where twins part
		twins   []bool // whether the columns of each group have the same rows, and so the same pages
	}{
		"always":        {0, []bool{true, true}, 3, []bool{true, true, true}},
		"with nulls":    {0.2, []bool{true, true}, 3, []bool{true, true, true}},
		"then no more":  {0, []bool{true, false, true}, 5, []bool{true, true, false, false, true}},
		"not from 0 on": {0, []bool{false, true}, 3, []bool{false, false, true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var batches []arrow.RecordBatch
			for i, twins := range c.batches {
				batches = append(batches, rows(uint64(i+1), c.nulls, twins))
			}
			data, stats := encode(t, WriterOptions{RowGroupRows: 25_000}, batches...)
			f := openBytes(t, ReadOptions{}, data)
			got, _ := scanAll(t, f, store.Query{}, schema)
			sameRows(t, got, concat(t, batches))
			fetched, err := f.Fetch(t.Context(), []uint32{3, 24_999, 25_000, 29_999, 55_000}, []string{"by_again", "few_again"}, schema)
			if err != nil {
				t.Fatal(err)
			}
			want, err := store.Take(got, []int{3, 24_999, 25_000, 29_999, 55_000})
			if err != nil {
				t.Fatal(err)
			}
			for _, column := range []string{"by_again", "few_again"} {
				i := schema.FieldIndices(column)[0]
				if have := fetched.Column(fetched.Schema().FieldIndices(column)[0]); !array.Equal(have, want.Column(i)) {
					t.Errorf("%s of some rows is %v, want %v", column, have, want.Column(i))
				}
			}
			if len(f.groups) != c.groups {
				t.Fatalf("there are %d row groups, want %d", len(f.groups), c.groups)
			}
			for i, twins := range c.twins {
				if same := samePages(data, f, i, "a", "again") && samePages(data, f, i, "few", "few_again"); same != twins {
					t.Errorf("columns of row group %d have the same pages: %v, want %v", i, same, twins)
				}
			}
			if a, again := stats.Columns["a"], stats.Columns["again"]; slices.Contains(c.batches, false) == (a.Min == again.Min && a.Max == again.Max) {
				t.Errorf("bounds are %v to %v, those of the twin %v to %v", a.Min, a.Max, again.Min, again.Max)
			}
		})
	}
}

func samePages(data []byte, f *File, group int, a, b string) bool {
	bytes := func(column string) string {
		c := &f.groups[group].chunks[f.root.child(column).leaf]
		return string(data[c.start:c.end])
	}
	return bytes(a) == bytes(b)
}

// TestCompressionThatPays checks which chunks are compressed: not those whose values have nothing in common.
func TestCompressionThatPays(t *testing.T) {
	t.Parallel()
	schema := arrow.NewSchema([]arrow.Field{
		field("hash", arrow.BinaryTypes.String), field("path", arrow.BinaryTypes.String), field("late", arrow.BinaryTypes.String),
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for i := range 30_000 {
		hash := fmt.Sprintf("%016x", uint64(i+1)*0x9E3779B97F4A7C15)
		b.Field(0).(*array.StringBuilder).Append(hash)
		b.Field(1).(*array.StringBuilder).Append(fmt.Sprintf("s3://bucket/videos/%08d.mp4", i))
		if i < pageRows {
			b.Field(2).AppendNull() // a first page that says nothing
		} else {
			b.Field(2).(*array.StringBuilder).Append(strings.Repeat("late", 5) + hash)
		}
	}
	want := b.NewRecordBatch()
	data, _ := encode(t, WriterOptions{ByLength: true}, want)
	f := openBytes(t, ReadOptions{}, data)
	for i, codec := range []format.CompressionCodec{format.Uncompressed, format.Snappy, format.Snappy} {
		if got := f.groups[0].chunks[i].meta.MetaData.Codec; got != codec {
			t.Errorf("column %s has codec %s, want %s", schema.Field(i).Name, got, codec)
		}
	}
	got, _ := scanAll(t, f, store.Query{}, schema)
	sameRows(t, got, want)
}
