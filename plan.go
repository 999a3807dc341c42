package metaxy

import (
	"encoding/json"
	"log/slog"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

// extras is what the Dagster definitions of this project pass along. All of it is optional.
type extras struct {
	// Features are the escaped asset keys by feature; without an entry, the key's parts are the feature's.
	Features map[feature.Key]string `json:"features"`
	// PartitionBy is the column that holds the partition key, or an object from dimension to column.
	PartitionBy json.RawMessage `json:"partition_by"`
	// Partitions are the keys of a run over several partitions, of which Dagster tells only the first and the last.
	Partitions []string `json:"partitions"`
	// Checks are the names of the asset checks that the assets declare, by feature; "" means checkName.
	Checks map[feature.Key]string `json:"checks"`
	// ReportFollows says that this is one of several shards, after which a run that only reports tells what the table holds.
	ReportFollows bool `json:"report_follows"`
}

// checkName is the asset check that fails when samples have failed.
const checkName = "samples_processed"

// plan decides what each step is to do, without reading any table: which feature for which asset, under which partition,
// parents before children.
func plan(s *pipes.Session, o Options, steps []Step) ([]*job, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	var x extras
	if _, err := s.Extra("metaxy_pipes", &x); err != nil {
		return nil, setupf("read the extra %q: %w", "metaxy_pipes", err)
	}
	id := s.Data().RunID
	if id == "" {
		id = uuid.NewString()
	}
	var jobs []*job
	for _, step := range steps {
		j, err := newJob(s, x, o, step, len(steps) == 1)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(jobs, func(other *job) bool { return other.f.Key() == j.f.Key() }) {
			return nil, setupf("feature %s has two steps", j.f.Key())
		}
		j.materialization = id
		jobs = append(jobs, j)
	}
	return inOrder(jobs), nil
}

// newJob looks at one step. A step that is alone belongs to an asset that is alone, whatever their names.
func newJob(s *pipes.Session, x extras, o Options, step Step, alone bool) (*job, error) {
	if step.Graph == nil || step.Store == nil {
		return nil, setupf("a step needs a Graph and a Store")
	}
	key, err := step.key(s, x)
	if err != nil {
		return nil, err
	}
	f, err := step.Graph.Lookup(key)
	if err != nil {
		return nil, &SetupError{err}
	}
	j := &job{f: f, step: step, o: o.withDefaults(), hashing: step.Hashing, rel: relationOf(f), session: s, log: s.Logger(),
		projectVersion: projectVersion(step.Graph, f), scattered: map[engine.Status]bool{}, recorded: -1,
		reportFollows: x.ReportFollows}
	if o.Terminal != nil && !s.Attached() {
		j.line = &statusLine{w: o.Terminal}
		j.log = slog.New(aboveLine{j.log.Handler(), j.line})
	}
	if step.Process == nil && !o.DryRun && !o.ReportOnly {
		return nil, setupf("feature %s has no processor: compile one in, or name a command after --", key)
	}
	if j.o.BatchSize <= 0 && step.BatchSize <= 0 {
		j.fullBatch = batchBytes
		if p, ok := step.Process.(pacedAnswerer); ok {
			j.pace.time, j.pace.limit = p.paced(o.SampleTimeout)
			if j.o.FlushRows > 0 {
				j.pace.limit = int(min(int64(j.pace.limit), j.o.FlushRows))
			}
		}
	}
	if j.o.BatchSize <= 0 {
		j.o.BatchSize = step.batchSize()
	}
	if f.Root() && step.Samples == nil {
		return nil, setupf("feature %s has no parents to take samples from; feed it with metaxy-pipes ingest, or give its step Samples", key)
	}
	if j.asset, err = assetOf(s.Data(), x, key, alone); err != nil {
		return nil, err
	}
	if name, ok := x.Checks[key]; ok && j.asset != "" {
		if j.check = name; name == "" {
			j.check = checkName
		}
	}
	if err := checkCodeVersion(s.Data().CodeVersions[j.asset], f); err != nil {
		return nil, err
	}
	j.part, err = partitionOf(f, o.Partition, s.Data(), x.PartitionBy, x.Partitions)
	return j, err
}

// key is the feature that a step computes.
func (s Step) key(session *pipes.Session, x extras) (feature.Key, error) {
	if s.Feature != "" {
		return s.Feature, nil
	}
	if assets := session.Data().AssetKeys; len(assets) == 1 {
		return featureOf(x, assets[0]), nil
	}
	return s.onlyChild()
}

// onlyChild is the feature of the step's graph that is computed from others.
func (s Step) onlyChild() (feature.Key, error) {
	var children []feature.Key
	for f := range s.Graph.All() {
		if !f.Root() {
			children = append(children, f.Key())
		}
	}
	if len(children) != 1 {
		return "", setupf("a step names no feature, and its graph has several: %q", children)
	}
	return children[0], nil
}

// batchBytes is about how many bytes of rows a batch has at most if nobody says how many samples it has.
const batchBytes = 16 << 20

// batchSize is how many samples a batch has at most, unless the options say so.
func (s Step) batchSize() int {
	switch {
	case s.BatchSize > 0:
		return s.BatchSize
	case one(s.Process):
		return 1
	}
	return 256
}

// featureOf returns the feature that an asset stands for.
func featureOf(x extras, asset string) feature.Key {
	for key, a := range x.Features {
		if a == asset {
			return key
		}
	}
	return feature.Key(strings.Join(pipes.ParseAssetKey(asset), "/"))
}

// assetOf returns the asset that stands for a feature, "" if none of the session's does.
func assetOf(data *pipes.ContextData, x extras, key feature.Key, alone bool) (string, error) {
	for _, asset := range data.AssetKeys {
		if featureOf(x, asset) == key {
			return asset, nil
		}
	}
	if alone && len(data.AssetKeys) == 1 {
		return data.AssetKeys[0], nil
	}
	if len(data.AssetKeys) > 0 {
		return "", setupf("Dagster asks for the assets %q, and none of them is the feature %s", data.AssetKeys, key)
	}
	return "", nil
}

// checkCodeVersion compares the code version that the asset declares with the feature's. Parts of other origin do not
// matter.
func checkCodeVersion(declared string, f *feature.Feature) error {
	for part := range strings.SplitSeq(declared, ",") {
		if want, ok := strings.CutPrefix(strings.TrimSpace(part), "metaxy:"); ok && want != f.CodeVersion() {
			return setupf("feature %s: Dagster expects code version %s, this program has %s; reload the Dagster definitions, "+
				"or deploy the program that they were made from", f.Key(), want, f.CodeVersion())
		}
	}
	return nil
}

// inOrder sorts jobs so that parents come before their children, by the order of the graph of each.
func inOrder(jobs []*job) []*job {
	var out []*job
	for _, j := range jobs {
		for f := range j.step.Graph.All() {
			at := slices.IndexFunc(jobs, func(other *job) bool { return other.f.Key() == f.Key() })
			if at >= 0 && !slices.Contains(out, jobs[at]) {
				out = append(out, jobs[at])
			}
		}
	}
	return out
}
