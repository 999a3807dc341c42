package cli

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"

	"github.com/spf13/cobra"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/featureinfo"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A description is what Dagster definitions are made of.
type description struct {
	Program        *build               `json:"program,omitempty"`
	Store          *storeDescription    `json:"store,omitempty"`
	Project        *string              `json:"project"`
	ProjectVersion *string              `json:"project_version"`
	Features       []featureDescription `json:"features"`
}

// A storeDescription is the store that the tables are in.
type storeDescription struct {
	StoreInfo
	// Kind is the Dagster kind of its tables.
	Kind string `json:"kind"`
}

// deltaKind is the Dagster kind of every table, wherever it lies.
const deltaKind = "delta"

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
	ColumnsFrom    string             `json:"columns_from"`
	ColumnLineage  []columnLineage    `json:"column_lineage"`
	Processor      *string            `json:"processor"`
	TableURI       *string            `json:"table_uri"`
	TableName      string             `json:"table_name"`
	Kinds          []string           `json:"kinds"`
	Info           featureinfo.Info   `json:"info"`
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

// describeInput is what the user typed.
type describeInput struct {
	portable bool
	check    string
}

func (a *app) describeCommand() *cobra.Command {
	var in describeInput
	cmd := &cobra.Command{
		Use:   "describe [FEATURE…]",
		Short: "Print JSON for Dagster definitions",
		Long: "Prints what Dagster definitions need to know: features in topological order, dependencies, versions, columns,\n" +
			"column lineage, and which have a processor. Works without any table and without credentials.\n" +
			"With --portable, only what is the same wherever the program runs, for a file to check in. With --check, says\n" +
			"what in such a FILE is out of date; exit status 1 if anything is.",
		Example: a.example("describe --portable > features.json", "describe --check features.json"),
		RunE: a.run(func(ctx context.Context, log *slog.Logger, args []string) error {
			return a.describe(ctx, log, args, in)
		}),
	}
	cmd.Flags().BoolVar(&in.portable, "portable", false, "leave out what depends on the build, the store and its tables")
	cmd.Flags().StringVar(&in.check, "check", "", "compare with `FILE` instead, and print the differences")
	return cmd
}

func (a *app) describe(ctx context.Context, log *slog.Logger, args []string, in describeInput) error {
	e, err := a.openOffline(ctx, log)
	if err != nil {
		return err
	}
	features, err := e.features(args)
	if err != nil {
		return err
	}
	if in.check != "" {
		return a.checkDescription(ctx, e, features, in.check)
	}
	out, err := a.descriptionOf(ctx, e, features, in.portable)
	if err != nil {
		return err
	}
	return writeJSON(a.stdout, out)
}

// descriptionOf describes features, in a portable description without what depends on the place.
func (a *app) descriptionOf(ctx context.Context, e *Env, features []*feature.Feature, portable bool) (*description, error) {
	out := &description{Features: []featureDescription{}}
	var tables map[feature.Key]store.Snapshot
	if !portable {
		program := a.build()
		out.Program = &program
		var info StoreInfo
		if tables, info = a.tablesOf(ctx, e, withParents(features)); info != (StoreInfo{}) {
			out.Store = &storeDescription{info, deltaKind}
		}
	}
	if project, err := e.Graph.Project(); err == nil {
		version := e.Graph.ProjectVersion(project)
		out.ProjectVersion = &version
		if project != "" {
			out.Project = &project
		}
	}
	for _, f := range features {
		d, err := a.describeFeature(f, tables)
		if err != nil {
			return nil, err
		}
		out.Features = append(out.Features, d)
	}
	return out, nil
}

// withParents adds the parents, whose columns lineage is about.
func withParents(features []*feature.Feature) []*feature.Feature {
	all := slices.Clone(features)
	for _, f := range features {
		for _, p := range f.Parents() {
			if !slices.Contains(all, p.Feature) {
				all = append(all, p.Feature)
			}
		}
	}
	return all
}

// tablesOf opens the tables that there are. What cannot be reached is left out: describing must work without a store.
func (a *app) tablesOf(
	ctx context.Context, e *Env, features []*feature.Feature,
) (map[feature.Key]store.Snapshot, StoreInfo) {
	tables := map[feature.Key]store.Snapshot{}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	st, _, err := a.openStore(ctx, e)
	if err != nil {
		e.Log.Debug("describe without tables", "error", err)
		return tables, a.storeInfo(e.Config, nil)
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
	return tables, a.storeInfo(e.Config, st)
}

func (a *app) describeFeature(f *feature.Feature, tables map[feature.Key]store.Snapshot) (featureDescription, error) {
	spec, snap := f.Spec(), tables[f.Key()]
	info, err := featureinfo.Of(f)
	if err != nil {
		return featureDescription{}, err
	}
	columns, from := columnsOf(f, snap)
	d := featureDescription{
		Key: f.Key(), Project: f.Project(), Root: f.Root(), External: f.External(), Deps: []depDescription{},
		CodeVersion: f.CodeVersion(), FeatureVersion: f.Version(), Fields: []fieldDescription{}, IDColumns: spec.IDColumns,
		Metadata: spec.Metadata, Columns: columns, ColumnsFrom: from, ColumnLineage: lineageOf(f, tables),
		TableName: f.Key().Table(), Kinds: []string{"metaxy"}, Info: info,
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
	return d, nil
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
