// Minimal computes the length of the texts of a root feature: the smallest program with a processor of its own.
//
//	go run ./examples/minimal ingest text --from texts.jsonl --store ./data
//	go run ./examples/minimal run --store ./data
package main

import (
	"context"

	metaxy "github.com/metaxy-pipes/metaxy-pipes"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

var graph = feature.MustGraph(
	feature.Spec{Key: "text", IDColumns: []string{"id"}},
	feature.Spec{Key: "text/length", IDColumns: []string{"id"}, Deps: []feature.Dep{{Feature: "text"}}},
)

type text struct {
	Body string `arrow:"body"`
}

type length struct {
	Bytes int64 `arrow:"bytes"`
}

func measure(_ context.Context, t text) (length, error) { return length{int64(len(t.Body))}, nil }

var step = metaxy.Step{Graph: graph, Feature: "text/length", Process: metaxy.Each(measure)}

func main() { metaxy.Main(step) }
