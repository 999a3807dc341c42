package systemtable_test

import (
	"context"
	"fmt"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/systemtable"
)

// A graph is recorded in a store, and made again of what the store holds.
func Example() {
	ctx, st := context.Background(), store.NewMemory()
	graph, err := feature.NewGraph([]feature.Definition{
		{Spec: feature.Spec{Key: "video", IDColumns: []string{"id"}}},
		{Spec: feature.Spec{Key: "video/crop", IDColumns: []string{"id"}, Deps: []feature.Dep{{Feature: "video"}}}},
	}, feature.Options{Project: "films", TruncationLength: 8})
	if err != nil {
		panic(err)
	}
	for range 2 {
		result, err := systemtable.Push(ctx, st, graph, systemtable.PushOptions{})
		if err != nil {
			panic(err)
		}
		fmt.Println(result.ProjectVersion, "recorded", result.Recorded)
	}

	table, err := systemtable.Read(ctx, st)
	if err != nil {
		panic(err)
	}
	latest, err := table.Find("films", "latest")
	if err != nil {
		panic(err)
	}
	defs, err := table.Definitions(latest)
	if err != nil {
		panic(err)
	}
	again, err := feature.NewGraph(defs, feature.Options{Project: "films", TruncationLength: 8})
	if err != nil {
		panic(err)
	}
	fmt.Println(again.ProjectVersion("films") == latest.Version)
	// Output:
	// b5df9600 recorded 2
	// b5df9600 recorded 0
	// true
}
