package metaxy

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/internal/featureinfo"
	"github.com/metaxy-pipes/metaxy-pipes/internal/preview"
	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

const (
	previewRows = 5  // of the table's preview
	toldErrors  = 20 // failures in the custom message
)

// materialize reads what the table holds now and reports it, after everything is committed. If the table cannot be read
// then, the step has failed for Dagster, which needs the data version; without Dagster nothing is lost but a number.
func (j *job) materialize(ctx context.Context, r *Result) error {
	snap, err := snapshot(ctx, j.store, j.f.Key())
	sum := summary{part: engine.Digest{Version: "empty"}}
	if err == nil && snap != nil {
		sum, err = j.summarize(ctx, snap)
	}
	if err != nil {
		err = fmt.Errorf("%s: %d samples are committed, but the table could not be read afterwards: %w", j.f.Key(), r.Processed, err)
		if j.asset == "" {
			j.log.Warn(err.Error())
			return nil
		}
		return fmt.Errorf("%w (run again to report it; no sample is computed again)", err)
	}
	if snap != nil {
		j.record(ctx, snap, sum.whole)
	}
	r.Rows, r.DataVersion = sum.whole.Rows, sum.part.Version
	j.log.Info("done", "feature", j.f.Key(), "processed", r.Processed, "failed", r.Failed, "rows", r.Rows,
		"duration", r.Duration.Round(1e6))
	if j.asset == "" {
		return nil
	}
	md, err := j.metadata(*r)
	if err != nil {
		return err
	}
	md["dagster/row_count"], md["metaxy/materialized_in_run"] = pipes.Int(r.Rows), pipes.Int(sum.inRun)
	if sum.parted {
		md["dagster/partition_row_count"] = pipes.Int(sum.part.Rows)
	}
	if snap != nil {
		if err := j.describeTable(ctx, snap, md, sum.newest); err != nil { // a preview is no reason to fail
			j.log.Warn("the table cannot be shown", "feature", j.f.Key(), "error", err)
		}
	}
	return j.publish(ctx, r, md)
}

// publish reports the materialization with what the step has asked of the storage until now, and the check.
func (j *job) publish(ctx context.Context, r *Result, md pipes.Metadata) error {
	r.Storage = j.storage()
	describeStorage(r.Storage, md)
	err := j.session.Materialize(ctx, pipes.Materialization{AssetKey: j.asset, DataVersion: r.DataVersion, Metadata: md})
	if err == nil {
		err = j.reportCheck(ctx, *r)
	}
	return j.untold(r.Processed, err)
}

// untold says of an error of the channel to Dagster that what was computed is safe.
func (j *job) untold(processed int64, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %d samples are committed, but Dagster could not be told: %w", j.f.Key(), processed, err)
}

// markFailed keeps the number of failed samples with the table, for status. That it cannot is no reason to fail.
func (j *job) markFailed(ctx context.Context) {
	snap, err := snapshot(ctx, j.store, j.f.Key())
	if err == nil && snap != nil {
		marks := engine.FailedMarks(snap, engine.Shard(j.o.Shard), j.result(Result{}).Failed)
		if marks == nil {
			return
		}
		_, err = j.store.Append(ctx, j.f.Key(), store.Write{Marks: marks})
	}
	if err != nil {
		j.log.Warn("the number of failed samples is not recorded", "feature", j.f.Key(), "error", err)
	}
}

func (j *job) metadata(r Result) (pipes.Metadata, error) {
	info, err := featureinfo.Of(j.f)
	if err != nil {
		return nil, err
	}
	md := pipes.Metadata{
		"metaxy/info":             pipes.JSON(info),
		"metaxy/feature":          pipes.Text(string(j.f.Key())),
		"metaxy/feature_version":  pipes.Text(j.f.Version()),
		"metaxy/code_version":     pipes.Text(j.f.CodeVersion()),
		"metaxy/new":              pipes.Int(r.New),
		"metaxy/stale":            pipes.Int(r.Stale),
		"metaxy/orphaned":         pipes.Int(r.Orphaned),
		"metaxy/processed":        pipes.Int(r.Processed),
		"metaxy/failed":           pipes.Int(r.Failed),
		"metaxy/duration_seconds": pipes.Float(rounded(r.Duration.Seconds())),
	}
	if s := r.Duration.Seconds(); s > 0 {
		md["metaxy/samples_per_second"] = pipes.Float(rounded(float64(r.Processed) / s))
	}
	return md, nil
}

// describeStorage adds what the step has asked of the storage, if that was counted.
func describeStorage(u store.Usage, md pipes.Metadata) {
	if u == (store.Usage{}) {
		return
	}
	for name, n := range map[string]int64{"requests": u.Requests(), "reads": u.Reads, "writes": u.Writes, "lists": u.Lists,
		"deletes": u.Deletes, "bytes_read": u.BytesRead, "bytes_written": u.BytesWritten} {
		md["metaxy/storage_"+name] = pipes.Int(n)
	}
}

// rounded cuts a figure that people read to three digits behind the point.
func rounded(x float64) float64 { return math.Round(x*1000) / 1000 }

// describeTable adds where the table is, its columns, and the given rows of it.
func (j *job) describeTable(ctx context.Context, snap store.Snapshot, md pipes.Metadata, last []store.RowRef) error {
	md["dagster/uri"] = pipes.Text(snap.URI()) // a text, since Dagster shows no path as an asset's storage
	md["metaxy/store"] = pipes.JSON(storeInfo(j.store).Table(snap.URI()))
	p, err := preview.Of(ctx, snap, j.f, last)
	if err != nil {
		return err
	}
	md["dagster/column_schema"] = pipes.TableSchema(pipesColumns(p.All)...)
	md["dagster/table"] = pipes.Table(pipesColumns(p.Shown), p.Records)
	return nil
}

func pipesColumns(columns []preview.Column) []pipes.Column {
	var out []pipes.Column
	for _, c := range columns {
		out = append(out, pipes.Column{Name: c.Name, Type: c.Type})
	}
	return out
}

// reportCheck tells whether every sample could be computed. Failures that were tolerated are a warning.
func (j *job) reportCheck(ctx context.Context, r Result) error {
	if j.check == "" {
		return nil
	}
	c := pipes.CheckResult{AssetKey: j.asset, Name: j.check, Passed: r.Failed == 0, Severity: pipes.SeverityWarn,
		Metadata: pipes.Metadata{"metaxy/processed": pipes.Int(r.Processed), "metaxy/failed": pipes.Int(r.Failed)}}
	if len(r.Failures) > 0 {
		c.Metadata["metaxy/failures"] = failureTable(r.Failures)
	}
	return j.session.Check(ctx, c)
}

// failureTable shows the first failed samples: their ids, and the error.
func failureTable(failures []Failure) pipes.Value {
	const message = "error"
	var columns []pipes.Column
	for _, v := range failures[0].ID {
		columns = append(columns, pipes.Column{Name: v.Column, Type: "string"})
	}
	var rows []map[string]any
	for _, f := range tellFailures(failures) {
		row := map[string]any{}
		for name, value := range f.ID {
			row[name] = fmt.Sprint(value)
		}
		row[message] = f.Error
		rows = append(rows, row)
	}
	columns = slices.DeleteFunc(columns, func(c pipes.Column) bool { return c.Name == message })
	return pipes.Table(append(columns, pipes.Column{Name: message, Type: "string"}), rows)
}

// A toldFailure is a failed sample in a message.
type toldFailure struct {
	ID    map[string]any `json:"id"`
	Error string         `json:"error"`
}

func tellFailures(failures []Failure) []toldFailure {
	told := []toldFailure{}
	for _, f := range failures[:min(len(failures), toldErrors)] {
		t := toldFailure{ID: map[string]any{}, Error: shorten(f.Err.Error(), 500)}
		for _, v := range f.ID {
			if s, ok := v.Value.(string); ok {
				v.Value = shorten(s, 200)
			}
			t.ID[v.Column] = v.Value
		}
		told = append(told, t)
	}
	return told
}

// tell sends the outcome as a custom message, which reaches the Dagster definitions also if the step fails.
func (j *job) tell(ctx context.Context, r Result, outcome error) error {
	var errText any
	if outcome != nil {
		errText = shorten(outcome.Error(), 2000)
	}
	var asset any
	if j.asset != "" {
		asset = j.asset
	}
	err := j.session.Send(ctx, map[string]any{"metaxy_pipes": map[string]any{
		"feature": j.f.Key(), "asset_key": asset, "feature_version": j.f.Version(), "code_version": j.f.CodeVersion(),
		"new": r.New, "stale": r.Stale, "orphaned": r.Orphaned, "processed": r.Processed, "failed": r.Failed,
		"deleted": r.Deleted, "elsewhere": r.Elsewhere, "rows": r.Rows, "data_version": r.DataVersion,
		"duration_seconds": r.Duration.Seconds(), "dry_run": j.o.DryRun, "materialization_id": j.materialization,
		"failures": tellFailures(r.Failures), "error": errText,
	}})
	if outcome == nil {
		return j.untold(r.Processed, err)
	}
	if err != nil { // the outcome says what was done
		return fmt.Errorf("report %s: %w", j.f.Key(), err)
	}
	return nil
}
