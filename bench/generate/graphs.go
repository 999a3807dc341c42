package main

import (
	"log"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/feature/featurefile"
)

// features are the graphs of graphs.py: simple and wide.
var features = map[string]string{
	"simple": `{"features": [
 {"key": "simple/root", "id_columns": ["sample_uid"], "fields": ["audio", "frames"]},
 {"key": "simple/leaf", "id_columns": ["sample_uid"], "deps": ["simple/root"], "fields": ["text"]}
]}
`,
	"wide": `{"features": [
 {"key": "wide/left", "id_columns": ["sample_uid"], "fields": ["a", "b", "c", "d"]},
 {"key": "wide/right", "id_columns": ["sample_uid"], "fields": ["e", "f", "g", "h"]},
 {"key": "wide/leaf", "id_columns": ["sample_uid"], "deps": ["wide/left", "wide/right"], "fields": ["x", "y"]}
]}
`,
}

// graph returns a graph with the keys of its roots and of its leaf.
func graph(name string) (g *feature.Graph, roots []feature.Key, leaf feature.Key) {
	text, ok := features[name]
	if !ok {
		log.Fatalf("there is no graph %q", name)
	}
	defs, err := featurefile.Parse(name+".json", []byte(text))
	if err == nil {
		g, err = feature.NewGraph(defs, feature.Options{TruncationLength: 8})
	}
	if err != nil {
		log.Fatal(err)
	}
	if name == "simple" {
		return g, []feature.Key{"simple/root"}, "simple/leaf"
	}
	return g, []feature.Key{"wide/left", "wide/right"}, "wide/leaf"
}
