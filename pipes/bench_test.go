package pipes_test

import (
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

// BenchmarkLog measures one log record with two attributes, to a file.
func BenchmarkLog(b *testing.B) {
	session, err := pipes.Open(b.Context(), &pipes.Options{Params: staticParams(b, `{"data": {}}`, `{"path": "/dev/null"}`)})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		session.Logger().Info("sample done", "id", "video_000001", "rows", 12)
	}
	if err := session.Close(); err != nil {
		b.Fatal(err)
	}
}

// staticParams packs the given params.
func staticParams(t testing.TB, contextParams, messagesParams string) pipes.ParamsLoader {
	t.Helper()
	return pipes.MapParams{pipes.ContextVar: pack(t, contextParams), pipes.MessagesVar: pack(t, messagesParams)}
}
