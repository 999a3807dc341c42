package pipes_test

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

func FuzzDecodeParams(f *testing.F) {
	f.Add(pack(f, `{"path": "/x"}`))
	f.Add("eJyrVipILMlQslJQqlXSUVAqSi1WslIw1AEALkwEoQ==")
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		raw, err := pipes.DecodeParams(text)
		if err != nil {
			return
		}
		var o map[string]json.RawMessage
		if err := json.Unmarshal(raw, &o); err != nil || o == nil {
			t.Errorf("DecodeParams(%q) = %q, which is not an object: %v", text, raw, err)
		}
	})
}

func FuzzContext(f *testing.F) {
	f.Add([]byte(fullContext))
	f.Add([]byte(`{"partition_key": "", "partition_key_range": {"start": "", "end": ""}}`))
	f.Add([]byte(`{"provenance_by_asset_key": {"a": null}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var data pipes.ContextData
		if data.UnmarshalJSON(text) != nil {
			return
		}
		written, err := json.Marshal(data)
		if err != nil {
			t.Fatalf("a context that was read cannot be written: %v", err)
		}
		var again pipes.ContextData
		if err := again.UnmarshalJSON(written); err != nil {
			t.Fatalf("a context that was written cannot be read: %v\n%s", err, written)
		}
		rewritten, err := json.Marshal(again)
		if err != nil || !bytes.Equal(rewritten, written) {
			t.Errorf("a context changed by writing and reading: %s, then %s, %v", written, rewritten, err)
		}
	})
}

// nowhere is the payloads of an orchestrator without context.
type nowhere struct{}

func (nowhere) LoadParams() (contextParams, messagesParams json.RawMessage, err error) {
	return json.RawMessage(`{"data": {}}`), json.RawMessage(`{}`), nil
}

// A lastLine is a channel that keeps the line of the last message.
type lastLine struct{ line []byte }

func (l *lastLine) OpenMessages(context.Context, json.RawMessage) (pipes.MessageWriter, error) {
	return l, nil
}

func (l *lastLine) WriteMessage(_ context.Context, m *pipes.Message) (err error) {
	l.line, err = m.Line()
	return err
}

func (l *lastLine) Close() error { return nil }

// FuzzMessage holds every payload that is sent to what the reader takes: one line of ASCII that is the same JSON.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"a": "Ü\u2028\ud83c\udfac"}`))
	f.Add([]byte(`"\ud800"`))
	f.Add([]byte("\"\xff\""))
	f.Add([]byte(`[[[[1e999, -0, "\\u12"]]]]`))
	channel := new(lastLine)
	session, err := pipes.Open(f.Context(), &pipes.Options{Params: nowhere{}, Messages: channel}) // one for all, which is fast
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := session.Close(); err != nil {
			f.Error(err)
		}
	})
	f.Fuzz(func(t *testing.T, payload []byte) {
		channel.line = nil
		if session.Send(context.Background(), json.RawMessage(payload)) != nil {
			if channel.line != nil {
				t.Errorf("%q is sent and called an error", payload)
			}
			return
		}
		line := channel.line
		for i, c := range line {
			if c >= 0x80 || c < 0x20 && i != len(line)-1 {
				t.Fatalf("byte %d of the line is %#x: %q", i, c, line)
			}
		}
		var got, want any
		sent := []byte(`{"payload":` + string(payload) + `}`)
		if err := json.Unmarshal(sent, &want); err != nil {
			return // a number beyond float64, which only the comparison cannot take
		}
		if err := json.Unmarshal(decodeLines(t, line)[0].Params, &got); err != nil {
			t.Fatal(err)
		}
		gotText, gotErr := json.Marshal(got)
		wantText, wantErr := json.Marshal(want)
		if gotErr != nil || wantErr != nil || !bytes.Equal(gotText, wantText) {
			t.Errorf("sent %s, arrived %s (%v, %v)", wantText, gotText, gotErr, wantErr)
		}
	})
}
