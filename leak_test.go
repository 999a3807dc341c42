package metaxy

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestNoGoroutineOutlivesARun runs well, badly, and until it is interrupted, and then looks for goroutines of this module.
func TestNoGoroutineOutlivesARun(t *testing.T) {
	before := ours()
	args, _ := childOf(t, "error")
	for _, p := range []Processor{cropper(nil), External(args), cropper(func(context.Context, string) error { return errStorage })} {
		ts := newTables(t, graph)
		ts.videos("1", append(numbered(50), "bad")...)
		ctx, cancel := context.WithCancel(t.Context())
		_, err := Run(ctx, ts.session, Options{Concurrency: 3, MaxFailed: Tolerance{Count: 60}}, ts.step("video/crop", p))
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		ts = newTables(t, graph)
		ts.videos("1", numbered(50)...)
		ctx, cancel = context.WithCancel(t.Context())
		_, err = Run(ctx, ts.session, Options{Concurrency: 3, Grace: time.Millisecond}, ts.step("video/crop", cropper(func(ctx context.Context, id string) error {
			if id == "v0003" {
				cancel()
			}
			return sleep(ctx, time.Millisecond)
		})))
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
	}
	var after []string
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if after = ours(); len(after) <= len(before) {
			return
		}
		if time.Now().After(deadline) {
			break
		}
	}
	t.Errorf("there were %d goroutines, and are %d:\n%s", len(before), len(after), strings.Join(after, "\n\n"))
}

// ours are the goroutines that run code of this module, but for the tests' own and the thread that starts commands.
func ours() []string {
	text := make([]byte, 16<<20)
	var found []string
	for _, g := range strings.Split(string(text[:runtime.Stack(text, true)]), "\n\n") {
		if strings.Contains(g, "metaxy-pipes/metaxy-pipes") && !strings.Contains(g, "testing.tRunner") && !strings.Contains(g, "LockOSThread") &&
			!strings.Contains(g, "init.func") {
			found = append(found, g)
		}
	}
	return found
}
