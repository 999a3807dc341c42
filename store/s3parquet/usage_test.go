package s3parquet_test

import (
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

// What it costs to look at a table does not grow with the number of its commits: a reader begins at the last checkpoint.
func TestRequestsDoNotGrowWithTheLog(t *testing.T) {
	t.Parallel()
	server, name := minio.Bucket(t)
	location, o := "s3://"+name+"/store", s3parquet.Options{S3: credentials(server)}
	open := func() *s3parquet.Store {
		s, err := s3parquet.Open(t.Context(), location, o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	writer := open()
	commits := 0
	for _, upTo := range []int{19, 119} { // each nine commits after a checkpoint, which is the most there are
		for ; commits < upTo; commits++ {
			appendRows(t, writer, "f", write(ids(fmt.Sprint("id", commits))))
		}
		reader := open()
		if v := snapshot(t, reader, "f").Version(); v != int64(commits-1) {
			t.Fatalf("version %d after %d commits", v, commits)
		}
		// The pointer to the checkpoint, the listing from there on, the checkpoint, nine commits.
		if u := reader.Usage(); u.Reads != 11 || u.Lists != 1 || u.Writes != 0 || u.Deletes != 0 {
			t.Errorf("a first look after %d commits: %s", commits, u)
		}
		before := reader.Usage()
		snapshot(t, reader, "f")
		if u := reader.Usage().Since(before); u.Requests() != 1 || u.Lists != 1 {
			t.Errorf("another look, when nothing has changed: %s", u)
		}
	}
}

// Reading one column of two costs one read beside that of the footer, and does not move the other column.
func TestRequestsOfAScan(t *testing.T) {
	t.Parallel()
	s := openMinIO(t, s3parquet.Options{})
	const rows = 20_000
	id, text := array.NewStringBuilder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator)
	for i := range rows {
		id.Append(fmt.Sprintf("%08d", i))
		text.Append(rand.Text() + rand.Text() + rand.Text())
	}
	schema := arrow.NewSchema([]arrow.Field{{Name: "text", Type: text.Type()}, {Name: "id", Type: id.Type()}}, nil)
	c := appendRows(t, s, "f", write(array.NewRecordBatch(schema, []arrow.Array{text.NewArray(), id.NewArray()}, rows)))
	snap := snapshot(t, s, "f")
	before := s.Usage()
	n := int64(0)
	for b, err := range snap.Scan(t.Context(), store.Query{Columns: []string{"id"}}) {
		if err != nil {
			t.Fatal(err)
		}
		n += b.NumRows()
	}
	if u := s.Usage().Since(before); n != rows || u.Requests() != u.Reads || u.Reads > 2 || u.BytesRead > c.Bytes/3 {
		t.Errorf("a scan of one column of %d rows in %d bytes: %s", n, c.Bytes, u)
	}
}
