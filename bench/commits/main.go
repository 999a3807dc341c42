// Command commits makes the tables of bench/commits.py: a root feature whose rows came in many commits, or the same rows,
// with the same times, sorted in one file.
//
//	commits many|once DIR ROWS COMMITS
package main

import (
	"context"
	"fmt"
	"iter"
	"os"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("usage: commits many|once DIR ROWS COMMITS")
	}
	rows, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	commits, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	g, err := feature.NewGraph([]feature.Definition{
		{Spec: feature.Spec{Key: "video", IDColumns: []string{"id"}}},
		{Spec: feature.Spec{Key: "video/crop", IDColumns: []string{"id"}, Deps: []feature.Dep{{Feature: "video"}}}},
	}, feature.Options{Project: "bench"})
	if err != nil {
		return err
	}
	video, err := g.Lookup("video")
	if err != nil {
		return err
	}
	ctx := context.Background()
	st, err := s3parquet.Open(ctx, args[1], s3parquet.Options{})
	if err != nil {
		return err
	}
	defer st.Close()
	ids := video.Spec().IDColumns
	if args[0] == "once" {
		_, err := st.Append(ctx, "video", store.Write{Rows: parts(video, rows, commits)})
		if err == nil {
			_, err = st.Optimize(ctx, "video", store.Optimization{SortBy: ids})
		}
		return err
	}
	began := time.Now()
	for rec, err := range parts(video, rows, commits) {
		var by []string
		if err == nil {
			rec, by, err = store.SortRows(rec, ids)
		}
		if err == nil {
			_, err = st.Append(ctx, "video", store.Write{Rows: once(rec), SortedBy: by})
		}
		if err != nil {
			return err
		}
	}
	fmt.Printf("commits_per_second=%.0f\n", float64(commits)/time.Since(began).Seconds())
	return nil
}

// parts yields the rows commit by commit, a second apart.
func parts(f *feature.Feature, rows, commits int) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		each := (rows + commits - 1) / commits
		for first := 0; first < rows; first += each {
			now = now.Add(time.Second)
			rec, err := samples(f, first, min(first+each, rows), now)
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

func once(rec arrow.RecordBatch) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) { yield(rec, nil) }
}

// samples are rows of a root feature, in no order of their ids.
func samples(f *feature.Feature, first, end int, now time.Time) (arrow.RecordBatch, error) {
	id, path, version := array.NewStringBuilder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator),
		array.NewStringBuilder(memory.DefaultAllocator)
	for i := first; i < end; i++ {
		id.Append(fmt.Sprintf("video_%08x", uint32(i)*2654435761))
		path.Append(fmt.Sprintf("s3://bucket/videos/%08d.mp4", i))
		version.Append(fmt.Sprintf("v1_%08d", i))
	}
	fields, err := array.NewStructArray([]arrow.Array{version.NewArray()}, []string{"default"})
	if err != nil {
		return nil, err
	}
	rec := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.BinaryTypes.String}, {Name: "path", Type: arrow.BinaryTypes.String},
		{Name: feature.ColProvenanceByField, Type: fields.DataType()},
	}, nil), []arrow.Array{id.NewArray(), path.NewArray(), fields}, int64(end-first))
	return engine.Seal(f, rec, engine.Stamp{Now: now})
}
