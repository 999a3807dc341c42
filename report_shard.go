package metaxy

import "context"

// reportedByAnother reports whether nobody asks this run what the whole table holds: it is a shard, and what it would find,
// others may change. To find it would cost each shard as much as all of them together.
func (j *job) reportedByAnother() bool {
	return j.o.Shard.Count > 1 && (j.asset == "" || j.reportFollows)
}

// reportShard reports what a shard has done, without the table's rows and data version.
func (j *job) reportShard(ctx context.Context, r *Result) error {
	j.log.Info("done", "feature", j.f.Key(), "shard", j.o.Shard, "processed", r.Processed, "failed", r.Failed,
		"duration", r.Duration.Round(1e6))
	if j.asset == "" {
		return nil
	}
	md, err := j.metadata(*r)
	if err != nil {
		return err
	}
	return j.publish(ctx, r, md)
}
