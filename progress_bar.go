package metaxy

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

const (
	drawEvery  = 200 * time.Millisecond
	barCells   = 24
	lineColumn = 80 // where the line ends if the terminal does not say how wide it is
)

// drawProgress draws a bar with rate and remaining time in the last line of the terminal, below the log.
func (j *job) drawProgress() (end func()) {
	begin, done, ended := time.Now(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(drawEvery)
		defer tick.Stop()
		for {
			j.line.show(barText(string(j.f.Key()), j.handled(), j.total, j.count.failed.Load(), time.Since(begin)))
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		j.line.show("")
	}
}

// barText is what the bar says.
func barText(name string, done, total, failed int64, took time.Duration) string {
	share := 0.0
	if total > 0 {
		share = min(1, float64(done)/float64(total))
	}
	full := int(share * barCells)
	text := fmt.Sprintf("%s [%s%s] %d/%d %d%%, %s, %s left", name, strings.Repeat("#", full), strings.Repeat(".", barCells-full),
		done, total, int(share*100), rate(done, took), timeLeft(done, total, took))
	if failed > 0 {
		text += fmt.Sprintf(", %d failed", failed)
	}
	return text
}

// A statusLine is the last line of a terminal, which is drawn again and again.
type statusLine struct {
	mu   sync.Mutex
	w    io.Writer
	text string // what is shown now
}

// eraseLine goes to the begin of the line and erases it.
const eraseLine = "\r\x1b[K"

// show draws a text in place of the one before; "" leaves the line empty. What the terminal does not take is not tried
// again.
func (l *statusLine) show(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if columns := l.columns(); utf8.RuneCountInString(text) >= columns { // the last column would begin another line
		text = string([]rune(text)[:columns-1])
	}
	if text == "" && l.text == "" {
		return
	}
	l.text = text
	_, _ = io.WriteString(l.w, eraseLine+text)
}

// above runs print, which writes whole lines, with the line out of the way.
func (l *statusLine) above(print func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text == "" {
		return print()
	}
	_, _ = io.WriteString(l.w, eraseLine)
	err := print()
	_, _ = io.WriteString(l.w, l.text)
	return err
}

func (l *statusLine) columns() int {
	if f, ok := l.w.(interface{ Fd() uintptr }); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 1 {
			return columns
		}
	}
	return lineColumn
}

// aboveLine is a log whose records are printed above a line.
type aboveLine struct {
	slog.Handler
	line *statusLine
}

func (h aboveLine) Handle(ctx context.Context, r slog.Record) error {
	return h.line.above(func() error { return h.Handler.Handle(ctx, r) })
}

func (h aboveLine) WithAttrs(attrs []slog.Attr) slog.Handler {
	return aboveLine{h.Handler.WithAttrs(attrs), h.line}
}

func (h aboveLine) WithGroup(name string) slog.Handler {
	return aboveLine{h.Handler.WithGroup(name), h.line}
}
