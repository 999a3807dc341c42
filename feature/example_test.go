package feature_test

import (
	"fmt"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// A new code version of the pictures reaches the crops, which are made from them, but not the transcripts.
func Example() {
	graph := func(framesCode string) *feature.Graph {
		return feature.MustGraph(
			feature.Spec{
				Key:       "video/raw",
				IDColumns: []string{"video_id"},
				Fields:    []feature.Field{{Key: "audio"}, {Key: "frames", CodeVersion: framesCode}},
			},
			feature.Spec{
				Key:       "video/crop",
				IDColumns: []string{"video_id"},
				Deps:      []feature.Dep{{Feature: "video/raw"}},
				Fields:    []feature.Field{{Key: "frames"}},
			},
			feature.Spec{
				Key:       "transcript",
				IDColumns: []string{"video_id"},
				Deps:      []feature.Dep{{Feature: "video/raw"}},
				Fields: []feature.Field{{
					Key:  "text",
					Deps: feature.FieldDeps{On: []feature.FieldDep{{Feature: "video/raw", Fields: []feature.Key{"audio"}}}},
				}},
			},
		)
	}
	before, after := graph("1"), graph("2")
	for f := range after.All() {
		old, err := before.Lookup(f.Key())
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, field := range f.Spec().Fields {
			changed := old.FieldVersion(field.Key) != f.FieldVersion(field.Key)
			fmt.Printf("%s.%s from %v: changed %t\n", f.Key(), field.Key, f.Inputs(field.Key), changed)
		}
	}
	// Output:
	// video/raw.audio from []: changed false
	// video/raw.frames from []: changed true
	// transcript.text from [video/raw.audio]: changed false
	// video/crop.frames from [video/raw.frames]: changed true
}
