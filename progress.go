package metaxy

import (
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/jedib0t/go-pretty/v6/text"
)

// logEvery is how often progress is logged where there is no terminal.
const logEvery = 10 * time.Second

// showProgress begins to show how far the job is. The returned func ends it.
func (j *job) showProgress() (end func()) {
	if j.o.Terminal != nil && !j.session.Attached() {
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
	return time.Duration(float64(d) / float64(n) * float64(total-n)).Round(time.Second).String()
}

// drawProgress draws a bar with rate and remaining time.
func (j *job) drawProgress() (end func()) {
	w := progress.NewWriter()
	w.SetOutputWriter(j.o.Terminal)
	w.SetAutoStop(false)
	w.SetTrackerLength(30)
	w.SetUpdateFrequency(200 * time.Millisecond)
	w.Style().Visibility.ETA = true
	w.Style().Visibility.Speed = true
	w.Style().Colors = progress.StyleColors{Message: text.Colors{text.Bold}}
	bar := &progress.Tracker{Message: string(j.f.Key()), Total: j.total}
	w.AppendTracker(bar)
	drawn, done, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(drawn)
		w.Render()
	}()
	go func() {
		defer close(ended)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				bar.SetValue(min(j.handled(), j.total-1))
				if failed := j.count.failed.Load(); failed > 0 {
					bar.UpdateMessage(fmt.Sprintf("%s (%d failed)", j.f.Key(), failed))
				}
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		if bar.SetValue(j.handled()); j.handled() < j.total {
			bar.MarkAsErrored()
		} else {
			bar.MarkAsDone()
		}
		w.Stop()
		<-drawn
	}
}
