package pipes_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/pipes/pipestest"
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

// FuzzMessage holds every payload that is sent to what the reader takes: one line of ASCII that is the same JSON.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"a": "Ü\u2028\ud83c\udfac"}`))
	f.Add([]byte(`"\ud800"`))
	f.Add([]byte("\"\xff\""))
	f.Add([]byte(`[[[[1e999, -0, "\\u12"]]]]`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		session, messages := pipestest.Open(t, pipes.ContextData{})
		if session.Send(t.Context(), json.RawMessage(payload)) != nil {
			return
		}
		m := messages()[1]
		line, err := m.Line()
		if err != nil {
			t.Fatal(err)
		}
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
