package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

func (a *app) graphCommand() *cobra.Command {
	format := ""
	cmd := &cobra.Command{
		Use:   "graph",
		Short: "Show features, fields, dependencies and every version hash",
		Long: "Shows the features in topological order with their fields, what each field is computed from, and every\n" +
			"version. Hashes have the length that the store's rows have, if there is a store, else the configured one.",
		Example: a.example("graph --format json", "graph --format mermaid > graph.mmd"),
		Args:    noArguments,
		RunE: a.run(func(ctx context.Context, log *slog.Logger, _ []string) error {
			return a.graph(ctx, log, format)
		}),
	}
	cmd.Flags().StringVar(&format, "format", "", "text, json, mermaid or dot (default: text on a terminal, else json)")
	return cmd
}

func (a *app) graph(ctx context.Context, log *slog.Logger, format string) error {
	if format == "" {
		format = "json"
		if terminal(a.stdout) {
			format = "text"
		}
	}
	draw, ok := map[string]func(io.Writer, *feature.Graph) error{
		"text": graphText, "json": graphJSON, "mermaid": graphMermaid, "dot": graphDot,
	}[format]
	if !ok {
		return unknownFormat(format, []string{"text", "json", "mermaid", "dot"})
	}
	e, err := a.openOffline(ctx, log)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := draw(&out, e.Graph); err != nil {
		return err
	}
	_, err = out.WriteTo(a.stdout)
	return err
}

// patience is how long commands that work without a store wait for one.
const patience = 5 * time.Second

// openOffline makes an Env without a store, for commands that must work without one. The versions are those that the
// store's rows have, as far as that can be found out.
func (a *app) openOffline(ctx context.Context, log *slog.Logger) (*Env, error) {
	e, src, err := a.openGraph(log)
	if err != nil {
		return nil, err
	}
	if a.program.Store == nil || a.storeNamed() {
		sc, err := e.Config.Locate(a.global.store)
		if err != nil && (a.storeNamed() || len(src.local) == 0) {
			return nil, e.explainLocate(src, err)
		}
		h := e.Config.Hashing(sc)
		e.Hashing = h.Hashing
		if err != nil {
			return e, e.offline(src)
		}
		if h.LengthSet && e.Graph != nil {
			return e, e.retruncate()
		}
	}
	if err := a.askBriefly(ctx, e, src); err != nil {
		if _, decided := errors.AsType[*ExitError](err); decided || len(src.local) == 0 {
			return nil, err
		}
		log.Debug("the store was not asked", "error", err)
	}
	return e, e.offline(src)
}

// offline makes the graph of what needs no store, unless there is a graph.
func (e *Env) offline(src *source) error {
	if e.Graph == nil {
		var err error
		if e.Graph, err = src.graph(); err != nil {
			return err
		}
	}
	return e.retruncate()
}

// askBriefly asks the store, if it can be reached soon.
func (a *app) askBriefly(ctx context.Context, e *Env, src *source) (err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	st, h, err := a.openStore(ctx, e)
	if err != nil {
		return err
	}
	defer closing(st, &err)
	e.Hashing = h.Hashing
	return e.ask(ctx, st, h, src)
}

// graphJSON is the form that other programs read; the order of members is part of it.
func graphJSON(w io.Writer, g *feature.Graph) error {
	type field struct {
		Key         feature.Key `json:"key"`
		CodeVersion string      `json:"code_version"`
		Version     string      `json:"version"`
		Deps        []string    `json:"deps"`
	}
	type node struct {
		Key               feature.Key   `json:"key"`
		FeatureVersion    string        `json:"feature_version"`
		SpecVersion       string        `json:"feature_spec_version"`
		DefinitionVersion string        `json:"definition_version"`
		CodeVersion       string        `json:"code_version"`
		Fields            []field       `json:"fields"`
		Project           string        `json:"project"`
		External          bool          `json:"external"`
		IDColumns         []string      `json:"id_columns"`
		Deps              []feature.Key `json:"deps"`
		Table             string        `json:"table"`
	}
	out := struct {
		Project        *string `json:"project"`
		ProjectVersion *string `json:"project_version"`
		Features       []node  `json:"features"`
	}{Features: []node{}}
	if project, err := g.Project(); err == nil {
		version := g.ProjectVersion(project)
		out.ProjectVersion = &version
		if project != "" {
			out.Project = &project
		}
	}
	for f := range g.All() {
		n := node{
			Key: f.Key(), FeatureVersion: f.Version(), SpecVersion: f.SpecVersion(), DefinitionVersion: f.DefinitionVersion(),
			CodeVersion: f.CodeVersion(), Fields: []field{}, Project: f.Project(), External: f.External(),
			IDColumns: f.Spec().IDColumns, Deps: parents(f), Table: f.Key().Table(),
		}
		for _, fd := range f.Spec().Fields {
			n.Fields = append(n.Fields, field{fd.Key, fd.CodeVersion, f.FieldVersion(fd.Key), inputs(f, fd.Key)})
		}
		out.Features = append(out.Features, n)
	}
	return writeJSON(w, out)
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func parents(f *feature.Feature) []feature.Key {
	keys := []feature.Key{}
	for _, p := range f.Parents() {
		keys = append(keys, p.Feature.Key())
	}
	return keys
}

func inputs(f *feature.Feature, field feature.Key) []string {
	refs := []string{}
	for _, r := range f.Inputs(field) {
		refs = append(refs, r.String())
	}
	return refs
}

func graphText(w io.Writer, g *feature.Graph) error {
	var b strings.Builder
	if project, err := g.Project(); err == nil {
		fmt.Fprintf(&b, "project %s  version %s\n", orDash(project), g.ProjectVersion(project))
	}
	for f := range g.All() {
		fmt.Fprintf(&b, "\n%s  %s\n", f.Key(), f.Version())
		fmt.Fprintf(&b, "  id: %s\n", printable(strings.Join(f.Spec().IDColumns, ", ")))
		for _, p := range f.Parents() {
			fmt.Fprintf(&b, "  from: %s (%s%s)\n", p.Feature.Key(), p.Dep.Lineage.Kind, optional(p.Dep.Optional))
		}
		for _, fd := range f.Spec().Fields {
			fmt.Fprintf(&b, "  field %s  %s  code %s\n", fd.Key, f.FieldVersion(fd.Key), printable(fd.CodeVersion))
			for _, in := range inputs(f, fd.Key) {
				fmt.Fprintf(&b, "    <- %s\n", in)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func optional(yes bool) string {
	if yes {
		return ", optional"
	}
	return ""
}

// graphMermaid draws features as boxes. Keys have no characters that Mermaid or Graphviz would take for their own.
func graphMermaid(w io.Writer, g *feature.Graph) error {
	var b strings.Builder
	b.WriteString("flowchart TB\n")
	for f := range g.All() {
		var fields []string
		for _, fd := range f.Spec().Fields {
			fields = append(fields, string(fd.Key))
		}
		fmt.Fprintf(&b, "  %s[\"<b>%s</b><br/>%s\"]\n", node(f.Key()), f.Key(), strings.Join(fields, ", "))
	}
	for f := range g.All() {
		for _, p := range f.Parents() {
			fmt.Fprintf(&b, "  %s %s %s\n", node(p.Feature.Key()), arrowOf(p.Dep, "-->", "-.->"), node(f.Key()))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// node is a key as a name that cannot be one of the language's words.
func node(k feature.Key) string {
	return "f_" + strings.NewReplacer("/", "__", "-", "_h_").Replace(string(k))
}

func arrowOf(d feature.Dep, solid, dashed string) string {
	if d.Optional {
		return dashed
	}
	return solid
}

func graphDot(w io.Writer, g *feature.Graph) error {
	var b strings.Builder
	b.WriteString("digraph features {\n  rankdir=TB;\n  node [shape=box];\n")
	for f := range g.All() {
		label := string(f.Key())
		for _, fd := range f.Spec().Fields {
			label += `\n` + string(fd.Key)
		}
		fmt.Fprintf(&b, "  \"%s\" [label=\"%s\"];\n", f.Key(), label)
	}
	for f := range g.All() {
		for _, p := range f.Parents() {
			fmt.Fprintf(&b, "  \"%s\" -> \"%s\"%s;\n", p.Feature.Key(), f.Key(), arrowOf(p.Dep, "", " [style=dashed]"))
		}
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}
