package pipes_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/pipes/pipestest"
)

// secret is a value that says something else about itself.
type secret struct{}

func (secret) LogValue() slog.Value {
	return slog.GroupValue(slog.String("kind", "secret"), slog.Int("n", 2))
}

func TestLogText(t *testing.T) {
	t.Parallel()
	var none *time.Location
	for want, log := range map[string]func(*slog.Logger){
		"plain":                          func(l *slog.Logger) { l.Info("plain") },
		"two\nlines a=1":                 func(l *slog.Logger) { l.Info("two\nlines", "a", 1) },
		`m a="x y" b="" c="\"" d="k=v"`:  func(l *slog.Logger) { l.Info("m", "a", "x y", "b", "", "c", `"`, "d", "k=v") },
		`m e="a\nb" f=Ü🎬 g="\x00"`:       func(l *slog.Logger) { l.Info("m", "e", "a\nb", "f", "Ü🎬", "g", "\x00") },
		`m "a key"=true`:                 func(l *slog.Logger) { l.Info("m", "a key", true) },
		"m err=boom d=1.5s f=0.5":        func(l *slog.Logger) { l.Info("m", "err", errors.New("boom"), "d", 1500*time.Millisecond, "f", 0.5) },
		"m at=2024-02-29T12:30:00.25Z":   func(l *slog.Logger) { l.Info("m", "at", time.Date(2024, 2, 29, 12, 30, 0, 250e6, time.UTC)) },
		"m g.a=1 g.h.b=2":                func(l *slog.Logger) { l.WithGroup("g").With("a", 1).WithGroup("h").Info("m", "b", 2) },
		"m a=1 g.b=2 g.x.c=3":            func(l *slog.Logger) { l.With("a", 1).WithGroup("g").Info("m", "b", 2, slog.Group("x", "c", 3)) },
		"m inline=1":                     func(l *slog.Logger) { l.Info("m", slog.Group("", "inline", 1), slog.Group("empty")) },
		"m s.kind=secret s.n=2":          func(l *slog.Logger) { l.Info("m", "s", secret{}) },
		"m ip=10.0.0.1 raw={}":           func(l *slog.Logger) { l.Info("m", "ip", netip.MustParseAddr("10.0.0.1"), "raw", json.RawMessage("{}")) },
		"m b=bytes":                      func(l *slog.Logger) { l.Info("m", "b", []byte("bytes")) },
		"m nil=<nil> pointer=UTC":        func(l *slog.Logger) { l.Info("m", "nil", nil, "pointer", none) },
		"m":                              func(l *slog.Logger) { l.WithGroup("").With().Info("m", slog.Attr{}) },
		"invalid \uFFFD a=\"\\xff\"":     func(l *slog.Logger) { l.Info("invalid \xff", "a", "\xff") },
		"":                               func(l *slog.Logger) { l.Info("") },
		"parent and child share nothing": func(l *slog.Logger) { l.With("a", 1); l.WithGroup("g"); l.Info("parent and child share nothing") },
	} {
		session, messages := pipestest.Open(t, pipes.ContextData{})
		log(session.Logger())
		sent := messages()
		var p struct{ Message string }
		if err := json.Unmarshal(sent[len(sent)-1].Params, &p); err != nil || len(sent) != 2 || p.Message != want {
			t.Errorf("got %q in %d messages, %v, want %q", p.Message, len(sent), err, want)
		}
	}
}

func TestLogLevel(t *testing.T) {
	t.Parallel()
	opts, messages := pipestest.Options(pipes.ContextData{})
	opts.Level = slog.LevelWarn
	session, err := pipes.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	session.Logger().Info("below")
	session.Logger().Warn("at the level")
	if err := session.Close(); err != nil {
		t.Fatal(err)
	}
	if got := methods(messages()); got != "opened log closed" {
		t.Errorf("messages = %s, want one log", got)
	}
	if session.Logger().Enabled(t.Context(), slog.LevelInfo) {
		t.Error("the logger takes records below its level")
	}
}
