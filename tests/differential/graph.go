package main

import (
	"encoding/json"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

const project = "proj"

// graphVersions is every version hash of a graph.
type graphVersions struct {
	ProjectVersion string            `json:"project_version"`
	Order          []feature.Key     `json:"order"`
	Features       map[string]hashes `json:"features"`
}

type hashes struct {
	Feature    string              `json:"feature_version"`
	Spec       string              `json:"feature_spec_version"`
	Definition string              `json:"definition_version"`
	Code       string              `json:"code_version"`
	Fields     map[string]string   `json:"fields"`
	Parents    map[string][]string `json:"parents"`
}

func (r *request) graph() (*feature.Graph, error) {
	var defs []feature.Definition
	for _, text := range r.Specs {
		var s feature.Spec
		if err := json.Unmarshal(text, &s); err != nil {
			return nil, err
		}
		defs = append(defs, feature.Definition{Spec: s, Project: project})
	}
	return feature.NewGraph(defs, feature.Options{Project: project, TruncationLength: r.Truncation})
}

func versionsOf(g *feature.Graph) *graphVersions {
	out := &graphVersions{ProjectVersion: g.ProjectVersion(project), Features: map[string]hashes{}}
	for f := range g.All() {
		h := hashes{
			Feature: f.Version(), Spec: f.SpecVersion(), Definition: f.DefinitionVersion(), Code: f.CodeVersion(),
			Fields: map[string]string{}, Parents: map[string][]string{},
		}
		for _, field := range f.Spec().Fields {
			h.Fields[string(field.Key)] = f.FieldVersion(field.Key)
			h.Parents[string(field.Key)] = []string{}
			for _, ref := range f.Inputs(field.Key) {
				h.Parents[string(field.Key)] = append(h.Parents[string(field.Key)], ref.String())
			}
		}
		out.Order = append(out.Order, f.Key())
		out.Features[string(f.Key())] = h
	}
	return out
}
