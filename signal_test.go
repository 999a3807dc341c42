package metaxy

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// slowly computes a at once, and everything else never.
func slowly(ctx context.Context, id string) error {
	if id == "a" {
		return nil
	}
	fmt.Fprintln(os.Stderr, "at work")
	return sleep(ctx, time.Hour)
}

// TestSignals sends real signals to a real program, as Dagster and a terminal do: each arrives twice at once, which is
// one wish to stop. Only a later one is the second.
func TestSignals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		signal syscall.Signal
		second bool
	}{
		"SIGTERM": {syscall.SIGTERM, false}, "SIGINT": {syscall.SIGINT, false},
		"SIGTERM and again": {syscall.SIGTERM, true}, "SIGINT and again": {syscall.SIGINT, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := ingested(t, []Step{{Graph: graph, Feature: "video/crop"}})
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			grace := "500ms"
			if c.second {
				grace = "1h"
			}
			cmd := exec.CommandContext(t.Context(), exe, "--store", filepath.Join(dir, "store"), "run", "--grace", grace,
				"--flush-interval", "10ms", "--concurrency", "3")
			cmd.Env = append(os.Environ(), "METAXY_TEST_CHILD=program")
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			signal := func() { _ = cmd.Process.Signal(c.signal) } // it may have exited
			var last string
			lines := bufio.NewScanner(stderr)
			for lines.Scan() {
				last = lines.Text()
				switch {
				case last == "at work":
					signal()
				case strings.Contains(last, "stopping: samples in work"):
					signal()
					if c.second {
						defer time.AfterFunc(sameSignal+200*time.Millisecond, signal).Stop()
					}
				}
			}
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != 130 {
				t.Errorf("status %d, last line %q", code, last)
			}
			if finished := strings.HasPrefix(last, "new=3 stale=0 orphaned=0 processed="); finished == c.second {
				t.Errorf("last line %q", last)
			}
		})
	}
}

// TestSecondSignal tells a second signal from the first one that arrives again.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		signals, done := make(chan os.Signal), make(chan struct{})
		go func() {
			for _, pause := range []time.Duration{0, time.Millisecond, sameSignal - time.Millisecond, time.Millisecond} {
				time.Sleep(pause)
				signals <- os.Interrupt
			}
			time.Sleep(time.Hour)
			close(done)
		}()
		begin := time.Now()
		if !second(signals, done) || time.Since(begin) != sameSignal+time.Millisecond {
			t.Errorf("the second signal came after %s", time.Since(begin))
		}
		if second(signals, done) {
			t.Error("a second signal came without one")
		}
	})
}
