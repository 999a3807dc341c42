// Command differential is this project's half of a differential test with real Metaxy: it does with a store what it is
// asked for on standard input, one JSON object a line, and answers each with one line. Tables go in and out as Arrow IPC
// streams, so that types are compared too.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

// A request is one operation on a feature of a graph in a store.
type request struct {
	Op         string // graph, resolve, read, write, delete, compute or match
	Specs      []json.RawMessage
	Store      string
	Fallback   string // a store that is read where Store has no table; "" for none
	Algorithm  engine.Hash
	Truncation int
	Feature    feature.Key

	// resolve
	Samples        []byte // an IPC stream; nil takes the samples from the parents
	Filters        map[feature.Key][]string
	GlobalFilters  []string
	TargetFilters  []string
	StaleIf        []string
	SkipComparison bool
	// read and delete
	Where              []string
	Columns            []string
	WithFeatureHistory bool
	WithSampleHistory  bool
	IncludeSoftDeleted bool
	FeatureVersion     string
	Hard               bool
	// write, compute and match
	Rows              []byte
	MaterializationID string
}

// An answer holds what the operation returned, or its error.
type answer struct {
	Frames       map[string][]byte `json:"frames,omitempty"`
	Unresolvable int64             `json:"unresolvable,omitempty"`
	Graph        *graphVersions    `json:"graph,omitempty"`
	Error        string            `json:"error,omitempty"`
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "differential:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	out := json.NewEncoder(os.Stdout)
	for in.More() {
		var r request
		a := answer{}
		err := in.Decode(&r)
		if err != nil {
			return fmt.Errorf("read request: %w", err)
		}
		if err := r.do(ctx, &a); err != nil {
			a = answer{Error: err.Error()}
		}
		if err := out.Encode(a); err != nil {
			return fmt.Errorf("write answer: %w", err)
		}
	}
	return nil
}

func (r *request) do(ctx context.Context, a *answer) error {
	if r.Op == "match" {
		return r.match(a)
	}
	g, err := r.graph()
	if err != nil {
		return err
	}
	if r.Op == "graph" {
		a.Graph = versionsOf(g)
		return nil
	}
	f, err := g.Lookup(r.Feature)
	if err != nil {
		return err
	}
	s, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	switch r.Op {
	case "resolve":
		return r.resolve(ctx, s, f, a)
	case "read":
		return r.read(ctx, s, f, a)
	case "write":
		return r.write(ctx, s, g, f)
	case "delete":
		return r.delete(ctx, s, g, f)
	case "compute":
		return r.compute(f, a)
	}
	return fmt.Errorf("unknown operation %q", r.Op)
}

func (r *request) open(ctx context.Context) (store.Store, error) {
	s, err := s3parquet.Open(ctx, r.Store, s3parquet.Options{})
	if err != nil || r.Fallback == "" {
		return s, err
	}
	other, err := s3parquet.Open(ctx, r.Fallback, s3parquet.Options{}) // of a folder there is nothing to close
	if err != nil {
		return nil, err
	}
	return store.WithFallback(s, other), nil
}

func (r *request) hashing() engine.Hashing {
	return engine.Hashing{Algorithm: r.Algorithm, TruncationLength: r.Truncation}
}
