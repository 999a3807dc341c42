// Command resolvejson resolves what it is asked for on standard input, so that tests in other languages can compare
// this engine with others: one JSON object a line, and one line of answer for each.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

// A request names a store and a feature, and how to resolve it.
type request struct {
	Store          string
	Algorithm      engine.Hash
	Truncation     int
	Specs          []feature.Spec
	Feature        feature.Key
	Columns        map[string][]string // by status; a column that the samples lack is left out
	Filters        map[feature.Key][]string
	GlobalFilters  []string
	TargetFilters  []string
	StaleIf        []string
	SkipComparison bool
}

// An answer holds the rows of each status, or an error.
type answer struct {
	Rows         map[string][]json.RawMessage `json:"rows,omitempty"`
	Unresolvable int64                        `json:"unresolvable"`
	Error        string                       `json:"error,omitempty"`
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "resolvejson:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	out := json.NewEncoder(os.Stdout)
	for in.More() {
		var r request
		if err := in.Decode(&r); err != nil {
			return fmt.Errorf("read request: %w", err)
		}
		a, err := resolve(ctx, r)
		if err != nil {
			a = answer{Error: err.Error()}
		}
		if err := out.Encode(a); err != nil {
			return fmt.Errorf("write answer: %w", err)
		}
	}
	return nil
}

func resolve(ctx context.Context, r request) (answer, error) {
	var defs []feature.Definition
	for _, s := range r.Specs {
		defs = append(defs, feature.Definition{Spec: s, Project: "proj"})
	}
	g, err := feature.NewGraph(defs, feature.Options{Project: "proj", TruncationLength: r.Truncation})
	if err != nil {
		return answer{}, err
	}
	f, err := g.Lookup(r.Feature)
	if err != nil {
		return answer{}, err
	}
	s, err := s3parquet.Open(ctx, r.Store, s3parquet.Options{})
	if err != nil {
		return answer{}, err
	}
	defer s.Close()
	inc, err := engine.Resolve(ctx, s, f, engine.Options{
		Hashing: engine.Hashing{Algorithm: r.Algorithm, TruncationLength: r.Truncation},
		Filters: r.Filters, GlobalFilters: r.GlobalFilters, TargetFilters: r.TargetFilters, StaleIf: r.StaleIf,
		SkipComparison: r.SkipComparison,
	})
	if err != nil {
		return answer{}, err
	}
	a := answer{Rows: map[string][]json.RawMessage{}, Unresolvable: inc.Unresolvable()}
	for _, status := range []engine.Status{engine.New, engine.Stale, engine.Orphaned} {
		if a.Rows[status.String()], err = rows(ctx, inc, status, r.Columns[status.String()]); err != nil {
			return answer{}, err
		}
	}
	return a, nil
}

func rows(ctx context.Context, inc *engine.Increment, s engine.Status, wanted []string) ([]json.RawMessage, error) {
	columns := []string{}
	for _, c := range wanted {
		if inc.Schema(s).HasField(c) {
			columns = append(columns, c)
		}
	}
	out := []json.RawMessage{}
	for rec, err := range inc.Batches(ctx, s, columns, 0) {
		if err != nil {
			return nil, err
		}
		text, err := rec.MarshalJSON()
		if err != nil {
			return nil, err
		}
		var part []json.RawMessage
		if err := json.Unmarshal(text, &part); err != nil {
			return nil, err
		}
		out = append(out, part...)
	}
	return out, nil
}
