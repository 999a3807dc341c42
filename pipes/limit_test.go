package pipes_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/pipes/pipestest"
)

// streamLine is the longest line on a standard stream, its end included.
const streamLine = 16 << 10

// overStream runs fn with a session over a standard stream and returns what was written.
func overStream(t *testing.T, opts *pipes.Options, fn func(s *pipes.Session)) []pipes.Message {
	t.Helper()
	var stream writes
	params := bootstrap(t, `{"data": {"asset_keys": ["a"]}}`, `{"stdio": "stderr"}`)
	opts.Params, opts.Messages = params.Params, pipes.DefaultMessages{Stderr: pipes.NewStreamOutput(&stream)}
	session, err := pipes.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	fn(session)
	if err := session.Close(); err != nil {
		t.Fatal(err)
	}
	messages := decodeLines(t, bytes.Join(stream, nil))
	if err := pipestest.Check(messages); err != nil {
		t.Error(err)
	}
	return messages
}

// assertShort fails the test if a message is longer than a channel carries.
func assertShort(t *testing.T, messages []pipes.Message, limit int) {
	t.Helper()
	for i, m := range messages {
		if line, err := m.Line(); err != nil || len(line) > limit {
			t.Errorf("message %d (%s) has %d bytes, %v; the channel carries %d", i, m.Method, len(line), err, limit)
		}
	}
}

// texts joins the texts of all messages of a method.
func texts(t *testing.T, messages []pipes.Message, method pipes.Method) (all string, count int) {
	t.Helper()
	var b strings.Builder
	for _, m := range messages {
		var p struct{ Message, Text string }
		if m.Method == method {
			if err := json.Unmarshal(m.Params, &p); err != nil {
				t.Fatal(err)
			}
			b.WriteString(p.Message + p.Text)
			count++
		}
	}
	return b.String(), count
}

func TestLargeTextsAreSplit(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"wide characters": strings.Repeat("🎬\x01", 10_000),
		"lines":           strings.Repeat(strings.Repeat("x", 99)+"\n", 700),
		"one line":        strings.Repeat("é", 30_000),
		"quotes":          strings.Repeat(`"\`, 20_000),
		"invalid UTF-8":   strings.Repeat("\xff\xc3", 10_000),
	} {
		want := strings.ToValidUTF8(text, "\uFFFD")
		for _, limit := range []int{streamLine, pipes.MaxMessage, 1024} {
			messages := overStream(t, &pipes.Options{MaxMessage: limit}, func(s *pipes.Session) {
				s.Logger().Info(text)
				if err := s.Forward(t.Context(), pipes.Stdout, text); err != nil {
					t.Error(err)
				}
			})
			assertShort(t, messages, limit)
			for _, method := range []pipes.Method{pipes.MethodLog, pipes.MethodExternalStream} {
				got, n := texts(t, messages, method)
				if got != want || n > 5+2*len(want)*6/(limit-256) && limit != pipes.MaxMessage {
					t.Errorf("%s, %s, %d bytes: %d bytes arrived in %d messages, or others than the %d given",
						name, method, limit, len(got), n, len(want))
				}
			}
		}
	}
}

func TestLogIsCutAtLines(t *testing.T) {
	t.Parallel()
	messages := overStream(t, new(pipes.Options), func(s *pipes.Session) {
		s.Logger().Info(strings.Repeat(strings.Repeat("x", 99)+"\n", 1_000))
	})
	for _, m := range messages[1 : len(messages)-1] {
		var p struct{ Message string }
		if err := json.Unmarshal(m.Params, &p); err != nil || !strings.HasSuffix(p.Message, "x\n") {
			t.Errorf("a piece of the log ends in %q, %v; want a whole line", p.Message[len(p.Message)-10:], err)
		}
	}
}

func TestEndlessLogIsShortened(t *testing.T) {
	t.Parallel()
	session, messages := pipestest.Open(t, pipes.ContextData{})
	session.Logger().Info(strings.Repeat("x", 5<<20))
	if got, n := texts(t, messages(), pipes.MethodLog); n < 4 || !strings.HasSuffix(got, "x… (5242880 bytes in all)") {
		t.Errorf("%d messages end in %q", n, got[max(0, len(got)-40):])
	}
}

func TestLargeExceptionIsShortened(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"text":   errors.New(strings.Repeat("🎬\x01", 1<<20)),
		"causes": deepError(200),
		"joined": errors.Join(slices.Repeat([]error{deepError(20)}, 50)...),
	} {
		messages := overStream(t, new(pipes.Options), func(s *pipes.Session) {
			if err := s.CloseWithError(err); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
		assertShort(t, messages, streamLine)
		if e := closedWith(t, messages); len(e.Message) < 100 || len(e.Stack) == 0 {
			t.Errorf("%s: closed with %+v, want the beginning of the error and of its stack", name, e)
		}
	}
}

// deepError returns an error with n causes.
func deepError(n int) error {
	err := errors.New("the cause of it all")
	for i := range n {
		err = fmt.Errorf("level %d %s: %w", i, strings.Repeat("x", 50), err)
	}
	return err
}

// shownMetadata returns the metadata of the only materialization: the type of each value and its raw form.
func shownMetadata(t *testing.T, messages []pipes.Message) map[string]string {
	t.Helper()
	for _, m := range messages {
		var p struct {
			Metadata map[string]struct {
				RawValue json.RawMessage `json:"raw_value"`
			}
		}
		if m.Method != pipes.MethodMaterialize && m.Method != pipes.MethodCheck {
			continue
		}
		if err := json.Unmarshal(m.Params, &p); err != nil {
			t.Fatal(err)
		}
		shown := make(map[string]string)
		for name, v := range p.Metadata {
			shown[name] = string(v.RawValue)
		}
		return shown
	}
	t.Fatal("there is no report")
	return nil
}

// wideTable is a table of n rows with 100 bytes each.
func wideTable(n int) pipes.Value {
	rows := make([]map[string]any, n)
	for i := range rows {
		rows[i] = map[string]any{"id": i, "text": strings.Repeat("x", 80)}
	}
	return pipes.Table([]pipes.Column{{Name: "id", Type: "int"}, {Name: "text"}}, rows)
}

func TestLargeReportIsShortened(t *testing.T) {
	t.Parallel()
	columns := make([]pipes.Column, 300)
	lineage := make(map[string][]pipes.ColumnSource)
	for i := range columns {
		columns[i] = pipes.Column{Name: fmt.Sprintf("a_rather_long_name_of_column_%d", i), Type: "double"}
		lineage[columns[i].Name] = []pipes.ColumnSource{{Asset: []string{"up"}, Column: columns[i].Name}}
	}
	for name, test := range map[string]struct {
		metadata pipes.Metadata
		note     string
		kept     []string
	}{
		"tables first": {
			pipes.Metadata{"t": wideTable(2_000), "u": wideTable(3), "n": pipes.Int(1), "text": pipes.Text(strings.Repeat("x", 5_000))},
			"t: 62 of 2000 rows; the channel to Dagster carries messages of 16384 bytes", []string{"t", "u", "n", "text"},
		},
		"then texts": {
			pipes.Metadata{"t": wideTable(20), "text": pipes.Markdown(strings.Repeat("é", 50_000)), "infer": pipes.Infer("short")},
			"t: 0 of 20 rows; text: ", []string{"t", "text", "infer"},
		},
		"inferred text": {
			pipes.Metadata{"text": pipes.Infer(strings.Repeat("x", 50_000))}, "text: 12500 of 50000 bytes", []string{"text"},
		},
		"then lineage, then schemas": {
			pipes.Metadata{"lineage": pipes.ColumnLineage(lineage), "schema": pipes.TableSchema(columns...), "n": pipes.Int(1)},
			"lineage: left out; schema: left out; ", []string{"n"},
		},
	} {
		messages := overStream(t, new(pipes.Options), func(s *pipes.Session) {
			if err := s.Materialize(t.Context(), pipes.Materialization{DataVersion: "v", Metadata: test.metadata}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
		assertShort(t, messages, streamLine)
		shown := shownMetadata(t, messages)
		if note := shown[pipes.ShortenedKey]; !strings.Contains(note, test.note) {
			t.Errorf("%s: the note is %s, want %s", name, note, test.note)
		}
		delete(shown, pipes.ShortenedKey)
		if got := slices.Sorted(maps.Keys(shown)); !slices.Equal(got, slices.Sorted(slices.Values(test.kept))) {
			t.Errorf("%s: kept %q, want %q", name, got, test.kept)
		}
	}
}

func TestCheckIsShortenedToo(t *testing.T) {
	t.Parallel()
	messages := overStream(t, new(pipes.Options), func(s *pipes.Session) {
		if err := s.Check(t.Context(), pipes.CheckResult{Name: "c", Metadata: pipes.Metadata{"t": wideTable(500)}}); err != nil {
			t.Error(err)
		}
	})
	assertShort(t, messages, streamLine)
	if note := shownMetadata(t, messages)[pipes.ShortenedKey]; !strings.Contains(note, "t: 125 of 500 rows") {
		t.Errorf("the note is %s", note)
	}
}

func TestWhatCannotBeShortenedIsRefused(t *testing.T) {
	t.Parallel()
	messages := overStream(t, new(pipes.Options), func(s *pipes.Session) {
		large := strings.Repeat("x", 20_000)
		for name, err := range map[string]error{
			"custom": s.Send(t.Context(), large),
			"JSON":   s.Materialize(t.Context(), pipes.Materialization{Metadata: pipes.Metadata{"j": pipes.JSON(large)}}),
			"names":  s.Check(t.Context(), pipes.CheckResult{Name: large}),
		} {
			if !errors.Is(err, pipes.ErrInvalid) || !strings.Contains(err.Error(), "the channel carries 16384 safely") {
				t.Errorf("%s: error = %v, want that it is too large", name, err)
			}
		}
		// A report that was refused may be made again.
		if err := s.Materialize(t.Context(), pipes.Materialization{}); err != nil {
			t.Error(err)
		}
	})
	if got := methods(messages); got != "opened report_asset_materialization closed" {
		t.Errorf("messages = %s", got)
	}
}

func TestMaxMessageMayBeRaised(t *testing.T) {
	t.Parallel()
	messages := overStream(t, &pipes.Options{MaxMessage: 64 << 10}, func(s *pipes.Session) {
		if err := s.Send(t.Context(), strings.Repeat("x", 40_000)); err != nil {
			t.Error(err)
		}
	})
	if got := methods(messages); got != "opened report_custom_message closed" {
		t.Errorf("messages = %s", got)
	}
}
