// Command runner is the empty work of bench/runner.py: steps that compute nothing, so that what is left is the runner's own
// cost.
//
//	runner prepare DIR N     a store with N samples of a root feature, sorted by id as ingest leaves them
//	runner shuffle DIR N     the same in an order that has nothing to do with the ids
//	runner rows DIR          processes them by a typed function, a row at a time
//	runner batches DIR       by Arrow batches
//	runner external DIR      by an external program that speaks JSON lines, which is
//	runner echo              this one
//	runner arrow DIR         the same by Arrow streams, which is
//	runner echo-arrow        this one
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"runtime/pprof"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes"
	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/pipes"
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
	switch {
	case len(args) == 1 && args[0] == "echo":
		return echo()
	case len(args) == 1 && args[0] == "echo-arrow":
		return echoArrow()
	case len(args) == 3 && (args[0] == "prepare" || args[0] == "shuffle"):
		n, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		return prepare(args[1], n, args[0] == "prepare")
	case len(args) == 2:
		p, ok := processors()[args[0]]
		if ok {
			return process(args[1], p)
		}
	}
	return errors.New("usage: runner prepare DIR N | shuffle DIR N | rows DIR | batches DIR | external DIR | echo | arrow DIR | echo-arrow")
}

func graph() (*feature.Graph, error) {
	return feature.NewGraph([]feature.Definition{
		{Spec: feature.Spec{Key: "video", IDColumns: []string{"id"}}},
		{Spec: feature.Spec{Key: "video/crop", IDColumns: []string{"id"}, Deps: []feature.Dep{{Feature: "video"}}}},
	}, feature.Options{Project: "bench"})
}

type (
	input struct {
		ID   string `arrow:"id"`
		Path string `arrow:"path"`
	}
	output struct {
		Path string `arrow:"crop_path"`
	}
)

func processors() map[string]metaxy.Processor {
	return map[string]metaxy.Processor{
		"rows": metaxy.Each(func(_ context.Context, in input) (output, error) { return output{in.Path}, nil }),
		"batches": metaxy.ProcessorFunc(func(_ context.Context, b *metaxy.Batch) (arrow.RecordBatch, error) {
			return answer(b.Rows), nil
		}),
		"external": metaxy.External([]string{os.Args[0], "echo"}),
		"arrow":    metaxy.ExternalArrow([]string{os.Args[0], "echo-arrow"}),
	}
}

// answer has the ids of rows and their paths.
func answer(rows arrow.RecordBatch) arrow.RecordBatch {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.BinaryTypes.String}, {Name: "crop_path", Type: arrow.BinaryTypes.String}}, nil)
	id, path := rows.Schema().FieldIndices("id")[0], rows.Schema().FieldIndices("path")[0]
	return array.NewRecordBatch(schema, []arrow.Array{rows.Column(id), rows.Column(path)}, rows.NumRows())
}

// process runs the step once and prints how fast it was, and how long a run lasts that finds nothing to do.
func process(dir string, p metaxy.Processor) error {
	g, err := graph()
	if err != nil {
		return err
	}
	if path := os.Getenv("CPUPROFILE"); path != "" {
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	step := metaxy.Step{Graph: g, Feature: "video/crop", Process: p, Store: func(ctx context.Context) (store.Store, error) {
		return s3parquet.Open(ctx, dir, s3parquet.Options{})
	}}
	return pipes.Run(context.Background(), nil, func(ctx context.Context, s *pipes.Session) error {
		began := time.Now()
		results, err := metaxy.Run(ctx, s, metaxy.Options{}, step)
		if err != nil {
			return err
		}
		took := time.Since(began).Seconds()
		fmt.Printf("samples=%d seconds=%.3f rate=%.0f\n", results[0].Processed, took, float64(results[0].Processed)/took)
		return nil
	})
}

// prepare ingests n samples, in the order of their ids or in another one.
func prepare(dir string, n int, sorted bool) error {
	g, err := graph()
	if err != nil {
		return err
	}
	f, err := g.Lookup("video")
	if err != nil {
		return err
	}
	st, err := s3parquet.Open(context.Background(), dir, s3parquet.Options{})
	if err != nil {
		return err
	}
	defer st.Close()
	w := store.Write{Rows: rows(f, n, sorted)}
	if sorted {
		w.SortedBy = []string{"id"}
	}
	_, err = st.Append(context.Background(), "video", w)
	return err
}

func rows(f *feature.Feature, n int, sorted bool) iter.Seq2[arrow.RecordBatch, error] {
	const step = 1 << 16
	return func(yield func(arrow.RecordBatch, error) bool) {
		for first := 0; first < n; first += step {
			rec, err := engine.Seal(f, samples(first, min(first+step, n), sorted), engine.Stamp{Now: time.Now().UTC()})
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

func samples(first, end int, sorted bool) arrow.RecordBatch {
	id, path, version := array.NewStringBuilder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator),
		array.NewStringBuilder(memory.DefaultAllocator)
	for i := first; i < end; i++ {
		mixed := uint32(i) * 2654435761
		number := mixed
		if sorted {
			number = uint32(i)
		}
		id.Append(fmt.Sprintf("video_%08x", number))
		path.Append(fmt.Sprintf("s3://bucket/videos/%08d.mp4", i))
		version.Append(fmt.Sprintf("v1_%08x", mixed))
	}
	fields, err := array.NewStructArray([]arrow.Array{version.NewArray()}, []string{"default"})
	if err != nil {
		panic(err) // arrays of one length
	}
	return array.NewRecordBatch(arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.BinaryTypes.String}, {Name: "path", Type: arrow.BinaryTypes.String},
		{Name: feature.ColProvenanceByField, Type: fields.DataType()},
	}, nil), []arrow.Array{id.NewArray(), path.NewArray(), fields}, int64(end-first))
}

// echo answers each line by the sample's id.
func echo() error {
	in, out := bufio.NewReaderSize(os.Stdin, 1<<20), bufio.NewWriterSize(os.Stdout, 1<<20)
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return out.Flush()
		}
		const before = `"id":"`
		at := bytes.Index(line, []byte(before))
		end := at + len(before) + bytes.IndexByte(line[at+len(before):], '"') + 1
		out.WriteByte('{')
		out.Write(line[at:end])
		out.WriteString(`,"crop_path":"x"}` + "\n")
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
}

// echoArrow answers each record batch.
func echoArrow() error {
	in, err := ipc.NewReader(bufio.NewReaderSize(os.Stdin, 1<<20))
	if err != nil {
		return err
	}
	var out *ipc.Writer
	for in.Next() {
		rows := answer(in.RecordBatch())
		if out == nil {
			out = ipc.NewWriter(os.Stdout, ipc.WithSchema(rows.Schema()))
		}
		if err := out.Write(rows); err != nil {
			return err
		}
	}
	return in.Err()
}
