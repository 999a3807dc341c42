package engine

import (
	"context"
	"encoding/json"

	"github.com/zeebo/xxh3"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A feature is settled when there was nothing left to do: every sample that its parents' tables make is stored as it is
// expected, and no other one is. Whoever brings that about records it in the commit that does (see
// [Increment.SettledMarks]): by which rules, for which states of the parents, at which version of the feature's own
// table. As long as all of that is as it was, there is nothing to do, and nobody has to look at a row to know. When
// parents have only grown since, it is enough to look at the samples of which they have new rows.
//
// What a record says is never more than what was seen: a run that was limited, sharded, partitioned or filtered, that had
// failures, or that other writers came between, records nothing, and any commit to the feature's table that is
// not the recording one ends what is recorded.

// The marks of a settled table (see store.Write.Marks).
const (
	settledRules   = "metaxy_pipes.settled.rules"   // a hash of all that decides beside rows
	settledVersion = "metaxy_pipes.settled.version" // of the table: that of the commit itself
	settledFiles   = "metaxy_pipes.settled.files:"  // by parent: the state of its table; -1 without one
	settledHash    = "metaxy_pipes.settled.hash:"
	settledAt      = "metaxy_pipes.settled.at:" // a version of the table that had this state; only says where to look
)

// resolveRules is raised when the same rows are to be resolved differently than by earlier versions of this package.
const resolveRules = 1

// rules hashes all that decides which samples are new, stale or orphaned, beside the rows: the specs of the feature and
// of its parents, their versions, and how rows are versioned.
func (p *plan) rules() (int64, error) {
	type member struct {
		Key     feature.Key
		Version string
		Spec    *feature.Spec
	}
	all := struct {
		Rules   int
		Hashing Hashing
		Members []member
	}{resolveRules, p.hashing.normal(), []member{{p.feature.Key(), p.feature.Version(), p.feature.Spec()}}}
	for _, parent := range p.feature.Parents() {
		all.Members = append(all.Members, member{parent.Feature.Key(), parent.Feature.Version(), parent.Feature.Spec()})
	}
	text, err := json.Marshal(all)
	return int64(xxh3.Hash(text) >> 1), err
}

// recordable reports whether the resolve is of everything that the parents' tables make, as a record speaks of it, and
// whether storing every sample once as it is expected leaves nothing to do. That is not so where a sample can be expected
// with several versions, or be computed without leaving a row, as one that is expanded into none.
func (p *plan) recordable() bool {
	o := &p.options
	return p.uniform() && !o.SkipComparison && len(o.Filters)+len(o.GlobalFilters)+len(o.TargetFilters)+len(o.StaleIf) == 0
}

// A settling says what a record of the feature's table knows.
type settling int

const (
	unsettled settling = iota // nothing that helps
	grown                     // parents have new rows, and are as they were otherwise
	settled                   // nothing has changed
)

// settling compares the record with the tables as they are. Of parents that have grown, it returns the files that may have
// more rows, by source.
func (p *plan) settling(ctx context.Context) (settling, [][]int) {
	if p.target == nil || !p.recordable() {
		return unsettled, nil
	}
	marks := p.target.snap.Marks()
	if v, ok := marks[settledVersion]; !ok || v != p.target.snap.Version() {
		return unsettled, nil
	}
	if rules, err := p.rules(); err != nil || marks[settledRules] != rules {
		return unsettled, nil
	}
	out, files := settled, make([][]int, len(p.sources))
	for i := range p.sources {
		key := string(p.sources[i].scan.key)
		known, ok := marks[settledFiles+key]
		if !ok {
			return unsettled, nil
		}
		snap := p.sources[i].scan.snap
		if snap == nil || known < 0 {
			if snap != nil || known >= 0 {
				return unsettled, nil // a table that came or went
			}
			continue
		}
		at, ok := marks[settledAt+key]
		if !ok {
			at = -1
		}
		then := store.State{Files: int(known), Hash: uint64(marks[settledHash+key])}
		if files[i], ok = snap.Since(ctx, then, at); !ok {
			return unsettled, nil
		}
		if len(files[i]) > 0 {
			out = grown
		}
	}
	return out, files
}

// emptyIncrement is that of a feature that has nothing to do.
func (p *plan) emptyIncrement() *Increment {
	inc := &Increment{plan: p, replaced: newFutureRows(p).rows(), settled: true}
	none := rowSet{refs: make([][]store.RowRef, len(p.sources))}
	inc.parts[New], inc.parts[Stale] = part{p.expectedReader(), none}, part{p.expectedReader(), none}
	inc.parts[Orphaned] = part{p.storedReader(), noRows}
	return inc
}

// Settled reports whether the increment is empty because a record in the feature's table says so: no row was looked at.
func (inc *Increment) Settled() bool { return inc.settled }

// SettledMarks are the marks (see store.Write) that record that nothing is left to do, for a commit that makes the given
// version of the feature's table. They may be written only with or after the last rows of an increment of which every
// new and stale sample is stored as expected and every orphaned one is deleted, with store.Write.Expect, and if nobody
// else has written to the table since the increment was resolved. Nil says that this cannot be recorded of the
// increment, because it was filtered or has samples about which nothing can be said.
func (inc *Increment) SettledMarks(version int64) map[string]int64 {
	p := inc.plan
	rules, err := p.rules()
	if err != nil || !p.recordable() || inc.unresolvable > 0 {
		return nil
	}
	marks := map[string]int64{settledRules: rules, settledVersion: version}
	for i := range p.sources {
		key := string(p.sources[i].scan.key)
		if snap := p.sources[i].scan.snap; snap != nil {
			state := snap.State()
			marks[settledFiles+key], marks[settledHash+key] = int64(state.Files), int64(state.Hash)
			marks[settledAt+key] = snap.Version()
		} else {
			marks[settledFiles+key] = -1
		}
	}
	return marks
}

// settleRows is how many rows a resolve has to look at before it pays to record that there was nothing to do, for a
// record is a commit.
const settleRows = 200_000

// PaysToSettle reports whether the increment was dear enough to record that it is done, if no rows are to be committed
// for it.
func (inc *Increment) PaysToSettle() bool { return !inc.settled && inc.examined >= settleRows }

// examinedRows is about how many rows a resolve of whole tables looks at.
func (p *plan) examinedRows() int64 {
	n := int64(0)
	for i := range p.sources {
		if snap := p.sources[i].scan.snap; snap != nil {
			n += snap.RowsHint()
		}
	}
	if p.target != nil {
		n += p.target.snap.RowsHint()
	}
	return n
}

// CarriedMarks are the marks that a commit has to repeat that makes the given version of a table without changing its
// rows, such as a compaction, so that what is recorded about the snapshot's rows goes on to hold: that nothing is left to
// do, and their digest. Nil says that nothing is recorded.
func CarriedMarks(snap store.Snapshot, version int64) map[string]int64 {
	marks := snap.Marks()
	var out map[string]int64
	for _, name := range []string{settledVersion, digestVersion} {
		if v, ok := marks[name]; ok && v == snap.Version() {
			if out == nil {
				out = make(map[string]int64)
			}
			out[name] = version
		}
	}
	return out
}
