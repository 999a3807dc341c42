package metaxy

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// screen shows what a terminal does of what was written to it.
func screen(written string) []string {
	var lines []string
	for line := range strings.SplitSeq(written, "\n") {
		if at := strings.LastIndex(line, eraseLine); at >= 0 {
			line = line[at+len(eraseLine):]
		}
		lines = append(lines, line)
	}
	return lines
}

func TestStatusLine(t *testing.T) {
	t.Parallel()
	var terminal bytes.Buffer
	line := &statusLine{w: &terminal}
	plain := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	log := slog.New(aboveLine{slog.NewTextHandler(&terminal, plain), line}).With("a", 1)
	log.Info("before")
	line.show("one")
	log.Info("short")
	line.show("two")
	line.show("three")
	log.WithGroup("g").Warn("long", "text", strings.Repeat("x", 100), "b", 2)
	equal(t, "screen", screen(terminal.String()), []string{
		`level=INFO msg=before a=1`, `level=INFO msg=short a=1`,
		`level=WARN msg=long a=1 g.text=` + strings.Repeat("x", 100) + ` g.b=2`, "three"})
	line.show(strings.Repeat("é", 200))
	if got := screen(terminal.String())[3]; got != strings.Repeat("é", lineColumn-1) {
		t.Errorf("a long line is shown as %q", got)
	}
	line.show("")
	log.Info("after")
	if got := screen(terminal.String()); got[3] != "level=INFO msg=after a=1" || got[4] != "" {
		t.Errorf("at the end there is %q", got[3:])
	}
}

func TestBarText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		done, total, failed int64
		want                string
	}{
		{0, 300, 0, "a/b [........................] 0/300 0%, 0/s, unknown left"},
		{150, 300, 4, "a/b [############............] 150/300 50%, 15/s, 10s left, 4 failed"},
		{300, 300, 0, "a/b [########################] 300/300 100%, 30/s, 0s left"},
		{301, 300, 0, "a/b [########################] 301/300 100%, 30.1/s, 0s left"},
	} {
		if got := barText("a/b", c.done, c.total, c.failed, 10*time.Second); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// TestTerminal runs with a terminal: the log is whole, and nothing of the bar stays.
func TestTerminal(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", numbered(5)...)
	r := ts.mustRun(Options{Terminal: ts.log}, ts.step("video/crop", cropper(nil)))
	wantCounts(t, r, "new=5 stale=0 orphaned=0 processed=5 failed=0")
	written := ts.log.String()
	if !strings.Contains(written, "video/crop [") {
		t.Errorf("no bar is drawn: %q", written)
	}
	for _, line := range screen(written) {
		if line != "" && !strings.HasPrefix(line, "time=") {
			t.Errorf("the screen shows %q", line)
		}
	}
}
