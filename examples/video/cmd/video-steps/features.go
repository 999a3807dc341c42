package main

import (
	"fmt"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

const (
	full       feature.Key = "video/full"
	crop       feature.Key = "video/crop"
	faceCrop   feature.Key = "video/face_crop"
	loudness   feature.Key = "audio/loudness"
	transcript feature.Key = "transcript"
)

var id = []string{"id"}

// features is the graph. Only the frames of video/crop carry the crop's size in their code version, so that another
// size reaches what is computed from frames, and nothing else.
func features(cropSize int) *feature.Graph {
	return feature.MustGraph(
		feature.Spec{
			Key: full, IDColumns: id,
			Fields:      []feature.Field{{Key: "audio"}, {Key: "frames"}},
			Description: "The videos as they came in, with a version for the sound and one for the frames.",
		},
		feature.Spec{
			Key: crop, IDColumns: id, Deps: []feature.Dep{{Feature: full}},
			Fields: []feature.Field{
				{Key: "audio", CodeVersion: "copy"},
				{Key: "frames", CodeVersion: fmt.Sprintf("square-%d", cropSize)},
			},
			Description: "The middle of each frame, scaled; the sound is copied.",
		},
		feature.Spec{
			Key: faceCrop, IDColumns: id, Deps: []feature.Dep{{Feature: crop}},
			Fields:      []feature.Field{{Key: "frames", CodeVersion: "skin-1"}},
			Description: "The largest skin-coloured region of the frames, as a picture.",
		},
		audioOnly(loudness, "loudness", "ebur128-1", "Loudness of the sound by EBU R 128."),
		audioOnly(transcript, "text", "pocketsphinx-1", "What is said, by speech recognition."),
	)
}

// audioOnly declares a feature with one field that is computed from the sound of crops.
func audioOnly(key, field feature.Key, code, description string) feature.Spec {
	return feature.Spec{
		Key: key, IDColumns: id, Deps: []feature.Dep{{Feature: crop}},
		Fields: []feature.Field{{
			Key: field, CodeVersion: code,
			Deps: feature.FieldDeps{On: []feature.FieldDep{{Feature: crop, Fields: []feature.Key{"audio"}}}},
		}},
		Description: description,
	}
}
