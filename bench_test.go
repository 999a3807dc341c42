package metaxy

import (
	"context"
	"log/slog"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// BenchmarkRun is what a run costs beside the work: samples are resolved, handed out, collected and committed.
func BenchmarkRun(b *testing.B) {
	const samples = 100_000
	f, err := graph.Lookup("video")
	if err != nil {
		b.Fatal(err)
	}
	rows := make([]rootVideo, samples)
	for i := range rows {
		rows[i] = newRootVideo(i, "/videos/of/the/day", "1")
	}
	rec, err := toRecord(rows)
	if err != nil {
		b.Fatal(err)
	}
	if rec, err = engine.Seal(f, rec, engine.Stamp{Now: nextTime()}); err != nil {
		b.Fatal(err)
	}
	session, err := pipes.Open(b.Context(), &pipes.Options{Params: pipes.MapParams{}, Log: slog.DiscardHandler})
	if err != nil {
		b.Fatal(err)
	}
	for name, p := range map[string]Processor{
		"each": cropper(nil),
		"batch": ProcessorFunc(func(_ context.Context, b *Batch) (arrow.RecordBatch, error) {
			return withColumns(b.Rows, []string{"id", "path"}), nil
		}),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mem := store.NewMemory()
				if _, err := mem.Append(b.Context(), "video", store.Write{Rows: single(rec)}); err != nil {
					b.Fatal(err)
				}
				rs, err := Run(b.Context(), session, Options{}, Step{Graph: graph, Feature: "video/crop", Process: p,
					Store: func(context.Context) (store.Store, error) { return borrowed{mem}, nil }})
				if err != nil || rs[0].Processed != samples {
					b.Fatal(rs, err)
				}
			}
			b.ReportMetric(float64(samples*b.N)/b.Elapsed().Seconds(), "samples/s")
		})
	}
}
