// Package featurefile reads feature definitions from YAML and JSON files.
//
// A file is an object with the one member "features", a list of specs in the shape of Metaxy's FeatureSpec (see
// [feature.Spec]), each with an optional "schema":
//
//	features:
//	  - key: video/raw
//	    id_columns: [video_id]
//	    fields: [audio, frames]
//	  - key: video/crop
//	    id_columns: [video_id]
//	    deps: [video/raw]
//	    schema: {type: object}
//
// Reading is strict: a member that means nothing, a value of another type, a member that stands twice are errors that
// name the file, the line and the feature. What a feature means to others, such as whether its parents exist, is for
// [feature.NewGraph].
package featurefile
