package metaxy

import (
	"fmt"
	"time"
)

// logEvery is how often progress is logged where there is no terminal.
const logEvery = 10 * time.Second

// showProgress begins to show how far the job is. The returned func ends it.
func (j *job) showProgress() (end func()) {
	if j.line != nil {
		return j.drawProgress()
	}
	return j.logProgress()
}

// handled is the number of samples that need no more work.
func (j *job) handled() int64 {
	return j.count.computed.Load() + j.count.failed.Load() + j.count.elsewhere.Load()
}

func (j *job) logProgress() (end func()) {
	begin, done, ended := time.Now(), make(chan struct{}), make(chan struct{})
	j.log.Info("processing", "feature", j.f.Key(), "samples", j.total, "workers", j.o.Concurrency)
	go func() {
		defer close(ended)
		tick := time.NewTicker(logEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				j.log.Info("progress", "feature", j.f.Key(), "done", j.handled(), "of", j.total,
					"failed", j.count.failed.Load(), "committed", j.count.processed.Load(),
					"rate", rate(j.handled(), time.Since(begin)), "left", timeLeft(j.handled(), j.total, time.Since(begin)))
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

func rate(n int64, d time.Duration) string {
	if d <= 0 {
		return "0/s"
	}
	return fmt.Sprintf("%.3g/s", float64(n)/d.Seconds())
}

// timeLeft extrapolates; nothing is known before the first sample is done.
func timeLeft(n, total int64, d time.Duration) string {
	if n == 0 {
		return "unknown"
	}
	return time.Duration(float64(d) / float64(n) * float64(max(0, total-n))).Round(time.Second).String()
}
