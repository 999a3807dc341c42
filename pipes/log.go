package pipes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// LevelCritical is the lowest level of log records that Dagster shows as critical.
const LevelCritical = slog.LevelError + 4

// levelName returns the Dagster level of a log level.
func levelName(l slog.Level) string {
	switch {
	case l < slog.LevelInfo:
		return "DEBUG"
	case l < slog.LevelWarn:
		return "INFO"
	case l < slog.LevelError:
		return "WARNING"
	case l < LevelCritical:
		return "ERROR"
	}
	return "CRITICAL"
}

// logHandler is a slog.Handler that sends records as log messages. The text of a record is its message followed by its
// attributes as key=value, with the names of groups in front of the key, joined by dots.
type logHandler struct {
	session *Session
	level   slog.Leveler
	prefix  string // of the open groups, ending in a dot
	attrs   string // rendered, each with a space in front
}

// Enabled implements [slog.Handler].
func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool {
	return h.level == nil || l >= h.level.Level()
}

// WithAttrs implements [slog.Handler].
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var text strings.Builder
	for _, a := range attrs {
		appendAttr(&text, h.prefix, a)
	}
	child := *h
	child.attrs += text.String()
	return &child
}

// WithGroup implements [slog.Handler].
func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	child := *h
	child.prefix += name + "."
	return &child
}

// Handle implements [slog.Handler]. The end of the record's context does not keep it from being sent.
func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	var text strings.Builder
	text.WriteString(r.Message)
	text.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		appendAttr(&text, h.prefix, a)
		return true
	})
	return h.session.log(context.WithoutCancel(ctx), levelName(r.Level), validText(text.String()))
}

// appendAttr renders an attribute as " key=value", or several of them if it is a group.
func appendAttr(text *strings.Builder, prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return
	}
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range v.Group() {
			appendAttr(text, prefix, member)
		}
		return
	}
	text.WriteByte(' ')
	text.WriteString(quoteIfNeeded(prefix + a.Key))
	text.WriteByte('=')
	text.WriteString(quoteIfNeeded(valueText(v)))
}

// valueText renders a resolved value that is not a group.
func valueText(v slog.Value) string {
	if v.Kind() == slog.KindTime {
		return v.Time().Format(time.RFC3339Nano)
	}
	switch b := v.Any().(type) {
	case []byte:
		return string(b)
	case json.RawMessage:
		return string(b)
	}
	return v.String()
}

// quoteIfNeeded quotes text that could not be told from what stands around it.
func quoteIfNeeded(s string) string {
	needed := func(r rune) bool {
		return r == '"' || r == '=' || r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsPrint(r)
	}
	if s == "" || strings.ContainsFunc(s, needed) {
		return strconv.Quote(s)
	}
	return s
}

// log sends a log message, in several pieces if it is too large for one, and keeps the error of one that cannot be
// delivered.
func (s *Session) log(ctx context.Context, level, text string) error {
	if len(text) > maxLogText {
		text = fmt.Sprintf("%s (%d bytes in all)", shorten(text, maxLogText), len(text))
	}
	m, err := s.encode(MethodLog, logParams{Message: text, Level: level})
	if !errors.Is(err, errTooLarge) {
		return s.writeLogOr(ctx, m, err, level)
	}
	var errs []error
	for _, piece := range split(text, s.limit-envelope) {
		m, err := s.encode(MethodLog, logParams{Message: piece, Level: level})
		errs = append(errs, s.writeLogOr(ctx, m, err, level))
	}
	return errors.Join(errs...)
}

// writeLogOr writes a log message, unless there was an error when it was encoded.
func (s *Session) writeLogOr(ctx context.Context, m *Message, err error, level string) error {
	if err == nil {
		return s.writeLog(ctx, m, level == "DEBUG")
	}
	s.lost(err)
	return err
}

// validText replaces what is not valid UTF-8.
func validText(s string) string {
	return strings.ToValidUTF8(s, string(utf8.RuneError))
}

// cut returns the first n bytes of s, fewer if the cut would go through a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for back := range utf8.UTFMax {
		if utf8.RuneStart(s[n-back]) {
			return s[:n-back]
		}
	}
	return s[:n]
}

// lostRecords counts log records that could not be delivered.
type lostRecords struct {
	count int
	kinds []error // the first of each text, up to a few
}

// add notes the error of n records; nil is none.
func (l *lostRecords) add(n int, err error) {
	if err == nil {
		return
	}
	l.count += n
	same := func(e error) bool { return e.Error() == err.Error() }
	if len(l.kinds) < 3 && !slices.ContainsFunc(l.kinds, same) {
		l.kinds = append(l.kinds, err)
	}
}

// err tells how many records were lost and why, nil if none was.
func (l *lostRecords) err() error {
	if l.count == 0 {
		return nil
	}
	return fmt.Errorf("deliver %d log records or pieces of output: %w", l.count, errors.Join(l.kinds...))
}
