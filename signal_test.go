package metaxy

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// slowly computes a first at once, and everything else never.
func slowly(ctx context.Context, id string) error {
	if id == "a" {
		return nil
	}
	return sleep(ctx, time.Hour)
}

// TestSignals sends real signals to a real program, as Dagster does.
func TestSignals(t *testing.T) {
	t.Parallel()
	for name, signals := range map[string][]syscall.Signal{
		"SIGTERM": {syscall.SIGTERM}, "SIGINT": {syscall.SIGINT}, "twice": {syscall.SIGINT, syscall.SIGINT},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := ingested(t, []Step{{Graph: graph, Feature: "video/crop"}})
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			grace := "100ms"
			if len(signals) == 2 {
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
			var last string
			lines := bufio.NewScanner(stderr)
			for lines.Scan() {
				last = lines.Text()
				if strings.Contains(last, "msg=processing") || len(signals) > 0 && strings.Contains(last, "stopping: samples in work") {
					if err := cmd.Process.Signal(signals[0]); err != nil {
						t.Fatal(err)
					}
					signals = signals[1:]
				}
			}
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != 130 {
				t.Errorf("status %d, last line %q", code, last)
			}
			if name != "twice" && !strings.HasPrefix(last, "new=3 stale=0 orphaned=0 processed=") {
				t.Errorf("last line %q", last)
			}
		})
	}
}
