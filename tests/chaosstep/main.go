// Command chaosstep is a program with compiled-in steps that misbehave on purpose. The chaos stories run it beside the
// external processor of tests/chaos/processor.py, which follows the same plan.
//
// CHAOS_PLAN holds the plan as JSON; see plan. Each sample that is really computed is noted in the file CHAOS_LOG, synced,
// before it is answered; each fault in CHAOS_LOG.faults.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	metaxy "github.com/metaxy-pipes/metaxy-pipes"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

var graph = feature.MustGraph(
	feature.Spec{Key: "src", IDColumns: []string{"id"}},
	feature.Spec{Key: "out", IDColumns: []string{"id"}, Deps: []feature.Dep{{Feature: "src"}}},
	feature.Spec{Key: "part", IDColumns: []string{"id", "n"}, Deps: []feature.Dep{{Feature: "src",
		Lineage: feature.Lineage{Kind: feature.OneToMany, On: []string{"id"}}}}},
)

// A plan says how the processor behaves.
type plan struct {
	Seed  uint64 `json:"seed"`
	Pause int    `json:"pause"` // of each sample, in microseconds
	// Faults are how many of a thousand samples are answered so, by name. What is left is answered well.
	Faults []struct {
		Name string `json:"name"`
		Rate uint32 `json:"rate"`
	} `json:"faults"`
}

// fault is how a sample is answered; the same in each attempt of this life of the plan.
func (p plan) fault(id string) string {
	h := fnv.New32a()
	fmt.Fprintf(h, "%d/%s", p.Seed, id)
	at := h.Sum32() % 1000
	for _, f := range p.Faults {
		if at < f.Rate {
			return f.Name
		}
		at -= f.Rate
	}
	return ""
}

type source struct {
	ID   string `arrow:"id"`
	Body string `arrow:"body"`
}

// parts is how many rows a sample expands to: 1 to 4, by its body.
func parts(s source) int {
	h := fnv.New32a()
	h.Write([]byte(s.ID + "/" + s.Body))
	return 1 + int(h.Sum32()%4)
}

type worker struct {
	plan   plan
	log    *os.File // of what was computed
	faults *os.File // of what was done wrong
}

// note says that a sample was computed, and survives this process.
func (w worker) note(s source) error {
	line, err := json.Marshal([]string{s.ID, s.Body})
	if err != nil {
		return err
	}
	if _, err := w.log.Write(append(line, '\n')); err != nil {
		return err
	}
	return w.log.Sync()
}

// misbehave acts out the fault of a sample. wrong says that the answer is to be spoilt.
func (w worker) misbehave(s source) (wrong string, err error) {
	time.Sleep(time.Duration(w.plan.Pause) * time.Microsecond)
	fault := w.plan.fault(s.ID)
	if fault != "" {
		if _, err := fmt.Fprintln(w.faults, fault); err != nil {
			return "", err
		}
	}
	switch fault {
	case "":
		return "", w.note(s)
	case "error":
		return "", errors.New("chaos: this sample fails")
	case "crash":
		panic("chaos: before the work")
	case "crash after":
		if err := w.note(s); err != nil {
			return "", err
		}
		panic("chaos: after the work")
	case "exit":
		os.Exit(0) // the whole program, in the middle of everything
	case "hang":
		time.Sleep(time.Hour)
	default: // twice, foreign, nothing
		return fault, w.note(s)
	}
	panic("unreachable")
}

// process answers a batch of the feature out.
func (w worker) process(_ context.Context, b *metaxy.Batch) (arrow.RecordBatch, error) {
	ids := array.NewStringBuilder(memory.DefaultAllocator)
	made := array.NewStringBuilder(memory.DefaultAllocator)
	add := func(id, text string) { ids.Append(id); made.Append(text) }
	in := func(name string, i int) string {
		return b.Rows.Column(b.Rows.Schema().FieldIndices(name)[0]).(array.StringLike).Value(i)
	}
	for i := range int(b.Rows.NumRows()) {
		s := source{in("id", i), in("body", i)}
		wrong, err := w.misbehave(s)
		if err != nil {
			b.Fail(i, err)
			continue
		}
		switch wrong {
		case "nothing":
		case "foreign":
			add("nobody", "WRONG")
		case "twice":
			add(s.ID, "WRONG")
			fallthrough
		default:
			add(s.ID, s.ID+":"+s.Body)
		}
	}
	schema := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.BinaryTypes.String}, {Name: "made", Type: arrow.BinaryTypes.String}}, nil)
	columns := []arrow.Array{ids.NewArray(), made.NewArray()}
	return array.NewRecordBatch(schema, columns, int64(columns[0].Len())), nil
}

type part struct {
	N    int64  `arrow:"n"`
	Made string `arrow:"made"`
}

// expand answers a sample of the feature part.
func (w worker) expand(_ context.Context, s source) ([]part, error) {
	wrong, err := w.misbehave(s)
	if err != nil {
		return nil, err
	}
	var out []part
	for n := range parts(s) {
		out = append(out, part{int64(n), s.ID + ":" + s.Body})
	}
	if wrong != "" {
		out = append(out, part{0, "WRONG"}, part{0, "WRONG"})
	}
	return out, nil
}

func open(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
}

func main() {
	w := worker{}
	var err error
	if text := os.Getenv("CHAOS_PLAN"); text != "" {
		err = json.Unmarshal([]byte(text), &w.plan)
	}
	if name := os.Getenv("CHAOS_LOG"); name != "" && err == nil {
		w.log, err = open(name)
		if err == nil {
			w.faults, err = open(name + ".faults")
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(4)
	}
	metaxy.Main(
		metaxy.Step{Graph: graph, Feature: "out", Process: metaxy.ProcessorFunc(w.process)},
		metaxy.Step{Graph: graph, Feature: "part", Process: metaxy.Expand(w.expand)},
	)
}
