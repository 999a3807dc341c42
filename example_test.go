package metaxy_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	metaxy "github.com/metaxy-pipes/metaxy-pipes"
	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

var graph = feature.MustGraph(
	feature.Spec{Key: "text", IDColumns: []string{"id"}},
	feature.Spec{Key: "text/words", IDColumns: []string{"id"}, Deps: []feature.Dep{{Feature: "text"}}},
)

type text struct {
	ID   string `arrow:"id"`
	Body string `arrow:"body"`
}

type words struct {
	Count int64 `arrow:"count"`
}

func count(_ context.Context, t text) (words, error) {
	if t.Body == "" {
		return words{}, errors.New("there is no text")
	}
	return words{int64(len(strings.Fields(t.Body)))}, nil
}

// A program computes one feature, or several, and has the commands of metaxy-pipes.
func ExampleMain() {
	os.Args = []string{"words", "version"}
	metaxy.Main(metaxy.Step{Graph: graph, Feature: "text/words", Process: metaxy.Each(count)})
}

// Run is for programs that have a session and a store of their own. A second run finds nothing to do, until a text
// changes.
func ExampleRun() {
	ctx := context.Background()
	tables := store.NewMemory()
	session, err := pipes.Open(ctx, &pipes.Options{Log: slog.DiscardHandler})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer session.Close()
	step := metaxy.Step{
		Graph: graph, Feature: "text/words", Process: metaxy.Each(count),
		Store: func(context.Context) (store.Store, error) { return tables, nil },
	}
	write(ctx, tables, "a", "to be or not to be", "1")
	write(ctx, tables, "b", "that is the question", "1")
	for range 2 {
		results, err := metaxy.Run(ctx, session, metaxy.Options{}, step)
		fmt.Println(results.Summary(), err)
	}
	write(ctx, tables, "b", "", "2")
	results, err := metaxy.Run(ctx, session, metaxy.Options{}, step)
	fmt.Println(results.Summary())
	fmt.Println(err)
	// Output:
	// new=2 stale=0 orphaned=0 processed=2 failed=0 <nil>
	// new=0 stale=0 orphaned=0 processed=0 failed=0 <nil>
	// new=0 stale=1 orphaned=0 processed=0 failed=1
	// text/words: 1 samples failed, 0 are committed; the next run tries them again
	//   id="b": there is no text
}

// A processor of batches gets and returns Arrow columns. Rows are matched to their samples by the id columns.
func ExampleProcessorFunc() {
	lengths := metaxy.ProcessorFunc(func(_ context.Context, b *metaxy.Batch) (arrow.RecordBatch, error) {
		body := b.Rows.Column(b.Rows.Schema().FieldIndices("body")[0]).(*array.String)
		out := array.NewInt64Builder(memory.DefaultAllocator)
		for i := range body.Len() {
			if body.IsNull(i) {
				b.Fail(i, errors.New("there is no text"))
			}
			out.Append(int64(len(body.Value(i))))
		}
		schema := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.BinaryTypes.String}, {Name: "bytes", Type: arrow.PrimitiveTypes.Int64}}, nil)
		ids := b.Rows.Column(b.Rows.Schema().FieldIndices("id")[0])
		return array.NewRecordBatch(schema, []arrow.Array{ids, out.NewArray()}, int64(body.Len())), nil
	})
	ctx := context.Background()
	tables := store.NewMemory()
	write(ctx, tables, "a", "to be or not to be", "1")
	session, err := pipes.Open(ctx, &pipes.Options{Log: slog.DiscardHandler})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer session.Close()
	results, err := metaxy.Run(ctx, session, metaxy.Options{}, metaxy.Step{
		Graph: graph, Feature: "text/words", Process: lengths,
		Store: func(context.Context) (store.Store, error) { return tables, nil },
	})
	fmt.Println(results.Summary(), err)
	// Output: new=1 stale=0 orphaned=0 processed=1 failed=0 <nil>
}

// write stores a text. The version of its only field changes when the text does.
func write(ctx context.Context, tables store.Store, id, body, version string) {
	f, err := graph.Lookup("text")
	if err != nil {
		panic(err)
	}
	fields := []arrow.Field{{Name: "default", Type: arrow.BinaryTypes.String}}
	versions, err := array.NewStructArrayWithFields([]arrow.Array{oneString(version)}, fields)
	if err != nil {
		panic(err)
	}
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.BinaryTypes.String}, {Name: "body", Type: arrow.BinaryTypes.String},
		{Name: feature.ColProvenanceByField, Type: arrow.StructOf(fields...)},
	}, nil)
	rows, err := engine.Seal(f, array.NewRecordBatch(schema, []arrow.Array{oneString(id), oneString(body), versions}, 1), engine.Stamp{})
	if err != nil {
		panic(err)
	}
	var batches iter.Seq2[arrow.RecordBatch, error] = func(yield func(arrow.RecordBatch, error) bool) { yield(rows, nil) }
	if _, err := tables.Append(ctx, f.Key(), store.Write{Rows: batches}); err != nil {
		panic(err)
	}
}

func oneString(s string) arrow.Array {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	b.Append(s)
	return b.NewArray()
}
