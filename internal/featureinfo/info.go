// Package featureinfo says of a feature what Metaxy attaches to assets and events under metaxy/info.
package featureinfo

import (
	"encoding/json"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/systemtable"
)

// Info is the value of metaxy/info, as Metaxy's build_feature_info_metadata makes it.
type Info struct {
	Feature Feature `json:"feature"`
	Metaxy  Library `json:"metaxy"`
}

// A Feature identifies a feature and its version.
type Feature struct {
	Project string          `json:"project"`
	Spec    json.RawMessage `json:"spec"`
	Version string          `json:"version"`
	// Type is the Python class, or a name in its place for features that have none.
	Type string `json:"type"`
}

// A Library says whose rules the versions follow.
type Library struct {
	Version string   `json:"version"`
	Plugins []string `json:"plugins"`
}

// Of describes a feature.
func Of(f *feature.Feature) (Info, error) {
	spec, err := f.Spec().MarshalJSON()
	if err != nil {
		return Info{}, err
	}
	return Info{
		Feature: Feature{Project: f.Project(), Spec: spec, Version: f.Version(), Type: systemtable.ClassPath(f)},
		Metaxy:  Library{Version: systemtable.MetaxyVersion, Plugins: []string{}},
	}, nil
}
