package cli

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A description is what Dagster definitions are made of.
type description struct {
	Program        build                `json:"program"`
	Project        *string              `json:"project"`
	ProjectVersion *string              `json:"project_version"`
	Features       []featureDescription `json:"features"`
}

type featureDescription struct {
	Key            feature.Key        `json:"key"`
	Project        string             `json:"project"`
	Root           bool               `json:"root"`
	External       bool               `json:"external"`
	Deps           []depDescription   `json:"deps"`
	CodeVersion    string             `json:"code_version"`
	FeatureVersion string             `json:"feature_version"`
	Fields         []fieldDescription `json:"fields"`
	IDColumns      []string           `json:"id_columns"`
	Description    *string            `json:"description"`
	Metadata       map[string]any     `json:"metadata"`
	Columns        []columnText       `json:"columns"`
	ColumnLineage  []columnLineage    `json:"column_lineage"`
	Processor      *string            `json:"processor"`
	TableURI       *string            `json:"table_uri"`
	TableName      string             `json:"table_name"`
	Kinds          []string           `json:"kinds"`
}

type depDescription struct {
	Feature  feature.Key `json:"feature"`
	Optional bool        `json:"optional"`
	Lineage  string      `json:"lineage"`
}

type fieldDescription struct {
	Key         feature.Key `json:"key"`
	CodeVersion string      `json:"code_version"`
	Version     string      `json:"version"`
	Deps        []string    `json:"deps"`
}

func (a *app) describeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "describe [FEATURE…]",
		Short: "Print JSON for Dagster definitions",
		Long: "Prints what Dagster definitions need to know: features in topological order, dependencies, versions, columns,\n" +
			"column lineage, and which have a processor. Works without any table and without credentials.",
		Example: a.example("describe > features.json"),
		RunE: a.run(func(ctx context.Context, log *slog.Logger, args []string) error {
			return a.describe(ctx, log, args)
		}),
	}
}

func (a *app) describe(ctx context.Context, log *slog.Logger, args []string) error {
	e, err := a.openOffline(ctx, log)
	if err != nil {
		return err
	}
	features, err := e.features(args)
	if err != nil {
		return err
	}
	tables := a.tablesOf(ctx, e, features)
	out := description{Program: a.build(), Features: []featureDescription{}}
	if project, err := e.Graph.Project(); err == nil {
		version := e.Graph.ProjectVersion(project)
		out.ProjectVersion = &version
		if project != "" {
			out.Project = &project
		}
	}
	for _, f := range features {
		out.Features = append(out.Features, a.describeFeature(f, tables[f.Key()]))
	}
	return writeJSON(a.stdout, out)
}

// tablesOf opens the tables that there are. What cannot be reached is left out: describing must work without a store.
func (a *app) tablesOf(ctx context.Context, e *Env, features []*feature.Feature) map[feature.Key]store.Snapshot {
	tables := map[feature.Key]store.Snapshot{}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	st, _, err := a.openStore(ctx, e)
	if err != nil {
		e.Log.Debug("describe without tables", "error", err)
		return tables
	}
	for _, f := range features {
		snap, err := st.Snapshot(ctx, f.Key())
		if err == nil {
			tables[f.Key()] = snap
		} else if !errors.Is(err, store.ErrNoTable) {
			e.Log.Debug("describe without tables", "error", err)
			break
		}
	}
	if err := st.Close(); err != nil {
		e.Log.Debug("close store", "error", err)
	}
	return tables
}

func (a *app) describeFeature(f *feature.Feature, snap store.Snapshot) featureDescription {
	spec := f.Spec()
	d := featureDescription{
		Key: f.Key(), Project: f.Project(), Root: f.Root(), External: f.External(), Deps: []depDescription{},
		CodeVersion: f.CodeVersion(), FeatureVersion: f.Version(), Fields: []fieldDescription{}, IDColumns: spec.IDColumns,
		Metadata: spec.Metadata, Columns: columnsOf(f, snap), ColumnLineage: lineageOf(f, snap), TableName: f.Key().Table(),
		Kinds: []string{"metaxy"},
	}
	if d.Metadata == nil {
		d.Metadata = map[string]any{}
	}
	if spec.Description != "" {
		d.Description = &spec.Description
	} else if text := schemaDescription(f.Schema()); text != "" {
		d.Description = &text
	}
	if kind, ok := a.program.Processors[f.Key()]; ok {
		d.Processor = &kind
		d.Kinds = append(d.Kinds, "go")
	}
	if snap != nil {
		uri := snap.URI()
		d.TableURI = &uri
	}
	for _, p := range f.Parents() {
		d.Deps = append(d.Deps, depDescription{p.Feature.Key(), p.Dep.Optional, p.Dep.Lineage.Kind.String()})
	}
	for _, fd := range spec.Fields {
		d.Fields = append(d.Fields, fieldDescription{fd.Key, fd.CodeVersion, f.FieldVersion(fd.Key), inputs(f, fd.Key)})
	}
	return d
}

// schemaDescription is the description in a JSON schema.
func schemaDescription(schema json.RawMessage) string {
	var s struct {
		Description string `json:"description"`
	}
	if err := json.Unmarshal(schema, &s); err != nil {
		return ""
	}
	return s.Description
}
